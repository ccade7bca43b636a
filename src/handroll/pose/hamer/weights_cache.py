"""Convert HaMeR's checkpoint once to a compact file, which contains the network's parameters in the types that inference uses.

The compact file has 1.42 GB (bfloat16); the released checkpoint has 2.69 GB. The file is mapped into memory, so that the network starts
fast and the processes of one machine share the memory. It contains no data of MANO. Its name contains the checkpoint's SHA-256. That hash
is stored in a separate file, so that the large checkpoint is hashed only once. A stored hash is valid as long as the checkpoint's path,
size and times stay the same.
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
"""Name and version of the format of compact files, increased manually when their content changes. Files of another format are
written again."""

# Types of the backbone's matrices, and their names in file names.
_TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16"}


@dataclass(frozen=True)
class Compact:
    """Content of a compact file.

    Attributes
    ----------
    state : dict of str to tensor
        Parameters `backbone.*` and `mano_head.*` with the released names and shapes.
    sha256 : str
        SHA-256 of the checkpoint from which the file was converted.
    path : Path
        The compact file. It must not change while the tensors are used.
    """

    state: dict
    sha256: str
    path: Path


def compact_checkpoint(path, settings, dtype=torch.float32):
    """Load the network's parameters from the compact file beside a checkpoint. Write that file first if it is missing or damaged.

    Parameters
    ----------
    path : path of hamer.ckpt
    settings : settings.HamerSettings
    dtype : torch.dtype
        Type of the backbone's matrices, float32 or bfloat16. All other parameters are float32.

    Returns
    -------
    Compact

    Raises
    ------
    HamerError
        The checkpoint is missing or not the required one, or its folder cannot be written to.
    ValueError
        `dtype` is neither float32 nor bfloat16.
    """
    if dtype not in _TYPES:
        raise ValueError(f"dtype: expected {' or '.join(map(str, _TYPES))}, found {dtype}")
    path = Path(path)
    if not path.is_file():
        # This call raises the error that describes the problem.
        load_checkpoint(path, settings)
    folder = path.parent
    with _file_lock(folder / f".{path.name}.lock"):
        sha256 = checkpoint_sha256(path)
        compact = folder / f"{path.stem}-{sha256[:16]}-{_TYPES[dtype]}.pt"
        if compact.exists():
            try:
                return _read(compact, path, sha256, settings, dtype)
            except _DamagedError as error:
                LOGGER.warning("%s: %s; the file is written again", compact, error)
        checkpoint = load_checkpoint(path, settings)
        if checkpoint.sha256 != sha256:
            raise _changed_file_error(path)
        with _explain_write_errors(folder):
            _write(compact, checkpoint, dtype)
        try:
            return _read(compact, path, sha256, settings, dtype)
        except _DamagedError as error:
            message = f"{compact}: the file was just written, but {error}; check the disk"
            raise HamerError(message) from error


@contextmanager
def _explain_write_errors(folder):
    """Convert errors of writing in the block to a HamerError that states what to do."""
    try:
        yield
    # On a full disk, torch raises RuntimeError.
    except (OSError, RuntimeError) as error:
        raise HamerError(
            f"{folder}: expected a writable folder with 3 GB of free space for the compact form of the checkpoint, "
            f"found {error}; free some space, or move the checkpoint to such a folder"
        ) from error


def _changed_file_error(path):
    """Build the HamerError for a checkpoint that changes while it is read."""
    return HamerError(f"{path}: expected a complete file, found one that changed while it was read; run again when nothing writes to it")


def checkpoint_sha256(path):
    """Return the SHA-256 of a checkpoint. The hash is stored beside the file and reused while its path, size and times are the same.

    Parameters
    ----------
    path : path of the checkpoint

    Returns
    -------
    str, 64 hexadecimal digits
    """
    path = Path(path)
    record = path.with_name(f"{path.stem}.sha256.json")
    before = _path_size_and_times(path)
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["file"] == before and len(known["sha256"]) == 64:
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    sha256 = file_sha256(path)
    if _path_size_and_times(path) != before:
        raise _changed_file_error(path)
    try:
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps({"file": before, "sha256": sha256}), encoding="utf-8")
    except OSError as error:
        LOGGER.info("%s: cannot be written (%s), so the next run hashes the checkpoint again", record, error)
    return sha256


def _path_size_and_times(path):
    """Return path, size and times, which identify a version of a file. Unlike the modification time, the change time cannot be set back."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@contextmanager
def _file_lock(lock):
    """Hold a file lock while the block runs, so that only one process at a time runs it. In a read-only folder no lock is taken."""
    with ExitStack() as stack:
        with suppress(OSError):
            fcntl.flock(stack.enter_context(open(lock, "w")), fcntl.LOCK_EX)
        yield


class _DamagedError(Exception):
    """A compact file is damaged. The message is a clause about the file ("it cannot be read")."""


def _write(path, checkpoint, dtype):
    """Write the compact file of a `Checkpoint`, with matrices of the type `dtype`. If writing fails, no file remains."""
    state = {name: value for name, value in checkpoint.state.items() if not name.startswith("backbone.")}
    state |= typed_backbone(checkpoint.state, dtype)
    content = {"format": FORMAT, "sha256": checkpoint.sha256, "digest": _digest(state), "state": state}
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def _read(path, checkpoint, sha256, settings, dtype):
    """Read and verify a compact file, and return a `Compact`. Raise _DamagedError if its content is not that which was written.

    `checkpoint` is the path of the checkpoint from which it was converted, and `sha256` the checkpoint's hash.
    """
    try:
        # The checksums of the archive are not verified, because the digest verifies the tensors.
        content = load_torch(path, mapped=True, checksums=False)
        digest = _digest(content["state"])
        facts = (content["format"], content["sha256"], content["digest"])
    # A damaged file can raise any exception.
    except Exception as error:
        raise _DamagedError(f"it cannot be read ({type(error).__name__})") from error
    if facts != (FORMAT, sha256, digest):
        raise _DamagedError("its content is not what was written")

    def expected(name):
        """Return the type that a parameter has in the compact file."""
        return typed_backbone({name: torch.empty(0)}, dtype)[name].dtype if name.startswith("backbone.") else torch.float32

    # The file is complete here, so a wrong layout is a problem of the checkpoint or of the settings.
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
