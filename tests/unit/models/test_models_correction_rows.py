import pytest

from handroll.config.experiment import CorrectionBenchmark
from handroll.models.checkpoint import KINDS
from handroll.models.correction_rows import ROWS, compared_rows


def test_every_row_makes_a_network_of_the_window():
    sizes = {"width": 8, "heads": 2, "layers": 4, "fusion_layers": 1}
    correction = CorrectionBenchmark(rows=list(ROWS), every=[1, 3], transformers=sizes, features="planned")
    rows = compared_rows(correction, 30)
    assert list(rows) == [f"{name}-{every}" for name in ROWS for every in (1, 3)]
    for name, row in rows.items():
        assert name == f"{row['row']}-{row['every']}" and row["kind"] == ROWS[row["row"]].kind
        if row["kind"]:
            settings, network = KINDS[row["kind"]]
            sizes = settings(features=5, frames=30, **row["model"])
            assert sizes.every == row["every"] and sizes.music == (not row["row"].endswith("pose"))
            network(sizes)
        else:
            assert row["model"] == {}


def test_fusion_moves_layers_and_keeps_their_number():
    correction = CorrectionBenchmark(rows=["mapnet", "mapnet_balanced", "mapnet_early"], transformers={"layers": 12, "fusion_layers": 2})
    layers = [(row["model"]["layers"], row["model"]["fusion_layers"]) for row in compared_rows(correction, 150).values()]
    assert layers == [(12, 2), (7, 7), (2, 12)]


@pytest.mark.parametrize(
    ("values", "frames", "message"),
    [
        ({"rows": ["mapnets"]}, 30, r"rows: expected names of rows \(interpolation, .*mapnet_planned\), found 'mapnets'"),
        ({"rows": ["mapnet_planned"]}, 30, "features: the row mapnet_planned needs planned, found notes"),
        ({"rows": ["mapnet"], "every": [1, 3]}, 3, "window_s: expected windows of more than 3 frames .*, found 3; set a longer window"),
        ({"rows": ["mapnet"], "transformers": {"width": 9, "heads": 2}}, 30, "width: expected a multiple of 2 .*, found 9"),
    ],
)
def test_settings_that_fit_no_network_are_errors(values, frames, message):
    with pytest.raises(ValueError, match=message):
        compared_rows(CorrectionBenchmark(**values), frames)
