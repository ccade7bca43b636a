"""HaMeR's checkpoint: read without running anything in it, and checked name by name.

The released file is one of PyTorch Lightning: a zip archive with a pickle and the tensors' bytes. It is read with
`torch.load(weights_only=True)`. Where that refuses because the pickle mentions other classes (such files can hold the
training's configuration), a restricted unpickler reads it that knows tensors only and puts an inert stand-in for every
other name: nothing is imported, nothing is called.
"""

import pickle
import warnings
import zipfile
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from handroll.pose.hamer.parameter_layout import state_shapes
from handroll.pose.hamer.settings import HamerError
from handroll.provenance import file_sha256

URL = "https://www.cs.utexas.edu/~pavlakos/hamer/data/hamer_demo_data.tar.gz"
"""The authors' archive; the checkpoint in it is hamer_ckpts/checkpoints/hamer.ckpt, about 2.69 GB."""

MANO_TOLERANCE = 1e-6
"""Largest difference between numbers of the checkpoint's MANO and the user's that is none."""

_EXPECTED = "HaMeR's checkpoint hamer.ckpt"
_AGAIN = f"get it again: unpack {URL} and take hamer_ckpts/checkpoints/hamer.ckpt"
_LISTED = 8
"""Most names of a kind that a message lists."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    state : dict of str to float32 tensor
        `backbone.*` and `mano_head.*`, exactly those of `state_shapes`; mapped from the file, not read into memory.
    mano : dict of str to tensor
        Buffers of the MANO it was trained with, without their prefix `mano.`; may be empty. Licensed by MANO's owners.
    sha256 : str
        Of the file.
    """

    state: dict
    mano: dict
    sha256: str


def load_checkpoint(path, settings):
    """Read and check HaMeR's checkpoint. Reads every byte, some seconds for the released file.

    Parameters
    ----------
    path : path of hamer.ckpt
    settings : settings.HamerSettings
        Says which parameters there have to be, and their shapes.

    Returns
    -------
    Checkpoint

    Raises
    ------
    HamerError
        There is no such file; it is truncated, damaged, a web page, an archive, or another network's; a parameter is missing,
        unknown, of another shape or type, or not finite.
    """
    path = Path(path)
    everything = _read_state(path)
    _check_bytes(path)
    state = {name: value for name, value in everything.items() if name.startswith(("backbone.", "mano_head."))}
    check_state(state, settings, path)
    # In the released order, and with nothing of the file's own kinds of tensors (parameters, hooks) left.
    state = {name: state[name].detach().contiguous() for name in state_shapes(settings)}
    if wrong := [name for name, value in state.items() if not torch.isfinite(value).all()]:
        raise _refusal(path, "finite numbers", f"NaN or infinity in {_listed(wrong)}", _AGAIN)
    return Checkpoint(state, _mano(everything), file_sha256(path))


def load_mano_buffers(path):
    """The buffers of MANO in a checkpoint, without their prefix `mano.`; an empty dictionary where it has none.

    Raises
    ------
    HamerError
        There is no such file, or it is no checkpoint.
    """
    return _mano(_read_state(Path(path)))


def _mano(state):
    """Tensors of a state below `mano.`."""
    return {name.removeprefix("mano."): value.detach() for name, value in state.items() if name.startswith("mano.")}


def check_state(state, settings, path, dtype=None):
    """Raise unless a state has exactly the needed names, with their shapes and types.

    Parameters
    ----------
    state : dict of str to tensor
        `backbone.*` and `mano_head.*` of a file.
    settings : settings.HamerSettings
    path : path for the message
    dtype : function of str to torch.dtype, optional
        The type that a name's tensor has to have; float32 by default.

    Raises
    ------
    HamerError
        Names what is missing, unknown, or of another shape or type.
    """
    shapes = state_shapes(settings)
    problems = []
    if missing := [name for name in shapes if name not in state]:
        problems.append(f"without {_listed(missing)}")
    if unknown := [name for name in state if name not in shapes]:
        problems.append(f"with unknown {_listed(unknown)}")
    wrong = []
    for name, shape in shapes.items():
        if name in state:
            found, expected = _kind(state[name]), _kind_name(shape, dtype(name) if dtype else torch.float32)
            if found != expected:
                wrong.append(f"{name} {found} instead of {expected}")
    if wrong:
        problems.append(f"with {_listed(wrong)}")
    if problems:
        sizes = f"{settings.backbone.depth} blocks of width {settings.backbone.dim}"
        sizes += f" and {settings.decoder.depth} decoder layers of width {settings.decoder.dim}"
        raise _refusal(
            path,
            f"{_EXPECTED} ({sizes})",
            f"{_contents(state)}; {'; '.join(problems)}",
            f"another network's file, or not the model_config.yaml that belongs to it; {_AGAIN}",
        )


def _kind(tensor):
    """Shape and type of a tensor, as text; what else is unusual about it too."""
    unusual = "" if tensor.layout == torch.strided and tensor.device.type == "cpu" else f" {tensor.layout} on {tensor.device}"
    return _kind_name(tuple(tensor.shape), tensor.dtype) + unusual


def _kind_name(shape, dtype):
    """Shape and type, such as "(96, 1024) float32"."""
    return f"{tuple(shape)} {str(dtype).removeprefix('torch.')}"


def _contents(names):
    """How many tensors there are under which prefix."""
    counts = Counter(str(name).split(".")[0] for name in names)
    return ", ".join(f"{count} of {prefix}" for prefix, count in counts.most_common(_LISTED)) or "no tensors"


def _listed(names):
    """The first names of a list and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(str(name)[:200] for name in names[:_LISTED]) + more


def _refusal(path, expected, found, advice):
    """The error of a file that is not what it has to be."""
    return HamerError(f"{path}: expected {expected}, found {found}; {advice}")


def _read_state(path):
    """The dictionary `state_dict` of a checkpoint, its names text and its values plain tensors."""
    _check_container(path)
    content = _load(path)
    if not isinstance(content, dict):
        raise _refusal(path, _EXPECTED, f"a {type(content).__name__}", _AGAIN)
    state = dict.get(content, "state_dict")
    if not isinstance(state, dict):
        raise _refusal(path, f"{_EXPECTED} with a dictionary `state_dict`", f"a dictionary of {_listed(list(content))}", _AGAIN)
    # Through `dict` itself: a dictionary out of a pickle may have attributes of its own.
    state = dict(dict.items(state))
    if foreign := [name for name, value in state.items() if type(name) is not str or type(value) not in (torch.Tensor, torch.nn.Parameter)]:
        raise _refusal(
            path, f"{_EXPECTED} with nothing but tensors in `state_dict`", f"other objects: {_listed(foreign)}", f"do not use it; {_AGAIN}"
        )
    if not any(name.startswith("mano_head.") for name in state):
        advice = "the hand detector's weights (ViTPose) lie elsewhere in the same archive; " + _AGAIN
        raise _refusal(path, f"{_EXPECTED} with backbone.* and mano_head.*", f"another network's: {_contents(state)}", advice)
    return state


def _check_container(path):
    """Raise unless the file is a whole zip archive, which torch's files are."""
    if not path.exists():
        raise HamerError(
            f"{path}: expected {_EXPECTED}, found no file; get {URL} (the authors' archive; see its licence), unpack it, "
            f"and put hamer_ckpts/checkpoints/hamer.ckpt of it there"
        )
    if not path.is_file():
        raise _refusal(path, _EXPECTED, "no file but a folder", "give the file in it")
    size = path.stat().st_size
    try:
        with open(path, "rb") as file:
            head = file.read(512)
            if zipfile.is_zipfile(file):
                return
    except OSError as error:
        raise _refusal(path, _EXPECTED, f"what cannot be read ({error})", "make it readable") from error
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        found = "an empty file"
    elif text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        found = "a web page, as downloads give that failed or ask for a confirmation"
    elif head.startswith(b"\x1f\x8b"):
        found = "a gzip archive; unpack it (tar xf)"
    elif head.startswith(b"version https://git-lfs"):
        found = "a pointer of Git LFS instead of the file itself (git lfs pull)"
    elif head.startswith(b"PK"):
        found = f"a truncated file: it begins well and lacks its end ({size:,} bytes; the released one has about 2,690,000,000)"
    else:
        found = f"no torch file ({size:,} bytes, beginning with {head[:8]!r})"
    raise _refusal(path, _EXPECTED, found, _AGAIN)


def _check_bytes(path):
    """Raise where bytes of the archive are not those that were written, by its own checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        damaged = str(error)
    if damaged is not None:
        raise _refusal(path, _EXPECTED, f"a damaged file ({damaged})", _AGAIN)


def _load(path):
    """The content of a torch file, its tensors mapped from the file; foreign classes as inert stand-ins."""
    with warnings.catch_warnings():
        # Of kinds of files and pickles that are refused, or read by the second way, below.
        warnings.filterwarnings("ignore", module=r"torch\.|handroll\.pose\.hamer\.checkpoint")
        try:
            return _load_plain(path)
        except OSError:
            raise
        # A damaged or hostile pickle can make the unpickler fail in any way.
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise _refusal(path, _EXPECTED, f"what torch cannot read ({reason})", _AGAIN) from error


def _load_plain(path):
    """The content by weights_only, or by the restricted unpickler where that refuses."""
    try:
        return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError:
        # Not so TorchScript archives, which torch.load would hand on: they fail above by another error.
        return torch.load(path, map_location="cpu", mmap=True, weights_only=False, pickle_module=_RESTRICTED_PICKLE)


class _Inert:
    """Stands for an object of a class that is not loaded: takes whatever a pickle does with it and keeps nothing."""

    def __new__(cls, *arguments, **named):
        return super().__new__(cls)

    def __init__(self, *arguments, **named):
        pass

    def __call__(self, *arguments, **named):
        return _Inert()

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def add(self, item):
        pass


class _RestrictedUnpickler(pickle.Unpickler):
    """Knows ordered dictionaries and plain tensors; every other name is inert.

    What it hands out is made anew for each file, so that a pickle that changes what it was given changes nothing else.
    Types of storages never come here: torch.load makes a stand-in of its own of their names.
    """

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *arguments: torch._utils._rebuild_tensor_v2(*arguments)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda *arguments: torch._utils._rebuild_parameter(*arguments)
        return type("Inert", (_Inert,), {})


def _no_loading(*arguments, **named):
    """In place of `pickle.load`, which torch calls for files of before 2020 only."""
    raise pickle.UnpicklingError("a torch file of a kind from before 2020")


_RESTRICTED_PICKLE = SimpleNamespace(
    __name__="restricted_pickle", Unpickler=_RestrictedUnpickler, load=_no_loading, UnpicklingError=pickle.UnpicklingError
)


def mano_differences(buffers, model):
    """How the MANO that a checkpoint was trained with differs from the user's.

    Parameters
    ----------
    buffers : dict of str to tensor
        `Checkpoint.mano`; buffers that are absent are not compared.
    model : object
        Right hand: `template_m` (778, 3), `shape_directions` (778, 3, 10), `pose_directions` (778, 3, 135), `joint_regressor`
        (16, 778), `weights` (778, 16), `parents` (16), `hands_mean` (45).

    Returns
    -------
    list of str
        One sentence a difference; empty where nothing differs by more than 1e-6.
    """
    pose_directions = np.asarray(model.pose_directions)
    pairs = (
        ("v_template", "the mesh at rest", model.template_m),
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
        # Not the other way round: NaN is a difference.
        if not largest <= MANO_TOLERANCE:
            sentences.append(f"{what} ({name}): the checkpoint's differs from the MANO file's by up to {largest:.3g}")
    return sentences
