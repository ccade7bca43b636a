"""Select the device on which neural networks run, the CPU or a GPU, by name. An unavailable device is an error."""

import os
from contextlib import contextmanager


class DeviceError(RuntimeError):
    """Raised if the selected device is not available."""


def torch_device(name):
    """Return the torch device of a name. Raise DeviceError if the device is not available.

    Parameters
    ----------
    name : str
        Value of `device` in the configuration ("cpu" or "cuda"), or any other device name of torch, such as "cuda:1".

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        The name selects a GPU, and PyTorch finds none. There is no fallback to the CPU.
    """
    import torch

    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        shown = "" if visible is None else f", CUDA_VISIBLE_DEVICES={visible!r}"
        raise DeviceError(
            f"device: cuda: expected a GPU that PyTorch can use, found none (torch {torch.__version__}, {build}{shown}). "
            "Run on a computer with a GPU and a PyTorch built for it (https://pytorch.org/get-started), or set `device: cpu`"
        )
    return device


@contextmanager
def torch_threads(count):
    """Set the number of CPU threads that torch uses while the block runs."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
