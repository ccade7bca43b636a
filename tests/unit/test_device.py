"""A GPU is used only where selected; a missing GPU is an error."""

import pytest
import torch

from handroll.device import DeviceError, torch_device


def test_cpu():
    assert torch_device("cpu") == torch.device("cpu")


def test_missing_gpu_is_an_error_that_says_what_was_found(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(DeviceError, match=r"found none \(torch .*, CUDA_VISIBLE_DEVICES='7'\).*or set `device: cpu`"):
        torch_device("cuda")


def test_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert torch_device("cuda").type == "cuda"
