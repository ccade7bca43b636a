"""Record the provenance of files: hashes of code and inputs, metadata for tables, and atomic writing."""

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
"""Folder of the package handroll."""

PLUMBING = ("device", "logs", "provenance", "storage", "tables")
"""Modules that move data and messages but compute no results. A step with `module_versions` may import them without a VERSION."""

# Names of temporary files: the full name of the target, then the host and the process that writes the file.
_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9-]*)_(?P<process>\d+)_[0-9a-f]{8}\.part(\.[^.]*)?")

ABANDONED_S = 24 * 3600.0
"""Age at which a temporary file of another host counts as abandoned, s. The processes of other hosts cannot be checked."""


@contextmanager
def atomic_path(path):
    """Yield a temporary path next to `path`. Rename it to `path` when the block succeeds; remove it when the block fails.

    Several processes may write the same path at the same time. Each has its own temporary file, and the last process to finish wins.
    Temporary files of killed processes for the same path are removed.

    Parameters
    ----------
    path : path
        Target. Its folder is created if it does not exist.

    Yields
    ------
    pathlib.Path
        Temporary path, with the suffix of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in path.parent.iterdir():
        if temporary_target(file.name) == path.name and _is_abandoned(file):
            file.unlink(missing_ok=True)
    # The suffix is at the end, since encoders choose the container format by the suffix.
    temporary = path.with_name(f".{path.name}.{_host_name()}_{os.getpid()}_{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_target(name):
    """Return the name of the target of a temporary file of `atomic_path`; None for any other file.

    Parameters
    ----------
    name : str
        File name without its folder.
    """
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found and Path(found["name"]).suffix == (found[4] or "") else None


def _host_name():
    """Return the name of this computer, with letters, digits and hyphens only."""
    return re.sub("[^A-Za-z0-9-]+", "-", platform.node())


def _is_abandoned(temporary):
    """Return whether the process that wrote a temporary file has ended. For a file of another host, its age decides (`ABANDONED_S`)."""
    found = _TEMPORARY.fullmatch(temporary.name)
    if found["host"] == _host_name():
        return not _process_exists(int(found["process"]))
    try:
        return time.time() - temporary.lstat().st_mtime > ABANDONED_S
    except FileNotFoundError:
        return False


def _process_exists(process):
    """Return whether a process with this id runs on this computer."""
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
    """Return the size and time of a file, which identify its version without reading it.

    Parameters
    ----------
    path : path

    Returns
    -------
    [int, int] or None
        Size in bytes, and time of the last change in whole seconds since 1970; some archives store no fractions of a second. None
        if there is no file.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, int(found.st_mtime)] if stat.S_ISREG(found.st_mode) else None


@cache
def _parse_module(path):
    """Parse a Python file.

    Returns
    -------
    normal_form : str
        Code of the file without comments, docstrings and layout.
    imported : frozenset of path
        Files of handroll that import statements run: those of modules and of their parent packages.
    named : frozenset of str
        Modules whose name is a string in the file, such as in a table of engines that are imported when they are used.
    """
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), filename=str(path))
    imported, texts, docstrings = set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node not in docstrings:
                texts.add(node.value)
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            imported.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # A bare string is the docstring of a module, class, function or attribute.
            bare = [s for s in body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str)]
            docstrings.update(s.value for s in bare)
            node.body = [s for s in body if s not in bare] or ([ast.Pass()] if not isinstance(node, ast.Module) else [])
    # A string such as "handroll.music." is the beginning of a name that is completed at run time. It is not a module name.
    named = {text for text in texts if text.startswith(f"{PACKAGE.name}.") and not text.endswith(".") and _module_path(text)}
    # An import also runs `__init__.py` of the parent packages. The root package is included only if a statement names it.
    parts = [name.split(".") for name in imported]
    modules = {".".join(name[:end]) for name in parts for end in range(min(2, len(name)), len(name) + 1)}
    files = frozenset(path for path in map(_module_path, modules) if path)
    return ast.unparse(tree), files, frozenset(named)


def _module_path(name):
    """Return the file of a `handroll` module; None for any other name, such as a function or another package."""
    if name.split(".")[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _required_path(module):
    """Return the file of a `handroll` module; raise ValueError if there is no such module."""
    path = _module_path(module)
    if path is None:
        raise ValueError(f"{module}: expected the name of a handroll module, found no such module")
    return path


def _files_of(module):
    """Return the file of a module, or all files of a package."""
    path = _required_path(module)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _imported_files(files, chosen=()):
    """Return the given files and all files of handroll that they import, directly or indirectly, as a dict of path to normal form.

    Parameters
    ----------
    files : iterable of path
    chosen : iterable of str
        Modules that the files import by a name in a string, such as engines; or the packages that contain them.

    Raises
    ------
    ValueError
        A file contains names of modules as strings, and `chosen` contains none of them.
    """
    pending, found = [*files, *(path for module in chosen for path in _files_of(module))], {}
    while pending:
        path = pending.pop()
        if path in found:
            continue
        found[path], imported, named = _parse_module(path)
        if path == PACKAGE / "__init__.py":
            # The root package imports the public entry points on first use. No step uses them.
            imported = named = frozenset()
        if named and not any(f"{name}.".startswith(f"{module}.") for name in named for module in chosen):
            raise ValueError(
                f"{path}: imports one of {', '.join(sorted(named))} by its name, and the rule lists none of them; "
                "add the module that the step runs to the modules that the rule gives to code_of or versions_of"
            )
        pending.extend(imported)
    return found


def code_hash(script, chosen=()):
    """Return a hash of the code of a script and of every handroll module that it imports, directly or indirectly.

    Layout, comments and docstrings do not change the hash, so editing them causes no rerun.

    Parameters
    ----------
    script : path of a Python file
    chosen : iterable of str
        Modules that this step imports by a name in a string, such as engines.

    Returns
    -------
    str, 16 hexadecimal digits

    Raises
    ------
    ValueError
        An imported file contains names of modules as strings, and `chosen` contains none of them.
    """
    files = _imported_files([Path(script).resolve()], chosen)
    # The files are sorted by name instead of path, so that the hash does not depend on the folder of the installation.
    names = {path: path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name for path in files}
    digest = hashlib.sha256()
    for path in sorted(files, key=names.get):
        digest.update(f"{names[path]}\n{files[path]}\n".encode())
    return digest.hexdigest()[:16]


def module_versions(script, modules):
    """Return the `VERSION` of modules, such as "handroll.detection.hand_tracks 3", as the code version of a costly step.

    Such a step reruns only when one of these versions changes. Increase a `VERSION` manually when the results of its module, or of a module
    that it imports, change. Every module that the script imports must be in `modules` or `PLUMBING`, or be imported by one of them;
    otherwise a change in it would not rerun the step.

    Parameters
    ----------
    script : path of a Python file
    modules : iterable of str
        Modules or packages, including those that this step imports by a name in a string, such as engines.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        A module does not exist or assigns no integer to VERSION. Or the script imports a module that is neither in `modules` or `PLUMBING`
        nor imported by one of them.
    """
    versions = [f"{module} {_read_version(module)}" for module in modules]
    covered = _imported_files(
        [path for module in (*modules, *(f"{PACKAGE.name}.{name}" for name in PLUMBING)) for path in _files_of(module)], modules
    )
    run = _imported_files([Path(script).resolve()], modules)
    missing = sorted(
        path.relative_to(PACKAGE).as_posix() for path, text in run.items() if path.is_relative_to(PACKAGE) and path not in covered and text
    )
    if missing:
        raise ValueError(
            f"{script}: imports {', '.join(missing)}, which none of the versioned modules ({', '.join(modules)}) imports; a change there "
            "would not rerun the rule. Set VERSION = 1 in a module that is or imports them, and add that module to versions_of in the rule"
        )
    return versions


def _read_version(module):
    """Read the integer that a module assigns to VERSION, without importing the module."""
    path = _required_path(module)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "VERSION" for t in node.targets):
            value = ast.literal_eval(node.value)
            if isinstance(value, int):
                return value
    raise ValueError(f"{path}: expected a line such as `VERSION = 1`, found none")


def stamp(step, code, settings=None, **metadata):
    """Return key-value metadata that describes how a table was created, without times and paths.

    A table inherits the metadata of its input table and adds the stamp of its own step, so its metadata lists all steps.

    Parameters
    ----------
    step : str
        Name of the rule.
    code : str or list of str
        Result of `code_hash` or `module_versions` for the step.
    settings : dict, optional
        Configuration values that the step used.
    **metadata : str, number or None
        Further entries, such as the engine. Entries with None are left out.

    Returns
    -------
    dict of str to str
        The key `step` contains a JSON object with handroll's version, the code and the settings. The other keys are those of `metadata`.
    """
    made = {"handroll_version": __version__, "code": code, "settings": settings or {}}
    return {step: json.dumps(made, sort_keys=True)} | {name: str(value) for name, value in metadata.items() if value is not None}
