"""Where networks run: the processor or a GPU, asked for by name and never swapped for the other."""

import os
from contextlib import contextmanager


class DeviceError(RuntimeError):
    """The device that was asked for is not there."""


def torch_device(name):
    """The torch device of a name, if it can be used.

    Parameters
    ----------
    name : str
        As `device` in the configuration ("cpu", "cuda"), or any other name that torch knows, such as "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        "cuda" where PyTorch finds no GPU: the message says what it found and what to do. Nothing runs on the processor instead.
    """
    import torch

    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        shown = "" if visible is None else f", CUDA_VISIBLE_DEVICES={visible!r}"
        raise DeviceError(
            f"device: cuda: expected a GPU that PyTorch can use, found none (torch {torch.__version__}, {build}{shown}). "
            "Run on a machine with a GPU and a PyTorch built for it (https://pytorch.org/get-started), or set `device: cpu`"
        )
    return device


@contextmanager
def torch_threads(count):
    """Let torch use this many threads of the processor while the block runs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
