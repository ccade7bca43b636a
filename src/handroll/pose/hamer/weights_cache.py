"""The compact file made of HaMeR's checkpoint once: what the network needs, in the types it runs in.

Of the released 2.69 GB it holds 1.42 GB (bfloat16), is mapped into memory rather than read, and so starts fast and is
shared by processes of one machine. It holds nothing of MANO. It is named after the checkpoint's SHA-256, which is itself kept beside it,
so that the large file is hashed once; a hash counts as long as the file's path, size and times stay the same.
"""

import fcntl
import hashlib
import json
import logging
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from handroll.pose.hamer.backbone import typed_backbone
from handroll.pose.hamer.checkpoint import check_state, load_checkpoint
from handroll.pose.hamer.settings import HamerError
from handroll.provenance import atomic_path, file_sha256

LOGGER = logging.getLogger("handroll")

FORMAT = "handroll hamer 1"
"""Raised when the content of compact files changes; files of another are written again."""

_TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


@dataclass(frozen=True)
class Compact:
    """A compact file's content.

    Attributes
    ----------
    state : dict of str to tensor
        `backbone.*` and `mano_head.*` with the released names and shapes.
    sha256 : str
        Of the checkpoint it was made of.
    path : Path
        The compact file, which has to stay as it is as long as the tensors are used.
    """

    state: dict
    sha256: str
    path: Path


def compact_checkpoint(path, settings, dtype=torch.float32, cache=None):
    """The network's parameters by way of the compact file, which is made where it is not there or damaged.

    Parameters
    ----------
    path : path of hamer.ckpt
    settings : settings.HamerSettings
    dtype : torch.dtype
        Of the backbone's matrices, float32 or bfloat16; all else is float32.
    cache : path of a folder, optional
        Where the compact file is; beside the checkpoint by default.

    Returns
    -------
    Compact

    Raises
    ------
    HamerError
        The checkpoint is missing or not what it has to be, or the folder cannot be written to.
    ValueError
        Another `dtype`.
    """
    if dtype not in _TYPES:
        raise ValueError(f"dtype: expected {' or '.join(map(str, _TYPES))}, found {dtype}")
    path = Path(path)
    if not path.is_file():
        # Says what is wrong.
        load_checkpoint(path, settings)
    folder = path.parent if cache is None else Path(cache)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(folder / f".{path.name}.lock"):
        sha256 = checkpoint_sha256(path, folder)
        compact = folder / f"{path.stem}-{sha256[:16]}-{_TYPES[dtype]}.pt"
        if compact.exists():
            try:
                return _read(compact, path, sha256, settings, dtype)
            except _DamagedError as error:
                LOGGER.warning("%s: %s; written again", compact, error)
        checkpoint = load_checkpoint(path, settings)
        if checkpoint.sha256 != sha256:
            raise _changing(path)
        with _writing(folder):
            _write(compact, checkpoint, dtype)
        try:
            return _read(compact, path, sha256, settings, dtype)
        except _DamagedError as error:
            message = f"{compact}: expected what was just written, found that {error}; check the disk or give another cache"
            raise HamerError(message) from error


@contextmanager
def _writing(folder):
    """Turn errors of writing into one that says what to do."""
    try:
        yield
    # torch tells of a full disk by a RuntimeError.
    except (OSError, RuntimeError) as error:
        raise HamerError(
            f"{folder}: expected a folder for the compact form of the checkpoint, with 3 GB of room and allowed to be written to, "
            f"found {error}; make room or choose another folder for the cache"
        ) from error


def _changing(path):
    """The error of a checkpoint that is being written."""
    return HamerError(f"{path}: expected a file at rest, found one that changed while it was read; run again when it is whole")


def checkpoint_sha256(path, folder):
    """SHA-256 of a checkpoint, kept in `folder` for as long as the file's path, size and times are the same.

    Parameters
    ----------
    path : path of the checkpoint
    folder : path of a folder

    Returns
    -------
    str, 64 hexadecimal digits
    """
    path = Path(path)
    kept = Path(folder) / f"{path.stem}.sha256.json"
    before = _identity(path)
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
        if known["file"] == before and len(known["sha256"]) == 64:
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    sha256 = file_sha256(path)
    if _identity(path) != before:
        raise _changing(path)
    try:
        with atomic_path(kept) as temporary:
            temporary.write_text(json.dumps({"file": before, "sha256": sha256}), encoding="utf-8")
    except OSError as error:
        LOGGER.info("%s: not written (%s); the checkpoint is hashed again the next time", kept, error)
    return sha256


def _identity(path):
    """What says that a file is the same without reading it. The time of the last change of its state cannot be set back."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@contextmanager
def _one_at_a_time(lock):
    """While the block runs no other process is in one with the same lock; without it where the folder is read-only."""
    with ExitStack() as stack:
        with suppress(OSError):
            fcntl.flock(stack.enter_context(open(lock, "w")), fcntl.LOCK_EX)
        yield


class _DamagedError(Exception):
    """A compact file that is not whole."""


def _write(path, checkpoint, dtype):
    """Write a compact file, whole or not at all."""
    state = {name: value for name, value in checkpoint.state.items() if not name.startswith("backbone.")}
    state |= typed_backbone(checkpoint.state, dtype)
    content = {"format": FORMAT, "sha256": checkpoint.sha256, "digest": _digest(state), "state": state}
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _read(path, checkpoint, sha256, settings, dtype):
    """Read and verify a compact file; raise _DamagedError where a byte of it is not what was written."""
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        digest = _digest(content["state"])
        facts = (content["format"], content["sha256"], content["digest"])
    # A damaged file can make the unpickler fail in any way.
    except Exception as error:
        raise _DamagedError(f"cannot be read ({type(error).__name__})") from error
    if facts != (FORMAT, sha256, digest):
        raise _DamagedError("its content is not what was written")

    def expected(name):
        return typed_backbone({name: torch.empty(0)}, dtype)[name].dtype if name.startswith("backbone.") else torch.float32

    # What is wrong with a whole file is wrong with the checkpoint, or with the settings.
    check_state(content["state"], settings, checkpoint, expected)
    return Compact(content["state"], sha256, path)


def _digest(state):
    """SHA-256 of tensors with their names, shapes and types, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
