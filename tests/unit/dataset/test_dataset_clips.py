import numpy as np
import pytest
import soundfile

from handroll.dataset.clips import clip_windows, cut_clips
from handroll.reasons import Reason
from handroll.storage import to_arrow
from handroll.tables import CLIPS, State, frame_keys


def motion_of(time_s, state=State.OBSERVED):
    columns = frame_keys(time_s)
    return {"time_s": columns["time_s"], "state": np.full(columns["time_s"].shape, state, dtype=np.int8)}


def test_windows_start_every_hop_and_end_within_the_video():
    clips = cut_clips(motion_of(np.arange(2100) / 30.0), "ann", "long")
    assert clips["start_s"].tolist() == [0.0, 24.0]
    assert clips["end_s"].tolist() == [30.0, 54.0]
    assert clips["start_frame"].tolist() == [0, 720]
    assert clips["end_frame"].tolist() == [900, 1620]
    assert clips["accepted"].all() and clips["reasons"].tolist() == ["", ""]
    to_arrow(CLIPS, clips)


@pytest.mark.parametrize(
    ("frames", "rate_hz", "windows"),
    [(900, 30.0, 1), (899, 30.0, 0), (1619, 30.0, 1), (1620, 30.0, 2), (1, 30.0, 0), (0, 30.0, 0), (900, 30000 / 1001, 1), (1500, 50.0, 1)],
)
def test_a_window_may_end_with_the_last_frame_and_no_later(frames, rate_hz, windows):
    assert len(clip_windows(np.arange(frames) / rate_hz, 30.0, 24.0)[0]) == windows


@pytest.mark.parametrize(
    ("frames", "rate_hz", "length_s"),
    [(300, 30.0, 10.0), (299, 30.0, None), (810, 30.0, 27.0), (899, 30.0, 899 / 30.0), (1620, 60.0, 27.0), (675, 25.0, 27.0)],
)
def test_a_video_shorter_than_a_clip_gives_one_shorter_clip(frames, rate_hz, length_s):
    start_s, end_s, start_frame, end_frame = clip_windows(np.arange(frames) / rate_hz, 30.0, 24.0, min_length_s=10.0)
    assert (start_s.tolist(), start_frame.tolist(), end_frame.tolist()) == (([0.0], [0], [frames]) if length_s else ([], [], []))
    np.testing.assert_allclose(end_s, [length_s] if length_s else [])


def test_each_short_segment_gives_one_clip_and_a_long_one_whole_clips():
    time_s = np.arange(3000) / 30.0
    segments = [(0.0, 12.0), (13.0, 18.0), (20.0, 76.0), (80.0, 100.0)]
    start_s, end_s, start_frame, end_frame = clip_windows(time_s, 30.0, 24.0, segments, min_length_s=10.0)
    assert start_s.tolist() == [0.0, 20.0, 44.0, 80.0] and end_s.round(9).tolist() == [12.0, 50.0, 74.0, 100.0]
    assert start_frame.tolist() == [0, 600, 1320, 2400] and end_frame.tolist() == [360, 1500, 2220, 3000]
    # A least length above that of a clip, as in the paper, changes nothing about whole clips.
    assert clip_windows(time_s, 30.0, 24.0, segments, min_length_s=40.0)[0].tolist() == [20.0, 44.0]


def test_a_shorter_clip_is_judged_like_any_other(tmp_path):
    soundfile.write(tmp_path / "sound.flac", 0.1 * np.sin(np.arange(8000 * 12) * 0.3), 8000)
    motion = motion_of(np.arange(360) / 30.0)
    clips = cut_clips(motion, "ann", "short", audio_path=tmp_path / "sound.flac", note_onset_s=np.array([11.5]), min_length_s=10.0)
    assert clips["accepted"].tolist() == [True] and clips["visibility"].tolist() == [1.0]
    motion["state"][:160] = State.HIDDEN
    assert cut_clips(motion, "ann", "short", min_length_s=10.0)["reasons"].tolist() == [Reason.CLIP_HANDS_HIDDEN]
    assert len(cut_clips(motion, "ann", "short")["clip"]) == 0


def test_windows_go_by_time_where_the_frame_rate_varies():
    time_s = np.concatenate([np.arange(0, 30, 1 / 60), np.arange(30, 60.1, 1 / 20)])
    _, _, start_frame, end_frame = clip_windows(time_s, 30.0, 30.0)
    assert start_frame.tolist() == [0, 1800]
    assert end_frame.tolist() == [1800, 2400]


@pytest.mark.parametrize("step_s", [1 / 30, 0.033333333333333, 0.0333333334])
def test_a_frame_on_the_edge_belongs_to_the_later_window_whatever_the_rounding(step_s):
    time_s = np.arange(1800) * step_s
    _, _, start_frame, end_frame = clip_windows(time_s, 30.0, 30.0)
    assert start_frame.tolist() == [0, 900]
    assert end_frame.tolist() == [900, 1800]


def test_visibility_counts_frames_times_hands_and_the_threshold_itself_passes():
    motion = motion_of(np.arange(900) / 30.0)
    motion["state"][:360, 0] = State.HIDDEN
    motion["state"][360:500, 1] = State.INTERPOLATED
    clips = cut_clips(motion, "ann", "long", min_visibility=0.8)
    assert clips["visibility"][0] == np.float32(0.8)
    assert clips["accepted"].tolist() == [True]
    motion["state"][0, 1] = State.HIDDEN
    clips = cut_clips(motion, "ann", "long", min_visibility=0.8)
    assert clips["accepted"].tolist() == [False]
    assert clips["reasons"].tolist() == [Reason.CLIP_HANDS_HIDDEN]


def test_scores_of_each_window_pass_through():
    windows = []

    def scores_of(start_s, end_s):
        windows.append((start_s, end_s))
        return {"key_press_precision": 0.5, "key_press_recall": 0.1 * start_s, "key_press_f1": 0.2, "landing_error_mm": np.nan}

    clips = cut_clips(motion_of(np.arange(2100) / 30.0), "ann", "long", scores_of=scores_of)
    assert windows == [(0.0, 30.0), (24.0, 54.0)]
    np.testing.assert_allclose(clips["key_press_recall"], [0.0, 2.4], rtol=1e-6)
    assert clips["key_press_precision"].dtype == np.float32 and np.isnan(clips["landing_error_mm"]).all() and clips["accepted"].all()
    without = cut_clips(motion_of(np.arange(2100) / 30.0), "ann", "long")
    assert np.isnan(without["key_press_f1"]).all() and np.isnan(without["key_press_precision"]).all()


def test_every_window_of_a_rejected_video_is_listed_with_its_reasons_first():
    clips = cut_clips(motion_of(np.arange(2100) / 30.0, State.HIDDEN), "ann", "long", video_reasons=["no_audio"])
    assert clips["reasons"].tolist() == ["no_audio,clip_hands_hidden"] * 2
    assert not clips["accepted"].any()


def test_a_video_without_frames_gives_an_empty_table():
    clips = cut_clips(motion_of(np.empty(0)), "ann", "none")
    assert to_arrow(CLIPS, clips).num_rows == 0


def test_windows_behind_the_end_of_the_sound_and_without_notes_are_rejected(tmp_path):
    soundfile.write(tmp_path / "sound.flac", 0.1 * np.sin(np.arange(8000 * 30) * 0.3), 8000)
    clips = cut_clips(
        motion_of(np.arange(2700) / 30.0), "a", "b", hop_s=30.0, audio_path=tmp_path / "sound.flac", note_onset_s=np.array([5.0, 60.0])
    )
    assert clips["reasons"].tolist() == ["", "clip_no_sound,clip_no_notes", "clip_no_sound"]


def test_the_sound_of_a_clip_is_looked_for_where_late_audio_has_it(tmp_path):
    """Sound in the first 30 s of the picture, and 20 s late in its file."""
    silence = np.zeros(8000 * 20)
    soundfile.write(tmp_path / "late.flac", np.concatenate([silence, 0.1 * np.sin(np.arange(8000 * 30) * 0.3)]), 8000)
    motion = motion_of(np.arange(1800) / 30.0)
    for delay_s, reasons in ((20.0, ["", "clip_no_sound"]), (-90.0, ["clip_no_sound"] * 2)):
        clips = cut_clips(motion, "a", "b", hop_s=30.0, audio_path=tmp_path / "late.flac", audio_delay_s=delay_s)
        assert clips["reasons"].tolist() == reasons


@pytest.mark.parametrize(
    ("f1", "notes", "reasons"),
    [(0.04, 10, "clip_motion_off_notes"), (0.0, 10, "clip_motion_off_notes"), (0.1, 10, ""), (0.0, 9, ""), (np.nan, 10, "")],
    ids=["off", "plays none", "plays some", "too few notes to say", "no keyboard"],
)
def test_a_clip_whose_motion_does_not_play_its_notes_is_rejected(f1, notes, reasons):
    onset_s = np.linspace(0.0, 29.0, notes)
    clips = cut_clips(
        motion_of(np.arange(900) / 30.0), "a", "b", min_key_press_f1=0.1, note_onset_s=onset_s, scores_of=lambda *_: {"key_press_f1": f1}
    )
    assert clips["reasons"].tolist() == [reasons] and clips["accepted"].tolist() == [not reasons]
