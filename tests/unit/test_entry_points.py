"""The public entry points of the package."""

import subprocess
import sys

import pytest

import handroll
from handroll.dataset.shards import read_rows
from handroll.generation.generate import play
from support.dataset_fixtures import clips, dataset, records, splits, statistics_of  # noqa: F401


def test_entry_points_are_the_documented_functions():
    assert handroll.open_dataset is read_rows and handroll.generate is play


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'handroll' has no attribute 'open_datasets'"):
        handroll.open_datasets  # noqa: B018


def test_importing_the_package_imports_no_heavy_library():
    code = (
        "import handroll, sys; assert handroll.__version__; print([name for name in ('numpy', 'torch', 'pyarrow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_open_dataset_reads_the_clips_of_a_folder(dataset):  # noqa: F811
    found = list(handroll.open_dataset(dataset / "results" / "dataset"))
    assert found and all(clip["left_joints_m"].shape[1:] == (21, 3) for clip in found)
