import hashlib
import json
import os
import shutil

import pytest

from handroll import __version__, provenance
from handroll.provenance import atomic_path, code_hash, file_identity, file_sha256, module_version, stamp


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `handroll` of its own, with a script that imports half of it."""
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


def hash_of(package, script=None):
    provenance._meaning.cache_clear()
    return code_hash(script or package.parents[1] / "script.py")


@pytest.fixture(autouse=True)
def fresh_cache():
    yield
    provenance._meaning.cache_clear()


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


def test_the_place_of_script_and_package_does_not_count(package, tmp_path):
    before = hash_of(package)
    for folder in ("aaa", "zzz"):
        script = tmp_path / folder / "script.py"
        script.parent.mkdir()
        script.write_text((tmp_path / "script.py").read_text())
        assert hash_of(package, script) == before


def test_the_version_of_a_module_is_read_without_importing_it(package):
    assert module_version("handroll.other") == "handroll.other 3"
    with pytest.raises(ValueError, match="no such module"):
        module_version("handroll.nowhere")
    with pytest.raises(ValueError, match="no such module"):
        module_version("numpy")
    with pytest.raises(ValueError, match=r"base\.py: expected a line such as `VERSION = 1`"):
        module_version("handroll.base")


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


def test_what_a_killed_writer_left_is_removed(tmp_path):
    stale, other = tmp_path / ".a[1].12345.part.parquet", tmp_path / ".b.12345.part.parquet"
    stale.touch()
    other.touch()
    with atomic_path(tmp_path / "a[1].parquet") as temporary:
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "a[1].parquet"]


def test_a_file_is_told_by_size_and_time_not_by_its_path(tmp_path):
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
