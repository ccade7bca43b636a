"""Check the state dictionary of an untrusted checkpoint: names, shapes and types of its tensors."""

from handroll.safe_pickle import StandIn, UnreadableError

# Maximum number of names that an error message lists.
_LISTED = 6


def state_dict_at(content, *keys):
    """Return the dictionary of tensors at nested keys of a torch file.

    Parameters
    ----------
    content : object
        Result of `safe_pickle.load_torch`.
    *keys : str
        Keys of the nested dictionaries, from the outermost. Without keys, the content itself is the state dictionary.

    Returns
    -------
    dict of str to tensor
        Plain tensors in CPU memory, without gradients.

    Raises
    ------
    safe_pickle.UnreadableError
        A key is missing, or the dictionary contains other objects than tensors.
    """
    import torch

    for key in keys:
        # `dict.get` is used instead of `content.get`, because a dictionary from a pickle may have attributes that replace its methods.
        inner = dict.get(content, key) if isinstance(content, dict) else None
        if not isinstance(inner, dict):
            raise UnreadableError(f"no dictionary `{key}`, but {_describe_value(content if inner is None else inner)}")
        content = inner
    if not isinstance(content, dict):
        raise UnreadableError(f"{_describe_value(content)} instead of a state dictionary")
    state = dict(dict.items(content))

    def is_plain(name, value):
        plain = type(name) is str and type(value) in (torch.Tensor, torch.nn.Parameter)
        return plain and value.layout == torch.strided and value.device.type == "cpu"

    if foreign := [f"{name} ({_describe_value(value)})" for name, value in state.items() if not is_plain(name, value)]:
        raise UnreadableError(f"other objects than tensors: {listed(foreign)}; do not use this file")
    return {name: value.detach() for name, value in state.items()}


def _describe_value(value):
    """Describe an object of a file for a message."""
    if isinstance(value, dict):
        return f"a dictionary of {listed(list(dict.keys(value)))}"
    foreign = value if isinstance(value, type) else type(value)
    if issubclass(foreign, StandIn):
        return f"the Python code {foreign.name[:100]}, which was not run"
    return f"a {type(value).__name__}"


def expected_of(network):
    """Return the layout of a torch module's parameters and buffers, a dict of name to (shape, dtype)."""
    return {name: (tuple(value.shape), value.dtype) for name, value in network.state_dict().items()}


def layout_problems(state, expected, unused=()):
    """Compare a state dictionary with the expected names, shapes and types; return the differences as text.

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
        Differences, such as "without a; with unknown b; with c (3,) float32 instead of (6,) float32"; empty without differences.
    """
    problems = []
    if missing := [name for name in expected if name not in state]:
        problems.append(f"without {listed(missing)}")
    if unknown := [name for name in state if name not in expected and name not in unused]:
        problems.append(f"with unknown {listed(unknown)}")
    wrong = []
    for name, (shape, dtype) in expected.items():
        if name in state and (tuple(state[name].shape) != tuple(shape) or dtype not in (None, state[name].dtype)):
            wrong.append(
                f"{name} {_format_layout(state[name].shape, dtype and state[name].dtype)} instead of {_format_layout(shape, dtype)}"
            )
    if wrong:
        problems.append(f"with {listed(wrong)}")
    return "; ".join(problems)


def non_finite(state):
    """Return the names of the tensors that contain NaN or infinity."""
    return [name for name, value in state.items() if not value.isfinite().all()]


def listed(names):
    """Return the first names of a list as text, followed by the number of further names."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(str(name)[:200] for name in names[:_LISTED]) + more


def _format_layout(shape, dtype):
    """Return a shape and type as text, such as "(96, 1024) float32"."""
    return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}" if dtype is not None else str(tuple(shape))
