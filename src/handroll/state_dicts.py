"""Check the state dictionary of an untrusted checkpoint: tensors by name, their shapes and types."""

from handroll.safe_pickle import StandIn, UnreadableError

_LISTED = 6
"""Maximum number of names of a kind that a message lists."""


def state_dict_at(content, *keys):
    """Return the dictionary of tensors at nested keys of a torch file.

    Parameters
    ----------
    content : object
        As `safe_pickle.load_torch` returns it.
    *keys : str
        Keys of the nested dictionaries, from the outermost. Without keys, the content itself is the state dictionary.

    Returns
    -------
    dict of str to tensor
        Plain tensors in CPU memory, without gradients.

    Raises
    ------
    safe_pickle.UnreadableError
        A key is missing, or there are other objects than tensors.
    """
    import torch

    for key in keys:
        # Through `dict` itself: a dictionary from a pickle may have attributes of its own.
        inner = dict.get(content, key) if isinstance(content, dict) else None
        if not isinstance(inner, dict):
            raise UnreadableError(f"no dictionary `{key}`, but {_described(content if inner is None else inner)}")
        content = inner
    if not isinstance(content, dict):
        raise UnreadableError(f"{_described(content)} instead of a state dictionary")
    state = dict(dict.items(content))

    def is_plain(name, value):
        plain = type(name) is str and type(value) in (torch.Tensor, torch.nn.Parameter)
        return plain and value.layout == torch.strided and value.device.type == "cpu"

    if foreign := [f"{name} ({_described(value)})" for name, value in state.items() if not is_plain(name, value)]:
        raise UnreadableError(f"other objects than tensors: {listed(foreign)}; do not use this file")
    return {name: value.detach() for name, value in state.items()}


def _described(value):
    """Describe a part of a file for a message."""
    if isinstance(value, dict):
        return f"a dictionary of {listed(list(dict.keys(value)))}"
    foreign = value if isinstance(value, type) else type(value)
    if issubclass(foreign, StandIn):
        return f"the Python code {foreign.name[:100]}, which was not run"
    return f"a {type(value).__name__}"


def expected_of(network):
    """Return the layout of a torch module's parameters and buffers: dict of name to (shape, dtype)."""
    return {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}


def layout_problems(state, expected, unused=()):
    """Compare the names, shapes and types of a state dictionary with the expected ones.

    Parameters
    ----------
    state : dict of str to tensor
    expected : dict of str to (tuple of int, torch.dtype or None)
        Shape and type by name. None accepts any type.
    unused : collection of str
        Names that may be in `state` without being expected.

    Returns
    -------
    str
        Such as "without a; with unknown b; with c (3,) float32 instead of (6,) float32"; empty without problems.
    """
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"without {listed(missing)}")
    if unknown := [name for name in state if name not in expected and name not in unused]:
        problems.append(f"with unknown {listed(unknown)}")
    wrong = []
    for name, (shape, dtype) in expected.items():
        if name in state and (tuple(state[name].shape) != tuple(shape) or dtype not in (None, state[name].dtype)):
            wrong.append(f"{name} {_kind(state[name].shape, dtype and state[name].dtype)} instead of {_kind(shape, dtype)}")
    if wrong:
        problems.append(f"with {listed(wrong)}")
    return "; ".join(problems)


def non_finite(state):
    """Return the names of the tensors that contain NaN or infinity."""
    return [name for name, value in state.items() if not value.isfinite().all()]


def listed(names):
    """Return the first names of a list as text, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(str(name)[:200] for name in names[:_LISTED]) + more


def _kind(shape, dtype):
    """Return a shape and type as text, such as "(96, 1024) float32"."""
    return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}" if dtype is not None else str(tuple(shape))
