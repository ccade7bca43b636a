"""Convert HaMeR's checkpoint once to a compact file: the network's parameters in the types it runs in.

The file has 1.42 GB (bfloat16) instead of the released 2.69 GB. It is mapped into memory, so it starts fast and the processes of one
machine share it. It contains nothing of MANO. Its name contains the checkpoint's SHA-256. That hash is stored beside it, so that the
large file is hashed once. A stored hash is valid as long as the checkpoint's path, size and times stay the same.
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
from handroll.safe_pickle import load_torch

LOGGER = logging.getLogger("handroll")

FORMAT = "handroll hamer 1"
"""Raised when the content of compact files changes. Files of another format are written again."""

_TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


@dataclass(frozen=True)
class Compact:
    """Content of a compact file.

    Attributes
    ----------
    state : dict of str to tensor
        `backbone.*` and `mano_head.*` with the released names and shapes.
    sha256 : str
        Of the checkpoint that it was converted from.
    path : Path
        The compact file. It must not change while the tensors are used.
    """

    state: dict
    sha256: str
    path: Path


def compact_checkpoint(path, settings, dtype=torch.float32):
    """Load the network's parameters from the compact file beside a checkpoint. It is written if it is missing or damaged.

    Parameters
    ----------
    path : path of hamer.ckpt
    settings : settings.HamerSettings
    dtype : torch.dtype
        Of the backbone's matrices, float32 or bfloat16. All other parameters are float32.

    Returns
    -------
    Compact

    Raises
    ------
    HamerError
        The checkpoint is missing or not the required one, or its folder cannot be written to.
    ValueError
        Another `dtype`.
    """
    if dtype not in _TYPES:
        raise ValueError(f"dtype: expected {' or '.join(map(str, _TYPES))}, found {dtype}")
    path = Path(path)
    if not path.is_file():
        # Raises the error that describes the problem.
        load_checkpoint(path, settings)
    folder = path.parent
    with _one_at_a_time(folder / f".{path.name}.lock"):
        sha256 = checkpoint_sha256(path)
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
            message = f"{compact}: expected the file that was just written, found that {error}; check the disk"
            raise HamerError(message) from error


@contextmanager
def _writing(folder):
    """Convert errors of writing to one error that says what to do."""
    try:
        yield
    # On a full disk, torch raises RuntimeError.
    except (OSError, RuntimeError) as error:
        raise HamerError(
            f"{folder}: expected a writable folder with 3 GB of free space for the compact form of the checkpoint, "
            f"found {error}; make room, or move the checkpoint to such a folder"
        ) from error


def _changing(path):
    """Return the error for a checkpoint that is being written."""
    return HamerError(f"{path}: expected an unchanging file, found one that changed while it was read; run again when it is complete")


def checkpoint_sha256(path):
    """Return the SHA-256 of a checkpoint. It is stored beside it and reused while the file's path, size and times are the same.

    Parameters
    ----------
    path : path of the checkpoint

    Returns
    -------
    str, 64 hexadecimal digits
    """
    path = Path(path)
    record = path.with_name(f"{path.stem}.sha256.json")
    before = _identity(path)
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["file"] == before and len(known["sha256"]) == 64:
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    sha256 = file_sha256(path)
    if _identity(path) != before:
        raise _changing(path)
    try:
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps({"file": before, "sha256": sha256}), encoding="utf-8")
    except OSError as error:
        LOGGER.info("%s: not written (%s); the next run hashes the checkpoint again", record, error)
    return sha256


def _identity(path):
    """Return what identifies a file version without reading it. Unlike the modification time, the change time cannot be set back."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@contextmanager
def _one_at_a_time(lock):
    """Hold a file lock while the block runs, so that only one process runs it. In a read-only folder there is no lock."""
    with ExitStack() as stack:
        with suppress(OSError):
            fcntl.flock(stack.enter_context(open(lock, "w")), fcntl.LOCK_EX)
        yield


class _DamagedError(Exception):
    """A compact file is damaged."""


def _write(path, checkpoint, dtype):
    """Write a compact file completely or not at all."""
    state = {name: value for name, value in checkpoint.state.items() if not name.startswith("backbone.")}
    state |= typed_backbone(checkpoint.state, dtype)
    content = {"format": FORMAT, "sha256": checkpoint.sha256, "digest": _digest(state), "state": state}
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _read(path, checkpoint, sha256, settings, dtype):
    """Read and verify a compact file; raise _DamagedError if any byte differs from what was written."""
    try:
        # Without the archive's checksums: the digest covers the tensors.
        content = load_torch(path, mapped=True, checksums=False)
        digest = _digest(content["state"])
        facts = (content["format"], content["sha256"], content["digest"])
    # A damaged file can fail in any way.
    except Exception as error:
        raise _DamagedError(f"cannot be read ({type(error).__name__})") from error
    if facts != (FORMAT, sha256, digest):
        raise _DamagedError("its content is not what was written")

    def expected(name):
        return typed_backbone({name: torch.empty(0)}, dtype)[name].dtype if name.startswith("backbone.") else torch.float32

    # If the file is complete, a wrong layout is a problem of the checkpoint or the settings.
    check_state(content["state"], settings, checkpoint, expected)
    return Compact(content["state"], sha256, path)


def _digest(state):
    """Return the SHA-256 of tensors with their names, shapes and types, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
