"""Provenance of files: hashes of code and inputs, metadata that names them, and atomic writing."""

import ast
import hashlib
import json
import os
import platform
import re
import secrets
import stat
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from handroll import __version__

PACKAGE = Path(__file__).resolve().parent

PLUMBING = ("device", "logs", "provenance", "storage", "tables")
"""Modules that move data and messages but compute no results: a costly step may use them without a VERSION."""


_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9-]*)_(?P<process>\d+)_[0-9a-f]{8}\.part(\.[^.]*)?")
"""Names of temporary files: the full name of the target, then the host and the process that writes it."""

ABANDONED_S = 24 * 3600.0
"""Age (s) at which a temporary file of another host counts as abandoned; processes of other hosts cannot be checked."""


@contextmanager
def atomic_path(path):
    """Yield a temporary path next to `path`; rename it to `path` when the block succeeds, remove it when the block fails.

    Several processes may write the same path at the same time: each has its own temporary file, and the last one to finish wins.
    Temporary files that killed processes left for this path are removed.

    Parameters
    ----------
    path : path
        Its folder is created where missing.

    Yields
    ------
    pathlib.Path
        With the suffix of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in path.parent.iterdir():
        if temporary_target(file.name) == path.name and _abandoned(file):
            file.unlink(missing_ok=True)
    # The suffix comes last, since encoders choose the container by it.
    temporary = path.with_name(f".{path.name}.{_host()}_{os.getpid()}_{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_target(name):
    """Return the target's name for a temporary file of `atomic_path`, None for any other file.

    Parameters
    ----------
    name : str
        File name without its folder.
    """
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found and Path(found["name"]).suffix == (found[4] or "") else None


def _host():
    return re.sub("[^A-Za-z0-9-]+", "-", platform.node())


def _abandoned(temporary):
    """Whether the process that wrote a temporary file has ended."""
    found = _TEMPORARY.fullmatch(temporary.name)
    if found["host"] == _host():
        return not _process_exists(int(found["process"]))
    try:
        return time.time() - temporary.lstat().st_mtime > ABANDONED_S
    except FileNotFoundError:
        return False


def _process_exists(process):
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def file_sha256(path):
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path):
    """Identify a version of a file without reading it, independent of its path.

    Parameters
    ----------
    path : path

    Returns
    -------
    [int, int] or None
        Size in bytes, and time of the last change in whole seconds since 1970, since some archives keep no fractions. None where
        there is no file.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, int(found.st_mtime)] if stat.S_ISREG(found.st_mode) else None


@cache
def _parsed(path):
    """Parse a Python file.

    Returns
    -------
    normal_form : str
        Its code without comments, docstrings and layout.
    imported : frozenset of str
        Names that import statements name.
    named : frozenset of str
        Modules whose name is a string in the file, as in a table of engines that are imported when they are used.
    """
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), filename=str(path))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            imported.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # A bare string is the docstring of a module, class, function or attribute.
            kept = [
                s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))
            ]
            node.body = kept or ([ast.Pass()] if not isinstance(node, ast.Module) else [])
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # "handroll.music." is the beginning of a name that is completed at run time, and names no module.
    named = {text for text in texts if text.startswith(f"{PACKAGE.name}.") and not text.endswith(".") and _module_path(text)}
    return ast.unparse(tree), frozenset(imported), frozenset(named)


def _module_path(name):
    """Return the file of a `handroll` module; None for any other name, such as a function or another package."""
    if name.split(".")[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _required_path(module):
    """Return the file of a `handroll` module; raise ValueError where there is no such module."""
    path = _module_path(module)
    if path is None:
        raise ValueError(f"{module}: expected the name of a handroll module, found no such module")
    return path


def _files_of(module):
    """Return the file of a module, or all files of a package."""
    path = _required_path(module)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _imported_files(files, chosen=()):
    """Return the files of handroll that some files import, directly or not, and those files: path to normal form.

    Parameters
    ----------
    files : iterable of path
    chosen : iterable of str
        Modules that are imported by name and used here, such as engines; or the packages that contain them.

    Raises
    ------
    ValueError
        A file names modules, and none of them is chosen.
    """
    pending, found = [*files, *(path for module in chosen for path in _files_of(module))], {}
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found[path], imported, named = _parsed(path)
        if path == PACKAGE / "__init__.py":
            # No step uses the public entry points, which the root package imports on first use.
            imported = named = frozenset()
        if named and not any(f"{name}.".startswith(f"{module}.") for name in named for module in chosen):
            raise ValueError(
                f"{path}: expected one of {', '.join(sorted(named))} among the modules that the step lists, found none; "
                "list the module that the step runs"
            )
        for name in imported:
            parts = name.split(".")
            # Python also runs the packages around a module; the root package counts only where it is imported by name.
            pending.extend(p for p in (_module_path(".".join(parts[:end])) for end in range(min(2, len(parts)), len(parts) + 1)) if p)
    return found


def code_hash(script, chosen=()):
    """Hash the code of a script and of every handroll module that it imports, directly or not.

    Layout, comments and docstrings do not change the hash, so editing them causes no rerun.

    Parameters
    ----------
    script : path of a Python file
    chosen : iterable of str
        Modules that are imported by name and used by this step, such as engines.

    Returns
    -------
    str, 16 hexadecimal digits

    Raises
    ------
    ValueError
        A module that the script imports names others by string, and none of them is chosen.
    """
    files = _imported_files([Path(script).resolve()], chosen)
    # Sorted by name instead of path, so that the hash does not depend on the folder of the installation.
    names = {path: path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name for path in files}
    digest = hashlib.sha256()
    for path in sorted(files, key=names.get):
        digest.update(f"{names[path]}\n{files[path]}\n".encode())
    return digest.hexdigest()[:16]


def module_versions(script, modules):
    """Return the `VERSION` of modules, such as "handroll.detection.hand_tracks 3", for a step that is too costly to rerun often.

    `VERSION` is raised by hand when the results of a module, or of anything that it imports, change. Together, these modules and
    `PLUMBING` must import every module that the script imports, so that no module is forgotten.

    Parameters
    ----------
    script : path of a Python file
    modules : iterable of str
        Modules or packages, among them the modules that are imported by name and used by this step.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        A module does not exist or assigns no integer to VERSION, or the script imports a module that none of these imports.
    """
    versions = [f"{module} {_version(module)}" for module in modules]
    covered = _imported_files(
        [path for module in (*modules, *(f"{PACKAGE.name}.{name}" for name in PLUMBING)) for path in _files_of(module)], modules
    )
    run = _imported_files([Path(script).resolve()], modules)
    missing = sorted(
        path.relative_to(PACKAGE).as_posix() for path, text in run.items() if path.is_relative_to(PACKAGE) and path not in covered and text
    )
    if missing:
        raise ValueError(
            f"{script}: imports {', '.join(missing)}, which no VERSION of {', '.join(modules)} covers; "
            "give one of these modules a VERSION and add it to the rule's `versions_of`"
        )
    return versions


def _version(module):
    """Read the integer that a module assigns to VERSION, without importing the module."""
    path = _required_path(module)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "VERSION" for t in node.targets):
            value = ast.literal_eval(node.value)
            if isinstance(value, int):
                return value
    raise ValueError(f"{path}: expected a line such as `VERSION = 1`, found none")


def stamp(step, code, settings=None, **metadata):
    """Return key-value metadata that describes how a table was made, without times and paths.

    A table inherits the metadata of the table it is made from and adds the stamp of its own step, so it lists all steps.

    Parameters
    ----------
    step : str
        Name of the rule.
    code : str or list of str
        `code_hash` or `module_versions` of the step.
    settings : dict, optional
        Configuration values that the step used.
    **metadata : str, number or None
        More entries, such as the engine; entries with None are left out.

    Returns
    -------
    dict of str to str
        Under the step's name, a JSON object with handroll's version, the code and the settings; then the other entries.
    """
    made = {"handroll_version": __version__, "code": code, "settings": settings or {}}
    return {step: json.dumps(made, sort_keys=True)} | {name: str(value) for name, value in metadata.items() if value is not None}
