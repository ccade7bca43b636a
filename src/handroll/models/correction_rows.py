"""Rows of the comparison of methods that correct motion.

To add a row: write its network (`checkpoint.KINDS`), and add an entry to `ROWS`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """Method that corrects motion.

    Attributes
    ----------
    kind : str
        Kind of its checkpoint (`checkpoint.KINDS`); empty: the method has no weights (`evaluation.correction.untrained_methods`).
    fusion : {"late", "balanced", "early"}
        How late the streams of pose and music meet in a network of the kind `mapnet`.
    settings : dict
        Settings of the network that the configuration does not contain.
    """

    kind: str = ""
    fusion: str = "late"
    settings: dict = field(default_factory=dict)


ROWS = {
    "interpolation": Row(),
    "moving_average": Row(),
    "lstm_pose": Row("lstm", settings={"music": False}),
    "lstm": Row("lstm"),
    "transformer_pose": Row("mapnet", settings={"music": False}),
    "mapnet": Row("mapnet"),
    "mapnet_not_rebalanced": Row("mapnet", settings={"rebalanced": False}),
    "mapnet_balanced": Row("mapnet", fusion="balanced"),
    "mapnet_early": Row("mapnet", fusion="early"),
    "mapnet_planned": Row("planned_mapnet"),
}
"""The rows by name. `interpolation` is the input that all others correct."""


def compared_rows(correction, frames):
    """Return what an experiment compares: each row at each frame rate ratio.

    Parameters
    ----------
    correction : handroll.config.experiment.CorrectionBenchmark
    frames : int
        Number of output frames of a window.

    Returns
    -------
    dict of str to dict
        By name, such as `mapnet-3`: `row`; `every`, the number of output frames for each input frame; `kind`; and `model`, the settings of
        the network without its number of features (empty for methods without weights).

    Raises
    ------
    ValueError
        A row has no entry in `ROWS` or needs other features, a window has fewer than two input frames, or the width is not a multiple of
        the heads.
    """
    if unknown := [name for name in correction.rows if name not in ROWS]:
        raise ValueError(f"the configuration: benchmark.correction.rows: expected names of rows ({', '.join(ROWS)}), found {unknown[0]!r}")
    if correction.rows and frames <= max(correction.every):
        raise ValueError(
            f"the configuration: benchmark.correction.window_s: expected windows of more than {max(correction.every)} frames "
            f"(benchmark.correction.every), found {frames}; set a longer window"
        )
    if "mapnet_planned" in correction.rows and correction.features != "planned":
        raise ValueError(
            f"the configuration: benchmark.correction.features: the row mapnet_planned needs planned, found {correction.features}; set "
            "benchmark.correction.features: planned, or remove the row"
        )
    sizes = correction.transformers
    if sizes.width % sizes.heads:
        raise ValueError(
            f"the configuration: benchmark.correction.transformers.width: expected a multiple of {sizes.heads} "
            f"(benchmark.correction.transformers.heads), found {sizes.width}; change one of them"
        )
    return {
        f"{name}-{every}": {"row": name, "every": every, "kind": ROWS[name].kind, "model": _model(ROWS[name], correction, every, frames)}
        for name in correction.rows
        for every in correction.every
    }


def _model(row, correction, every, frames):
    """Return the settings of the network of a row; see `compared_rows`."""
    if not row.kind:
        return {}
    if row.kind == "lstm":
        return {**correction.lstm.model_dump(), **row.settings, "every": every}
    sizes = correction.transformers.model_dump()
    layers, fusion_layers = sizes["layers"], sizes["fusion_layers"]
    total = layers + fusion_layers
    numbers = {"late": (layers, fusion_layers), "balanced": (total - total // 2, total // 2), "early": (fusion_layers, layers)}
    sizes["layers"], sizes["fusion_layers"] = numbers[row.fusion]
    # As in the paper, the rebalancing layer gives both streams as many steps as the output has frames.
    return {**sizes, **row.settings, "every": every, "steps": frames}
