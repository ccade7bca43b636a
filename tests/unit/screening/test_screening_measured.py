import json
import os

import pytest

from handroll.config.pipeline import Config
from handroll.screening.metadata import measure_resolution
from handroll.screening.verdict import MEASURED, judge, read_measured
from handroll.storage import SchemaError

THRESHOLDS = Config().screening.model_dump()


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write what a step measured of the video anna/one, below the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(step, text):
        path = tmp_path / MEASURED[step].format(subject="anna", video="one")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_steps_that_have_not_run_are_left_out(write):
    assert read_measured("anna", "one", MEASURED) == []
    write("survey", '{"screening": {"b": 2}}')
    write("probe", '{"screening": {"a": 1}}')
    assert read_measured("anna", "one", ("probe", "survey", "audio")) == [{"screening": {"a": 1}}, {"screening": {"b": 2}}]
    assert read_measured("bela", "one", MEASURED) == []


def test_a_changed_file_is_read_again(write):
    write("probe", "{}")
    assert read_measured("anna", "one", ["probe"]) == [{}]
    path = write("probe", '{"duration_s": 3.0}')
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert read_measured("anna", "one", ["probe"]) == [{"duration_s": 3.0}]


def test_a_damaged_file_is_an_error_that_names_it(write):
    write("probe", '{"screening": ')
    with pytest.raises(SchemaError, match="probe.json"):
        read_measured("anna", "one", ["probe"])


def test_a_verdict_gives_the_reasons_that_reject_a_purpose():
    good = {"screening": {"resolution": measure_resolution(1920, 1080), "duration": {"duration_s": 60.0}}}
    assert judge([good], THRESHOLDS).rejection("motion") == judge([good], THRESHOLDS).rejection("dataset") == []
    silent = {"screening": {"silence": {"loud_db": -90.0, "silent_share": 1.0}}}
    verdict = judge([good, silent], THRESHOLDS)
    assert verdict.rejection("motion") == [] and verdict.rejection("dataset") == [str(reason) for reason in verdict.reasons] != []
    json.dumps(verdict.rejection("dataset"))
