import io
import pickle
import zipfile

import numpy as np
import pytest

from handroll.pose.hamer.resumable_results import ResumableResults


def an_archive(shape):
    """An npz file whose array declares a shape and has no data."""
    header, file = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("numbers.npy", header.getvalue())
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [an_archive((10**18,)), an_archive((10, 2, 3)), pickle.dumps([1]), b""], ids=["exabytes", "cut off", "pickle", "empty"]
)
def test_a_damaged_chunk_is_computed_again(tmp_path, content):
    results = ResumableResults(tmp_path, {"engine": "x"}, (10, 2, 3))
    (tmp_path / "000000.npz").write_bytes(content)
    assert results.load(np.zeros((10, 2, 3))) == set() and not (tmp_path / "000000.npz").exists()
