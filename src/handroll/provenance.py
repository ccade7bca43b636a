"""What made a file: hashes of code and inputs, and writing that leaves either the whole file or nothing."""

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
"""Modules that carry data and messages and compute nothing: what a costly step runs of them needs no VERSION."""


_HALF_WRITTEN = re.compile(r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9-]*)_(?P<process>\d+)_[0-9a-f]{8}\.part(\.[^.]*)?")
"""Names of temporary files: the whole name of the target, so that none belongs to two targets, and who writes it."""

ABANDONED_S = 24 * 3600.0
"""A temporary file of another machine, whose processes cannot be seen here, is taken for a killed one's when nobody has written to
it for this long (s)."""


@contextmanager
def atomic_path(path):
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    Several processes may write the same path at once: each has a temporary file of its own, and the last one to end wins.
    What a killed process left behind for this path is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for file in path.parent.iterdir():
        if half_written(file.name) == path.name and _abandoned(file):
            file.unlink(missing_ok=True)
    # The suffix stays last: encoders choose the container by it.
    temporary = path.with_name(f".{path.name}.{_host()}_{os.getpid()}_{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def half_written(name):
    """The name of the file that `atomic_path` is writing, or was when it was killed; None for the name of any other file.

    Parameters
    ----------
    name : str
        Of a file, without its folder.
    """
    found = _HALF_WRITTEN.fullmatch(name)
    return found["name"] if found and Path(found["name"]).suffix == (found[4] or "") else None


def _host():
    return re.sub("[^A-Za-z0-9-]+", "-", platform.node())


def _abandoned(temporary):
    """Whether nobody writes to a temporary file any more."""
    found = _HALF_WRITTEN.fullmatch(temporary.name)
    if found["host"] == _host():
        return not _alive(int(found["process"]))
    try:
        return time.time() - temporary.lstat().st_mtime > ABANDONED_S
    except FileNotFoundError:
        return False


def _alive(process):
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def file_sha256(path):
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path):
    """Identity of a file version without reading the file, independent of its path.

    Parameters
    ----------
    path : path

    Returns
    -------
    [int, int] or None
        Bytes, and time of the last change (s since 1970): whole seconds, since some archives keep no more. None where there is no file.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_size, int(found.st_mtime)] if stat.S_ISREG(found.st_mode) else None


@cache
def _meaning(path):
    """(normal form, imported names, named modules) of a Python file: its syntax tree without comments, docstrings and layout.

    A module is named where a string is its name, as in a table of engines that are imported when they are used.
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
            # A bare string is a docstring, of the module, a class, a function or an attribute.
            kept = [
                s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str))
            ]
            node.body = kept or ([ast.Pass()] if not isinstance(node, ast.Module) else [])
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    # Not the beginning of a name that is put together, "handroll.music.": what follows it is not known here.
    named = {text for text in texts if text.startswith(f"{PACKAGE.name}.") and not text.endswith(".") and _module_path(text)}
    return ast.unparse(tree), frozenset(imported), frozenset(named)


def _module_path(name):
    """File of a `handroll` module, or None where the name is not one (a function, another package)."""
    if name.split(".")[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _existing(module):
    """File of a module; ValueError where there is no such module."""
    path = _module_path(module)
    if path is None:
        raise ValueError(f"{module}: expected a module of handroll, found none of this name")
    return path


def _files_of(module):
    """Files of a module: its own, or all of a package's."""
    path = _existing(module)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _reached(files, chosen=()):
    """Every Python file that some files run, and those themselves: path to normal form.

    Parameters
    ----------
    files : iterable of path
    chosen : iterable of str
        Of the modules that are imported by name, those that run, each a module or the package that holds it.

    Raises
    ------
    ValueError
        A file names modules, and none of them is chosen.
    """
    pending, seen = [*files, *(path for module in chosen for path in _files_of(module))], {}
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen[path], imported, named = _meaning(path)
        if named and not any(f"{name}.".startswith(f"{module}.") for name in named for module in chosen):
            raise ValueError(f"{path}: names {', '.join(sorted(named))}, found none of them among the modules that the step says it runs")
        for name in imported:
            parts = name.split(".")
            # Python runs the packages around a module, too; the outermost holds nothing but the version of handroll.
            pending.extend(p for p in (_module_path(".".join(parts[:end])) for end in range(min(2, len(parts)), len(parts) + 1)) if p)
    return seen


def code_hash(script, chosen=()):
    """Hash of what a script means: of itself and of every handroll module that it runs, directly or not.

    Layout, comments and docstrings do not count, so editing them reruns nothing.

    Parameters
    ----------
    script : path of a Python file
    chosen : iterable of str
        Of the modules that are imported by name, such as engines, those that this step runs.

    Returns
    -------
    str, 16 hexadecimal digits

    Raises
    ------
    ValueError
        A module that the script runs imports others by name, and none of them is chosen.
    """
    seen = _reached([Path(script).resolve()], chosen)
    # Ordered by name, not by place: where the package is installed must not matter.
    names = {path: path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name for path in seen}
    digest = hashlib.sha256()
    for path in sorted(seen, key=names.get):
        digest.update(f"{names[path]}\n{seen[path]}\n".encode())
    return digest.hexdigest()[:16]


def module_versions(script, modules):
    """Names and integers `VERSION` of modules, such as "handroll.detection.hand_tracks 3", for a step too costly to rerun.

    The number is raised by hand when the results of a module change, or those of anything that it runs. Together these modules
    have to run all that the script runs, but for `PLUMBING`: so no module is forgotten.

    Parameters
    ----------
    script : path of a Python file
    modules : iterable of str
        Modules or packages. Of those that are imported by name, the ones that this step runs.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        There is no such module, it assigns no integer to VERSION, or the script runs a module that none of these runs.
    """
    versions = [f"{module} {_version(module)}" for module in modules]
    covered = _reached(
        [path for module in (*modules, *(f"{PACKAGE.name}.{name}" for name in PLUMBING)) for path in _files_of(module)], modules
    )
    run = _reached([Path(script).resolve()], modules)
    missing = sorted(
        path.relative_to(PACKAGE).as_posix() for path, text in run.items() if path.is_relative_to(PACKAGE) and path not in covered and text
    )
    if missing:
        raise ValueError(
            f"{script}: runs {', '.join(missing)}, which no VERSION of {', '.join(modules)} covers; "
            "give one of these modules a VERSION and add it to the rule's `versions_of`"
        )
    return versions


def _version(module):
    """The integer that a module assigns to VERSION, read without importing it."""
    path = _existing(module)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "VERSION" for t in node.targets):
            value = ast.literal_eval(node.value)
            if isinstance(value, int):
                return value
    raise ValueError(f"{path}: expected a line such as `VERSION = 1`, found none")


def stamp(step, code, settings=None, **facts):
    """Key-value metadata that says what made a table. No times, no paths.

    A table's metadata is that of the table it was made from, and the stamp of its own step: the whole line of descent.

    Parameters
    ----------
    step : str
        Name of the rule.
    code : str or list of str
        `code_hash` or `module_versions` of the step.
    settings : dict, optional
        The configuration values it used.
    **facts : str, number or None
        More entries, such as the engine; None is left out.

    Returns
    -------
    dict of str to str
        Under the step's name a JSON object of handroll's version, code and settings; then the facts.
    """
    made = {"handroll_version": __version__, "code": code, "settings": settings or {}}
    return {step: json.dumps(made, sort_keys=True)} | {name: str(value) for name, value in facts.items() if value is not None}
