"""The engine interface: names, lazy loading, provenance."""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest

from handroll.camera import Camera
from handroll.pose import engine


def test_every_engine_offers_the_protocol():
    for name in engine.ENGINES:
        module = engine.load_engine(name)
        assert isinstance(module.VERSION, int) and callable(module.fit)


def test_an_unknown_engine_names_the_known_ones():
    with pytest.raises(ValueError, match="landmarks.*found 'nosuch'"):
        engine.fit_pose("nosuch", None, {}, Camera(640, 360, 500.0, "config"))


def test_engines_are_imported_only_when_used():
    code = "import sys, handroll.pose.engine; assert 'torch' not in sys.modules and 'handroll.pose.landmarks' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_info_and_arguments_pass_through(monkeypatch):
    seen = {}

    def fit(video_path, detections, camera, options, progress):
        seen.update(video=video_path, options=options, progress=progress)
        return {"found": np.zeros((0, 2), bool)}, {"weights": "abc"}

    module = types.SimpleNamespace(VERSION=7, fit=fit)
    monkeypatch.setitem(engine.ENGINES, "other", "some.module")
    monkeypatch.setattr(engine, "import_module", lambda name: module if name == "some.module" else importlib.import_module(name))
    columns, info = engine.fit_pose("other", "a.mp4", {}, Camera(640, 360, 512.5, "sheet"), {"x": 1})
    assert list(columns) == ["found"]
    assert info == {"engine": "other", "engine_version": "7", "focal_px": "512.5", "focal_source": "sheet", "weights": "abc"}
    assert seen == {"video": "a.mp4", "options": {"x": 1}, "progress": engine.log_progress}
