"""Read HaMeR's checkpoint, and check the name, shape, type and values of every parameter.

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
"""Maximum difference between a value of the checkpoint's MANO model and that of the user's model, if they count as equal."""

# Name of the expected file in messages.
_EXPECTED = "HaMeR's checkpoint hamer.ckpt"

# What to do about a rejected file, in messages.
_ADVICE = f"get the checkpoint again: unpack {URL} and take hamer_ckpts/checkpoints/hamer.ckpt"


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint.

    Attributes
    ----------
    state : dict of str to float32 tensor
        Parameters `backbone.*` and `mano_head.*`, exactly those of `state_shapes`. They are mapped from the file, not read into memory.
    mano : dict of str to tensor
        Tensors of the MANO model with which the network was trained, without their prefix `mano.`; may be empty. They are under the
        licence of MANO.
    sha256 : str
        SHA-256 of the file.
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
        Settings that determine the required parameters and their shapes.

    Returns
    -------
    Checkpoint

    Raises
    ------
    HamerError
        The file is missing, truncated, damaged, of another kind, or of another network. A parameter is missing, unknown, not finite,
        or of another shape or type.
    """
    path = Path(path)
    everything = _read_state(path, checksums=True)
    state = {name: value for name, value in everything.items() if name.startswith(("backbone.", "mano_head."))}
    check_state(state, settings, path)
    # The parameters are returned in the released order.
    state = {name: state[name].contiguous() for name in state_shapes(settings)}
    if wrong := non_finite(state):
        raise _file_error(path, "finite numbers", f"NaN or infinity in {listed(wrong)}", _ADVICE)
    return Checkpoint(state, _mano_buffers(everything), file_sha256(path))


def load_mano_buffers(path):
    """Read the tensors of the MANO model from a checkpoint, without their prefix `mano.`.

    Returns
    -------
    dict of str to tensor
        Empty if the checkpoint has none.

    Raises
    ------
    HamerError
        The file is missing, or it is not a checkpoint of HaMeR.
    """
    # The checksums are not verified here, because that takes seconds. `load_checkpoint` verifies them.
    return _mano_buffers(_read_state(Path(path), checksums=False))


def _mano_buffers(state):
    """Return the tensors of a state dictionary whose names begin with `mano.`, without this prefix."""
    return {name.removeprefix("mano."): value for name, value in state.items() if name.startswith("mano.")}


def check_state(state, settings, path, dtype=None):
    """Raise HamerError unless a state dictionary has exactly the required names, shapes and types.

    Parameters
    ----------
    state : dict of str to tensor
        Parameters `backbone.*` and `mano_head.*` of a file.
    settings : settings.HamerSettings
    path : path
        The file, for the message.
    dtype : function of str to torch.dtype, optional
        Returns the required type of a parameter from its name; float32 by default.

    Raises
    ------
    HamerError
        Parameters are missing, unknown, or of another shape or type. The message lists them.
    """
    expected = {name: (shape, dtype(name) if dtype else torch.float32) for name, shape in state_shapes(settings).items()}
    if problems := layout_problems(state, expected):
        sizes = f"{settings.backbone.depth} blocks of width {settings.backbone.dim}"
        sizes += f" and {settings.decoder.depth} decoder layers of width {settings.decoder.dim}"
        raise _file_error(
            path,
            f"{_EXPECTED} ({sizes})",
            f"{_count_by_prefix(state)}; {problems}",
            f"the file belongs to another network, or model_config.yaml does not belong to this checkpoint; {_ADVICE}",
        )


def _count_by_prefix(names):
    """Describe a state dictionary by its number of tensors under each prefix, such as "390 of backbone"."""
    counts = Counter(name.split(".")[0] for name in names)
    return listed([f"{count} of {prefix}" for prefix, count in counts.most_common()]) or "no tensors"


def _file_error(path, expected, found, advice):
    """Build the HamerError for a rejected file, from what was expected, what was found, and advice."""
    return HamerError(f"{path}: expected {expected}, found {found}; {advice}")


def _read_state(path, checksums):
    """Read the dictionary `state_dict` of a checkpoint; raise HamerError if the file is not a checkpoint of HaMeR."""
    if not path.exists():
        raise HamerError(
            f"{path}: expected {_EXPECTED}, found no file; get {URL} (the authors' archive; see its licence), unpack it, "
            f"and put its file hamer_ckpts/checkpoints/hamer.ckpt there"
        )
    try:
        state = state_dict_at(load_torch(path, mapped=True, checksums=checksums), "state_dict")
    except UnreadableError as error:
        raise _file_error(path, _EXPECTED, error, _ADVICE) from error
    if not any(name.startswith("mano_head.") for name in state):
        advice = f"this may be the hand detector (ViTPose) from the same archive; {_ADVICE}"
        raise _file_error(
            path, f"{_EXPECTED} with backbone.* and mano_head.*", f"another network's checkpoint: {_count_by_prefix(state)}", advice
        )
    return state


def mano_differences(buffers, model):
    """Compare the user's MANO model with the MANO model that was used to train a checkpoint.

    Parameters
    ----------
    buffers : dict of str to tensor
        See `Checkpoint.mano`. Tensors that are absent are not compared.
    model : handroll.hand.mano.ManoModel
        The user's model.

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
        # `not <=`, so that NaN counts as a difference.
        if not largest <= MANO_TOLERANCE:
            sentences.append(f"{what} ({name}): the checkpoint and the MANO file differ by up to {largest:.3g}")
    return sentences
