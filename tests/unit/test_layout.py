"""The layout of the library: which folder may import which, as docs/architecture.md lists them."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "handroll"
# From the ground to the roof: a module may import modules of its own folder and of those above it in this list.
ORDER = (
    *("safe_pickle", "state_dicts", "hand", "provenance", "logs", "device", "text", "tables", "storage", "camera", "reasons", "mask_runs"),
    *("keyboard", "config", "media", "editing", "acquire", "detection", "screening", "pose", "motion", "music"),
    *("dataset", "exchange", "training_data", "models", "training", "metrics"),
    *("rendering", "generation", "simulator", "drawing", "evaluation", "setup", "run", "cli"),
)


@cache
def imports(path):
    """Modules of handroll that a file imports, at the top or inside functions, such as ("media", "frames")."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: expected absolute imports"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    names = (name.split(".")[1:] for name in found if name.split(".")[0] == "handroll")
    return {module for parts in names if (module := existing(parts)) is not None}


def existing(parts):
    """The longest leading part of a dotted name that is a module or package; None for names of the root package."""
    for length in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return tuple(parts[:length])
    return None


def modules():
    """Path and dotted parts of every module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield path, parts[:-1] if parts[-1] == "__init__" else parts


def folder(parts):
    return parts[0]


def test_every_folder_has_its_place_and_imports_only_what_is_above_it():
    upward = []
    for path, parts in modules():
        if not parts:
            continue
        assert folder(parts) in ORDER, f"{path}: name its folder in the order"
        upward += [
            f"{'.'.join(parts)} -> {'.'.join(imported)}"
            for imported in imports(path)
            if folder(imported) != folder(parts) and ORDER.index(folder(imported)) > ORDER.index(folder(parts))
        ]
    assert upward == []


def test_no_module_imports_itself_through_others():
    graph = {parts: imports(path) for path, parts in modules()}
    done, open_ = set(), []

    def visit(module):
        if module in open_:
            pytest.fail(" -> ".join(".".join(m) for m in (*open_[open_.index(module) :], module)))
        if module not in done:
            open_.append(module)
            for imported in graph.get(module, ()):
                visit(imported)
            done.add(open_.pop())

    for module in graph:
        visit(module)


def test_tests_mirror_the_library():
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    tested = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert tested - {"support"} == packages
