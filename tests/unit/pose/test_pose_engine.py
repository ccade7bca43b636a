"""The engine interface: names, lazy loading, provenance."""

import importlib
import subprocess
import sys
import types

import numpy as np
import pytest

from handroll.camera import Camera, Extrinsics
from handroll.pose import engine

JOINTS_M = np.broadcast_to(np.array([0.1, 0.2, 0.9], dtype=np.float32), (3, 2, 21, 3))


def test_every_engine_implements_the_protocol():
    for name in engine.ENGINES:
        module = engine.load_engine(name)
        assert isinstance(module.VERSION, int) and isinstance(module.OPTIONS, dict)
        assert all(callable(getattr(module, name)) for name in ("fit", "joints", "skeleton"))
        assert callable(getattr(module, "refine", None)) == module.USES_KEY_PRESSES


def test_an_unknown_engine_raises_with_the_known_names():
    with pytest.raises(ValueError, match="landmarks.*found 'nosuch'"):
        engine.fit_pose("nosuch", None, {}, Camera(640, 360, 500.0, "config"))


def test_engines_are_imported_only_when_used():
    code = "import sys, handroll.pose.engine; assert 'torch' not in sys.modules and 'handroll.pose.landmarks' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_info_and_arguments_pass_through(monkeypatch):
    seen = {}

    def fit(video_path, detections, camera, extrinsics, options, progress):
        seen.update(video=video_path, extrinsics=extrinsics, options=options, progress=progress)
        return {"joints_m": JOINTS_M}, {"weights": "abc"}

    def refine(pose, detections, camera, extrinsics, pressed_mm, progress):
        seen.update(pose=pose, extrinsics=extrinsics, pressed_mm=pressed_mm, progress=progress)
        return {"joints_m": JOINTS_M + np.float32(0.001)}

    module = types.SimpleNamespace(VERSION=7, OPTIONS={"x": 0}, fit=fit, refine=refine)
    monkeypatch.setitem(engine.ENGINES, "other", "some.module")
    monkeypatch.setattr(engine, "import_module", lambda name: module if name == "some.module" else importlib.import_module(name))
    camera = Camera(640, 360, 512.5, "sheet")
    columns, info = engine.fit_pose("other", "a.mp4", {}, camera, options={"x": 1})
    assert list(columns) == ["joints_m", "joints_keyboard_mm"] and np.isnan(columns["joints_keyboard_mm"]).all()
    assert info == {"engine": "other", "engine_version": "7", "weights": "abc"}
    assert seen == {"video": "a.mp4", "extrinsics": None, "options": {"x": 1}, "progress": engine.log_progress}
    module.OPTIONS["scratch"] = None
    engine.fit_pose("other", "a.mp4", {}, camera, options={"x": 1}, scratch="a folder")
    assert seen["options"] == {"x": 1, "scratch": "a folder"}

    over = Extrinsics(np.array([np.pi, 0.0, 0.0]), np.array([-600.0, 0.0, 1000.0]))
    columns, _ = engine.fit_pose("other", "a.mp4", {}, camera, over)
    np.testing.assert_allclose(columns["joints_keyboard_mm"][0, 0, 0], [700.0, -200.0, 100.0], atol=1e-3)
    columns = engine.refine_pose("other", {"pose": 1}, {}, camera, over, "pressed")
    np.testing.assert_allclose(columns["joints_keyboard_mm"][0, 0, 0], [701.0, -201.0, 99.0], atol=1e-3)
    assert seen["pose"] == {"pose": 1} and seen["pressed_mm"] == "pressed" and seen["extrinsics"] is over
