"""Read HaMeR's checkpoint and check it parameter by parameter.

The released file is a PyTorch Lightning checkpoint: a zip archive with a pickle and the tensors' bytes. `handroll.safe_pickle` reads it
without running any code in it.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import HamerError
from handroll.provenance import file_sha256
from handroll.safe_pickle import UnreadableError, load_torch
from handroll.state_dicts import layout_problems, listed, non_finite, state_dict_at

URL = "https://www.cs.utexas.edu/~pavlakos/hamer/data/hamer_demo_data.tar.gz"
"""The authors' archive. The checkpoint in it is hamer_ckpts/checkpoints/hamer.ckpt, about 2.69 GB."""

MANO_TOLERANCE = 1e-6
"""Largest difference between the checkpoint's MANO and the user's that counts as none."""

_EXPECTED = "HaMeR's checkpoint hamer.ckpt"
_ADVICE = f"get it again: unpack {URL} and take hamer_ckpts/checkpoints/hamer.ckpt"


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint.

    Attributes
    ----------
    state : dict of str to float32 tensor
        `backbone.*` and `mano_head.*`, exactly those of `state_shapes`. They are mapped from the file, not read into memory.
    mano : dict of str to tensor
        Buffers of the MANO model that it was trained with, without their prefix `mano.`; may be empty. Licensed by MANO's owners.
    sha256 : str
        Of the file.
    """

    state: dict
    mano: dict
    sha256: str


def load_checkpoint(path, settings):
    """Read and check HaMeR's checkpoint. This reads every byte and takes some seconds for the released file.

    Parameters
    ----------
    path : path of hamer.ckpt
    settings : settings.HamerSettings
        They determine the required parameters and their shapes.

    Returns
    -------
    Checkpoint

    Raises
    ------
    HamerError
        There is no file; it is truncated, damaged, of another kind or another network's; a parameter is missing, unknown, of another
        shape or type, or not finite.
    """
    path = Path(path)
    everything = _read_state(path, checksums=True)
    state = {name: value for name, value in everything.items() if name.startswith(("backbone.", "mano_head."))}
    check_state(state, settings, path)
    # In the released order.
    state = {name: state[name].contiguous() for name in state_shapes(settings)}
    if wrong := non_finite(state):
        raise _rejection(path, "finite numbers", f"NaN or infinity in {listed(wrong)}", _ADVICE)
    return Checkpoint(state, _mano_buffers(everything), file_sha256(path))


def load_mano_buffers(path):
    """Read MANO's buffers from a checkpoint, without their prefix `mano.`.

    Returns
    -------
    dict of str to tensor
        Empty if the checkpoint has none.

    Raises
    ------
    HamerError
        There is no such file, or it is no checkpoint.
    """
    # Without the checksums, which take seconds; `load_checkpoint` compares them.
    return _mano_buffers(_read_state(Path(path), checksums=False))


def _mano_buffers(state):
    """Return the tensors of a state dictionary below `mano.`."""
    return {name.removeprefix("mano."): value for name, value in state.items() if name.startswith("mano.")}


def check_state(state, settings, path, dtype=None):
    """Raise HamerError unless a state dictionary has exactly the required names, shapes and types.

    Parameters
    ----------
    state : dict of str to tensor
        `backbone.*` and `mano_head.*` of a file.
    settings : settings.HamerSettings
    path : path for the message
    dtype : function of str to torch.dtype, optional
        Required type of a parameter by its name; float32 by default.

    Raises
    ------
    HamerError
        It names the parameters that are missing, unknown, or of another shape or type.
    """
    expected = {name: (shape, dtype(name) if dtype else torch.float32) for name, shape in state_shapes(settings).items()}
    if problems := layout_problems(state, expected):
        sizes = f"{settings.backbone.depth} blocks of width {settings.backbone.dim}"
        sizes += f" and {settings.decoder.depth} decoder layers of width {settings.decoder.dim}"
        raise _rejection(
            path,
            f"{_EXPECTED} ({sizes})",
            f"{_contents(state)}; {problems}",
            f"another network's file, or not the model_config.yaml that belongs to it; {_ADVICE}",
        )


def _contents(names):
    """Return the number of tensors under each prefix as text."""
    counts = Counter(name.split(".")[0] for name in names)
    return listed([f"{count} of {prefix}" for prefix, count in counts.most_common()]) or "no tensors"


def _rejection(path, expected, found, advice):
    """Return the error of a file that is not what is required."""
    return HamerError(f"{path}: expected {expected}, found {found}; {advice}")


def _read_state(path, checksums):
    """Return the dictionary `state_dict` of a checkpoint."""
    if not path.exists():
        raise HamerError(
            f"{path}: expected {_EXPECTED}, found no file; get {URL} (the authors' archive; see its licence), unpack it, "
            f"and put its file hamer_ckpts/checkpoints/hamer.ckpt there"
        )
    try:
        state = state_dict_at(load_torch(path, mapped=True, checksums=checksums), "state_dict")
    except UnreadableError as error:
        raise _rejection(path, _EXPECTED, error, _ADVICE) from error
    if not any(name.startswith("mano_head.") for name in state):
        advice = f"the weights of the hand detector (ViTPose) are elsewhere in the same archive; {_ADVICE}"
        raise _rejection(path, f"{_EXPECTED} with backbone.* and mano_head.*", f"another network's: {_contents(state)}", advice)
    return state


def mano_differences(buffers, model):
    """Compare the MANO model that a checkpoint was trained with to the user's.

    Parameters
    ----------
    buffers : dict of str to tensor
        `Checkpoint.mano`. Absent buffers are not compared.
    model : handroll.hand.mano.ManoModel

    Returns
    -------
    list of str
        One sentence for each difference above `MANO_TOLERANCE`.
    """
    pose_directions = np.asarray(model.pose_directions)
    pairs = (
        ("v_template", "the template mesh", model.template_m),
        ("shapedirs", "shape directions", model.shape_directions),
        ("posedirs", "pose directions", pose_directions.reshape(-1, pose_directions.shape[-1]).T),
        ("J_regressor", "the joint regressor", model.joint_regressor),
        ("lbs_weights", "skinning weights", model.weights),
        ("parents", "parents of joints", model.parents),
        ("hand_mean", "the mean pose", model.hands_mean),
    )
    sentences = []
    for name, what, own in pairs:
        if name not in buffers:
            continue
        trained, own = buffers[name].double().numpy(), np.asarray(own, np.float64)
        if trained.shape != own.shape:
            sentences.append(f"{what} ({name}): shape {trained.shape} in the checkpoint, {own.shape} in the MANO file")
            continue
        largest = np.abs(trained - own).max()
        # Negated, so that NaN counts as a difference.
        if not largest <= MANO_TOLERANCE:
            sentences.append(f"{what} ({name}): the checkpoint and the MANO file differ by up to {largest:.3g}")
    return sentences
