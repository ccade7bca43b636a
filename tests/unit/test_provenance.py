import ast
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from handroll import __version__, provenance
from handroll.provenance import atomic_path, code_hash, file_identity, file_sha256, module_versions, stamp, temporary_target


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A separate package `handroll`, with a script that imports half of it."""
    root = tmp_path / "src" / "handroll"
    files = {
        "__init__.py": "",
        "base.py": "STEP = 1\n",
        "hand/__init__.py": "",
        "hand/bones.py": "from handroll.base import STEP\n\ndef length():\n    return STEP\n",
        "other.py": "VERSION = 3\n",
        "script.py": "from handroll.hand import bones\nprint(bones.length())\n",
    }
    for name, text in files.items():
        path = (tmp_path / name) if name == "script.py" else (root / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", root)
    return root


def hash_of(package, script=None, chosen=()):
    provenance._parse_module.cache_clear()
    return code_hash(script or package.parents[1] / "script.py", chosen)


def versions_of(package, *modules):
    provenance._parse_module.cache_clear()
    return module_versions(package.parents[1] / "script.py", modules)


@pytest.fixture(autouse=True)
def fresh_cache():
    yield
    provenance._parse_module.cache_clear()


def test_the_hash_follows_imports_of_imports(package):
    before = hash_of(package)
    assert len(before) == 16 and before == hash_of(package)
    (package / "other.py").write_text("VERSION = 4\n")
    assert hash_of(package) == before
    (package / "base.py").write_text("STEP = 2\n")
    assert hash_of(package) != before


def test_comments_docstrings_and_layout_do_not_count(package):
    before = hash_of(package)
    (package / "base.py").write_text('"""A module."""\n\nSTEP   = 1  # one\n"""An attribute."""\n')
    (package / "hand" / "bones.py").write_text(
        '"""Bones."""\nfrom handroll.base import STEP\ndef length():\n    """How long."""\n\n    return (STEP)\n'
    )
    assert hash_of(package) == before
    (package / "hand" / "bones.py").write_text("from handroll.base import STEP\n\ndef length():\n    return -STEP\n")
    assert hash_of(package) != before


def test_a_body_of_nothing_but_a_docstring_parses(package):
    (package / "base.py").write_text('class Odd(ValueError):\n    """Odd."""\n\nSTEP = 1\n')
    one = hash_of(package)
    (package / "base.py").write_text("class Odd(ValueError):\n    pass\n\nSTEP = 1\n")
    assert hash_of(package) == one


def test_cycles_of_imports_end(package):
    (package / "base.py").write_text("import handroll.hand.bones\nSTEP = 1\n")
    assert hash_of(package)


def test_the_folder_of_script_and_package_does_not_count(package, tmp_path):
    before = hash_of(package)
    for folder in ("aaa", "zzz"):
        script = tmp_path / folder / "script.py"
        script.parent.mkdir()
        script.write_text((tmp_path / "script.py").read_text())
        assert hash_of(package, script) == before


@pytest.fixture
def engines(package):
    """Two engines that a module imports by name, one of them a package."""
    files = {
        "engine.py": 'from importlib import import_module\nENGINES = {"one": "handroll.one", "two": "handroll.two.engine"}\n',
        "one.py": "VERSION = 1\nfrom handroll.base import STEP\n",
        "two/__init__.py": "VERSION = 2\n",
        "two/engine.py": "from handroll.two import parts\n",
        "two/parts.py": "PARTS = 2\n",
        **{f"{name}.py": "" for name in provenance.PLUMBING},
    }
    for name, text in files.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text(text)
    (package.parents[1] / "script.py").write_text("from handroll import engine, schema\nfrom handroll.hand import bones\n")
    return package


def test_the_hash_follows_the_engine_that_is_chosen_and_no_other(engines):
    def hashes():
        return [hash_of(engines, chosen=[f"handroll.{name}"]) for name in ("one", "two")]

    before = hashes()
    (engines / "one.py").write_text("VERSION = 2\n")
    after = hashes()
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True]
    (engines / "two/parts.py").write_text("PARTS = 3\n")
    assert [a == b for a, b in zip(after, hashes(), strict=True)] == [True, False]


def test_an_engine_that_no_rule_names_is_an_error(engines):
    message = r"engine\.py: imports one of handroll\.one, handroll\.two\.engine by its name, and the rule lists none of them"
    with pytest.raises(ValueError, match=message):
        hash_of(engines)
    with pytest.raises(ValueError, match=message):
        versions_of(engines, "handroll.other")
    with pytest.raises(ValueError, match=r"handroll\.three: expected the name of a handroll module"):
        hash_of(engines, chosen=["handroll.three"])


def test_versions_cover_all_that_a_script_runs(engines):
    (engines / "engine.py").write_text("VERSION = 5\n" + (engines / "engine.py").read_text())
    (engines / "hand/bones.py").write_text("VERSION = 6\nfrom handroll.base import STEP\n")
    with pytest.raises(ValueError, match=r"script\.py: imports base\.py, hand/bones\.py, which none of .*\(handroll\.two, "):
        versions_of(engines, "handroll.two", "handroll.engine")
    found = versions_of(engines, "handroll.two", "handroll.engine", "handroll.hand.bones")
    assert found == ["handroll.two 2", "handroll.engine 5", "handroll.hand.bones 6"]
    # A new import of any module that these run is a new thing to cover.
    (engines / "hand/bones.py").write_text("VERSION = 6\nfrom handroll.base import STEP\nfrom handroll import other\n")
    assert versions_of(engines, "handroll.two", "handroll.engine", "handroll.hand.bones") == found
    (engines.parents[1] / "script.py").write_text("from handroll import engine\nfrom handroll import base, other\n")
    with pytest.raises(ValueError, match=r"imports base\.py, other\.py"):
        versions_of(engines, "handroll.two", "handroll.engine")


def test_the_version_of_a_module_is_read_without_importing_it(package):
    (package.parents[1] / "script.py").write_text("import handroll.other\n")
    for name in provenance.PLUMBING:
        (package / f"{name}.py").touch()
    assert versions_of(package, "handroll.other") == ["handroll.other 3"]
    for name in ("handroll.nowhere", "numpy"):
        with pytest.raises(ValueError, match="expected the name of a handroll module"):
            versions_of(package, name)
    with pytest.raises(ValueError, match=r"base\.py: expected a line such as `VERSION = 1`"):
        versions_of(package, "handroll.base")


ROOT = Path(__file__).parents[2]
OTHER_ENGINES = {"pose": {"engine": "hamer"}, "music": {"engine": "kong"}}
CONFIGURATIONS = [{}, {**OTHER_ENGINES, "benchmark": {"features": ["notes", "logmel", "hubert", "wav2vec2_tuned"]}}]


def run_by(path, chosen):
    """All handroll files that a script imports, found independently with Python's own module finder, and the chosen engines."""
    files, pending = set(), [path, *(file for module in chosen for file in files_of(module))]
    while pending:
        file = pending.pop()
        if file in files:
            continue
        files.add(file)
        pending += imported_by(file)
    return {file for file in files if file != path}


@cache
def imported_by(file):
    """Files of handroll that a file imports directly."""
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [found for name in names if name.split(".")[0] == "handroll" for found in files_of(name, whole=False)]


@cache
def files_of(module, whole=True):
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return []
    if spec is None:
        return []
    file = Path(spec.origin)
    return [*file.parent.rglob("*.py")] if whole and file.name == "__init__.py" else [file]


@pytest.mark.parametrize("values", CONFIGURATIONS)
def test_every_module_that_a_rule_runs_is_hashed_or_has_a_version(values, monkeypatch):
    """For each planned rule, every import of its script is part of its hash, or is imported by a module with a VERSION."""
    steps = {}

    def hashed(script, chosen=()):
        steps[Path(script).stem] = chosen, set(provenance._imported_files([Path(script).resolve()], chosen))
        return code_hash(script, chosen)

    def versioned(script, modules):
        covered = [path for module in (*modules, *(f"handroll.{name}" for name in provenance.PLUMBING)) for path in files_of(module)]
        steps[Path(script).stem] = modules, set(provenance._imported_files(covered, modules))
        return module_versions(script, modules)

    monkeypatch.setattr(provenance, "code_hash", hashed)
    monkeypatch.setattr(provenance, "module_versions", versioned)
    monkeypatch.chdir(ROOT)
    planned = planned_code(values)
    scripts = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
    assert planned == {script.stem for script in scripts} == set(steps)
    for script in scripts:
        chosen, covered = steps[script.stem]
        missing = {path for path in run_by(script, chosen) if path not in covered and not only_a_docstring(path)}
        assert not missing, f"{script.name} runs {missing}"


def only_a_docstring(path):
    return (path.name == "__init__.py" and len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1) or path.parent.name == "src"


def planned_code(values):
    """Names of the rules whose params carry their code, with the configuration."""
    settings = ConfigSettings(config=values)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(ResourceSettings(cores=1), settings, snakefile=ROOT / "Snakefile")._workflow
        names = set()
        for rule in workflow.rules:
            for name in ("code", "version"):
                if name in rule.params.keys():  # noqa: SIM118 (not a dict)
                    value = getattr(rule.params, name)
                    if callable(value):
                        for features in values.get("benchmark", {}).get("features", ["notes"]):
                            value(SimpleNamespace(features=features, stage="gesture"))
                    names.add(rule.name)
        return names


def test_modules_are_imported_by_name_from_tables_of_literals_only():
    """The imports can then be read from the code without running it."""
    for path in (ROOT / "src" / "handroll").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("__import__", "exec", "runpy.run_module", "runpy.run_path"), path
            if called.endswith("import_module"):
                table = ast.unparse(node.args[0]).split("[")[0]
                assert isinstance(node.args[0], ast.Subscript) and f"\n{table} = {{" in path.read_text(encoding="utf-8"), path


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "new" / "clip.tar.gz"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == ".gz" and temporary != target
        temporary.write_text("one")
        assert not target.exists()
    assert target.read_text() == "one"
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "one" and os.listdir(target.parent) == ["clip.tar.gz"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "x"):
        pass


def test_the_hash_of_a_file_is_sha256_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()


def test_a_stamp_holds_text_only_and_leaves_out_none():
    made = stamp("fit_pose", "abc", {"b": 1, "a": None}, engine="landmarks", focal_px=1.5, model=None)
    settings = {"handroll_version": __version__, "code": "abc", "settings": {"a": None, "b": 1}}
    assert json.loads(made.pop("fit_pose")) == settings
    assert made == {"engine": "landmarks", "focal_px": "1.5"}


def killed_while_writing(path):
    """The temporary file of a process that was killed while it wrote `path`."""
    code = f"import os, signal\nfrom handroll.provenance import atomic_path\nwith atomic_path({str(path)!r}) as temporary:\n"
    code += "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    before = set(path.parent.iterdir())
    subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ, "PYTHONPATH": str(Path(provenance.__file__).parents[1])})
    (temporary,) = set(path.parent.iterdir()) - before
    return temporary


def test_temporary_files_of_a_killed_writer_are_removed(tmp_path):
    target = tmp_path / "a[1].parquet"
    stale, other = killed_while_writing(target), killed_while_writing(tmp_path / "b.parquet")
    assert temporary_target(stale.name) == target.name and stale.suffix == ".parquet"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, target.name])


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("take.2.parquet", "take.parquet"),
        ("take.parquet", "take.2.parquet"),
        ("take.parquet.gz.parquet", "take.parquet"),
        ("take.mp4", "take.parquet"),
        ("take", "take.parquet"),
        ("take.parquet", "take.parquet"),
    ],
)
def test_writers_at_the_same_time_leave_each_other_alone(tmp_path, outer, inner):
    with atomic_path(tmp_path / outer) as first:
        first.write_text("first")
        with atomic_path(tmp_path / inner) as second:
            second.write_text("second")
            assert first.read_text() == "first" and first != second
        assert first.exists() and (tmp_path / inner).read_text() == "second"
    assert (tmp_path / outer).read_text() == "first"
    assert {path.name for path in tmp_path.iterdir()} == {outer, inner}


def test_processes_that_write_the_same_file_at_once_leave_a_complete_file(tmp_path):
    target = tmp_path / "weights.bin"
    code = "import sys\nfrom handroll.provenance import atomic_path\nwith atomic_path(sys.argv[1]) as temporary:\n"
    code += "    temporary.write_text(sys.argv[2] * 1000)\n    print(flush=True)\n    sys.stdin.read()\n"
    environment = {**os.environ, "PYTHONPATH": str(Path(provenance.__file__).parents[1])}
    command = [sys.executable, "-c", code, str(target)]
    writers = [
        subprocess.Popen([*command, letter], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) for letter in "ab"
    ]
    for writer in writers:
        writer.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 2
    for letter, writer in zip("ab", writers, strict=True):
        writer.communicate()
        assert writer.returncode == 0 and target.read_text() == letter * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin"]


def test_a_temporary_file_of_another_host_is_kept_for_a_day(tmp_path):
    fresh = tmp_path / ".a.json.node7_1_0123abcd.part.json"
    old = tmp_path / ".a.json.node7_2_0123abcd.part.json"
    for path in (fresh, old):
        path.touch()
    long_ago = fresh.stat().st_mtime - 2 * provenance.ABANDONED_S
    os.utime(old, (long_ago, long_ago))
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", fresh.name}


@pytest.mark.parametrize("name", ["take.parquet", ".take.parquet", ".take.4242.part.parquet", ".w.part", ".a.json.n_1_0123abcd.part.txt"])
def test_other_names_are_not_temporary_files(name):
    assert temporary_target(name) is None


def test_file_identity_depends_on_size_and_time_but_not_on_the_path(tmp_path):
    one = tmp_path / "one.mp4"
    one.write_bytes(b"1234")
    os.utime(one, (1000, 1000.9))
    assert file_identity(one) == [4, 1000]
    (tmp_path / "deep").mkdir()
    moved = shutil.copy2(one, tmp_path / "deep" / "two.mp4")
    (tmp_path / "link").symlink_to(moved)
    assert file_identity(moved) == file_identity(tmp_path / "link") == file_identity(f"{tmp_path}/deep/../one.mp4")
    os.utime(moved, (2000, 2000))
    assert file_identity(moved) == [4, 2000]
    assert file_identity(tmp_path / "none") is None and file_identity(tmp_path) is None
