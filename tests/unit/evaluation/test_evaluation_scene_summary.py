"""Counts of scenes of a kind: registered, refused, and wrongly registered."""

import pytest

from handroll.evaluation import scene_summary


def test_a_scene_is_drawn_registered_and_compared():
    summary = scene_summary.score_scenes("plain", [5])
    assert (summary["scenes"], summary["registered"], summary["refused"], summary["wrong"]) == (1, 1, 0, 0)
    assert 0.0 < summary["along_mm"] < 3.0 and 0.0 < summary["across_mm"] < 10.0


def test_wrong_and_refused_ones_are_counted(monkeypatch):
    rows = {
        1: {"problem": None, "wrong": False, "along_max_mm": 1.0, "across_max_mm": 2.0},
        2: {"problem": None, "wrong": True, "along_max_mm": 4.0, "across_max_mm": 1.0},
        3: {"problem": "few_edges", "wrong": False},
    }
    monkeypatch.setattr(scene_summary, "measure_scene", lambda kind, seed: rows[seed])
    summary = scene_summary.score_scenes("reflection", [1, 2, 3])
    assert (summary["registered"], summary["refused"], summary["wrong"]) == (2, 1, 1)
    assert (summary["along_mm"], summary["across_mm"]) == (4.0, 2.0)
    nothing = scene_summary.score_scenes("reflection", [3])
    assert nothing["along_mm"] is None and nothing["registered"] == 0


@pytest.mark.parametrize(("kind", "number"), [("plain", 3), ("lamp", 6), ("reflection", 6)])
def test_the_hardest_kinds_have_twice_as_many_scenes(kind, number):
    assert list(scene_summary.scene_seeds(kind, 3, 50)) == list(range(50, 50 + number))
