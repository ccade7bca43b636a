import numpy as np
import pytest

from handroll.hand.skeleton import HANDS
from handroll.media.frames import read_frames
from handroll.simulator.pieces import pieces
from handroll.simulator.truth import read_truth
from handroll.simulator.video import DEMO_SEEDS, main, make_video, prepare_take


def test_a_take_agrees_with_its_score():
    take = prepare_take("minuet", 3)
    assert len(take.performance.time_s) == 990 and len(take.audio) == 33 * 44100
    np.testing.assert_array_equal(take.performance.notes["pitch"], take.score.notes["pitch"])
    assert np.all(take.performance.notes["key_offset_s"] <= take.score.notes["key_offset_s"] + 1e-9)
    for hand, start, end in take.score.rests:
        middle = np.abs(take.performance.time_s - 0.5 * (start + end)).argmin()
        assert not take.performance.present[middle, HANDS.index(hand)]
    for cover, (_, start, end) in zip(take.scene.covers, take.score.covers, strict=True):
        assert cover.start_s < start < end < cover.end_s
        assert cover.size_m[0] < 0.25


def test_a_take_depends_on_its_seed_alone():
    assert prepare_take("ode", 3, 4.0).scene == prepare_take("ode", 3, 4.0).scene != prepare_take("ode", 4, 4.0).scene


def test_video_and_truth_are_written(tmp_path):
    path = make_video(None, 5, tmp_path, 4.0, fps=5.0, width_px=320, height_px=180, supersample=1)
    assert path == tmp_path / "medley-5.mp4"
    truth = read_truth(tmp_path / "medley-5.truth.npz")
    frames = list(read_frames(path))
    np.testing.assert_allclose([frame.time_s for frame in frames], truth.time_s, atol=1e-4)
    assert frames[0].image.shape == (180, 320, 3)
    assert truth.visible.shape == (20, 2, 21) and truth.visible.mean() > 0.8
    assert truth.about["seed"] == 5 and truth.about["piece"] is None


def test_command_line_asks_for_what_is_missing(tmp_path, capsys):
    assert list(DEMO_SEEDS) == list(pieces())
    for arguments in ([], ["--demo", "a", "--out", "b"], ["--out", str(tmp_path)]):
        with pytest.raises(SystemExit):
            main(arguments)
    assert "--seconds for a medley" in capsys.readouterr().err
    with pytest.raises(ValueError, match="duration"):
        prepare_take(None, 1)
