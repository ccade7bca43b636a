"""Select configuration values for the rules and for the dataset card.

A rule names whole sections where it can. A key that is added to such a section then reaches the rule without another change.
"""

from handroll.config.pipeline import lookup
from handroll.config.section import Section

DATASET_SECTIONS = {
    "pose": ("hamer",),
    "keyboard": (),
    "motion": (),
    "music": ("transkun", "kong", "midi_check"),
    "clips": (),
    "screening.visibility": (),
}
"""Sections that the dataset card lists, and the keys that it leaves out of each: files of this computer, and settings of engines that
may not be in use."""


def select(config, *keys, without=(), **renamed):
    """Select configuration values under the names of the library's arguments.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
    keys : str
        Dotted keys. A single key gives one value under its last part. A section gives all its values: `motion` gives
        `hampel_window` for `motion.hampel.window`.
    without : str or iterable of str
        Keys and sections to leave out, relative to the given section.
    **renamed : str
        Argument name = dotted key, for a value that the library calls by another name. A section stays a nested dict. The given
        sections do not give these values a second time.

    Returns
    -------
    dict of str to value
        Sorted by name, so that equal values are equal parameters of a rule.

    Raises
    ------
    KeyError
        There is no such configuration key.
    ValueError
        Two keys have the same name, or a key in `without` is in none of the sections.
    """
    left_out = {without} if isinstance(without, str) else set(without)
    unused, chosen = set(left_out), {}
    for key in keys:
        for name, value in values_of(config, key).items():
            path = name.removeprefix(f"{key}.")
            parts = path.split(".")
            if matches := left_out & {".".join(parts[: end + 1]) for end in range(len(parts))}:
                unused -= matches
                continue
            if any(f"{name}.".startswith(f"{other}.") for other in renamed.values()):
                continue
            argument = path.replace(".", "_") if name != key else parts[-1]
            if argument in chosen or argument in renamed:
                raise ValueError(f"{', '.join(keys)}: two configuration values have the name {argument}; rename one of them")
            chosen[argument] = value
    if unused:
        raise ValueError(f"{', '.join(keys)}: found no key {', '.join(sorted(unused))} to leave out")
    chosen |= {argument: lookup(config, key) for argument, key in renamed.items()}
    return dict(sorted(chosen.items()))


def values_of(config, key=""):
    """Values at and below a dotted key, such as `motion` or `motion.hampel.window`; an empty key means all.

    Returns
    -------
    dict of str to value
        By dotted key, in the order of the configuration.
    """
    value = config
    for part in filter(None, key.split(".")):
        if part not in type(value).model_fields:
            raise KeyError(f"no configuration key {key!r}")
        value = getattr(value, part)
    if not isinstance(value, Section):
        return {key: value}
    prefix = f"{key}." if key else ""
    return {name: found for field in type(value).model_fields for name, found in values_of(config, f"{prefix}{field}").items()}


def dataset_settings(config):
    """Settings that made the dataset, as the dataset card lists them: dotted key to value."""
    return {
        name: value
        for section, left_out in DATASET_SECTIONS.items()
        for name, value in values_of(config, section).items()
        if not any(f"{name}.".startswith(f"{section}.{key}.") for key in left_out)
    }
