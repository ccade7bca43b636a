"""Select configuration values for the rules and for the dataset card.

If possible, a rule selects whole sections. A key that is added to such a section then reaches the rule without another change.
"""

from handroll.config.pipeline import lookup
from handroll.config.section import Section

DATASET_SECTIONS = {
    "pose": ("hamer",),
    "keyboard": (),
    "motion": ("mapnet",),
    "music": ("transkun", "kong", "midi_check"),
    "clips": (),
    "screening.visibility": (),
}
"""Sections of the configuration that the dataset card lists. The values are the keys of each section that the card leaves out: paths on
this computer, and settings of engines that may not be in use."""


def select(config, *keys, without=(), **renamed):
    """Select configuration values as arguments for a function of the library.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
    keys : str
        Dotted keys of values or sections. The argument of a value has the name of the key's last part. A section gives an argument for
        each of its values: `motion` gives `hampel_window` for `motion.hampel.window`.
    without : str or iterable of str
        Keys and sections to leave out, relative to the sections in `keys`.
    **renamed : str
        `argument="dotted.key"` for an argument that has another name. A section then stays a nested dict. The sections in `keys` do not
        give these values a second time.

    Returns
    -------
    dict of str to value
        Arguments, sorted by name, so that equal values give equal parameters of a rule.

    Raises
    ------
    KeyError
        A key does not exist in the configuration.
    ValueError
        Two values have the same argument name, or a key in `without` is in none of the sections.
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
                raise ValueError(f"{', '.join(keys)}: two configuration values have the argument name {argument}; rename one of them")
            chosen[argument] = value
    if unused:
        raise ValueError(f"{', '.join(keys)}: expected the keys in `without` to be in these sections, found no {', '.join(sorted(unused))}")
    chosen |= {argument: lookup(config, key) for argument, key in renamed.items()}
    return dict(sorted(chosen.items()))


def values_of(config, key=""):
    """Return all values of a section such as `motion`, or the value of a key such as `motion.hampel.window`; an empty key means all.

    Returns
    -------
    dict of str to value
        Values by full dotted key, in the order of the configuration.
    """
    value = config
    for part in filter(None, key.split(".")):
        if part not in type(value).model_fields:
            raise KeyError(f"no configuration key {key!r}; docs/configuration.md lists all keys")
        value = getattr(value, part)
    if not isinstance(value, Section):
        return {key: value}
    prefix = f"{key}." if key else ""
    return {name: found for field in type(value).model_fields for name, found in values_of(config, f"{prefix}{field}").items()}


def dataset_settings(config):
    """Return the settings that the dataset card lists, a dict of dotted key to value; see `DATASET_SECTIONS`."""
    return {
        name: value
        for section, left_out in DATASET_SECTIONS.items()
        for name, value in values_of(config, section).items()
        if not any(f"{name}.".startswith(f"{section}.{key}.") for key in left_out)
    }
