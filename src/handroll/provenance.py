"""What made a file: hashes of code and inputs, and writing that leaves either the whole file or nothing."""

import ast
import hashlib
import json
import os
import stat
from contextlib import contextmanager
from functools import cache
from glob import escape
from pathlib import Path

from handroll import __version__

PACKAGE = Path(__file__).resolve().parent


@contextmanager
def atomic_path(path):
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # What a killed process left behind; a file has one writer.
    for stale in path.parent.glob(f".{escape(path.stem)}.*.part{escape(path.suffix)}"):
        stale.unlink(missing_ok=True)
    # The suffix stays last: encoders choose the container by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path):
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_identity(path):
    """What tells a file from others and from its later versions without reading it, wherever it is and whatever its path is called.

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
    """(normal form, imported names) of a Python file: its syntax tree without comments, docstrings and layout."""
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
    return ast.unparse(tree), frozenset(imported)


def _module_path(name):
    """File of a `handroll` module, or None where the name is not one (a function, another package)."""
    if name.split(".")[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def code_hash(script):
    """Hash of what a script means: of itself and of every handroll module that it imports, directly or not.

    Layout, comments and docstrings do not count, so editing them reruns nothing.

    Parameters
    ----------
    script : path of a Python file

    Returns
    -------
    str, 16 hexadecimal digits
    """
    start = Path(script).resolve()
    pending, seen = [start], {}
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen[path], imported = _meaning(path)
        pending.extend(p for p in map(_module_path, imported) if p)
    # Ordered by name, not by place: where the package is installed must not matter.
    names = {path: path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name for path in seen}
    digest = hashlib.sha256()
    for path in sorted(seen, key=names.get):
        digest.update(f"{names[path]}\n{seen[path]}\n".encode())
    return digest.hexdigest()[:16]


def module_version(module):
    """A handroll module's name and integer `VERSION`, such as "handroll.detect.tracks 3", read without importing it.

    Steps too costly to rerun for a refactoring carry this number instead of a `code_hash`; it is raised by hand.

    Raises
    ------
    ValueError
        There is no such module, or it assigns no integer to VERSION.
    """
    path = _module_path(module)
    if path is None:
        raise ValueError(f"{module}: no such module of handroll")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "VERSION" for t in node.targets):
            value = ast.literal_eval(node.value)
            if isinstance(value, int):
                return f"{module} {value}"
    raise ValueError(f"{path}: expected a line such as `VERSION = 1`, found none")


def stamp(step, code, settings=None, **facts):
    """Key-value metadata that says what made a table. No times, no paths.

    A table's metadata is that of the table it was made from, and the stamp of its own step: the whole line of descent.

    Parameters
    ----------
    step : str
        Name of the rule.
    code : str
        `code_hash` or `module_version` of the step.
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
