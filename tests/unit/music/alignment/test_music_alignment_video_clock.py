"""Notes are mapped to the video's clock: a silent video keeps all notes of a MIDI file with any offset."""

import json

import numpy as np
import pytest

from handroll.dataset.clip_content import cut_music
from handroll.generation.pianist import perform
from handroll.music.alignment.time_map import TimeMap, map_times
from handroll.music.alignment.video_clock import to_video_clock
from handroll.music.notes import note_table, pedal_table
from handroll.rendering.scene import world_joints
from handroll.simulator.score import random_score
from handroll.tables import State

SECONDS, LATE_S = 20.0, 3.27
PEDAL = pedal_table([4.0], [6.5])


@pytest.fixture(scope="module")
def filmed():
    """True notes, and (time_s, joints, state) of the hands that play them."""
    played = perform(random_score(3, SECONDS), 3)
    return played.notes, (played.time_s, 1e3 * world_joints(played), np.where(played.present, State.OBSERVED, State.HIDDEN))


@pytest.mark.parametrize("clock, audio_delay_s", [("midi", 0.0), ("audio", LATE_S)])
def test_late_notes_and_their_pedal_are_mapped_to_the_video_clock(filmed, clock, audio_delay_s):
    truth, hands = filmed
    late = map_times(truth, PEDAL, TimeMap(LATE_S))
    notes, pedal, report = to_video_clock(*late, *hands, clock)
    for name in ("onset_s", "key_offset_s", "sounding_offset_s"):
        np.testing.assert_allclose(notes[name], map_times(truth, PEDAL, TimeMap())[0][name], atol=0.01)
    np.testing.assert_allclose([pedal["onset_s"][0], pedal["offset_s"][0]], [4.0, 6.5], atol=0.01)
    assert report["audio_delay_s"] == pytest.approx(audio_delay_s, abs=0.01)
    assert report["delay"]["corrected_s"] == pytest.approx(LATE_S, abs=0.01) and report["delay"]["trusted"]
    assert report["delay"]["words"].startswith(f"{'MIDI' if clock == 'midi' else 'audio'} 3.27 s late: corrected")
    json.dumps(report, allow_nan=False)


def test_clips_lose_no_notes_of_a_late_midi_file(filmed):
    """Cut by the MIDI file's own clock, the last 3.27 s of every clip had no notes, and the first were of another moment."""
    truth, hands = filmed
    notes, pedal, _ = to_video_clock(*map_times(truth, PEDAL, TimeMap(LATE_S)), *hands, "midi")
    cut, expected = cut_music(notes, pedal, 8.0, 18.0), cut_music(truth, PEDAL, 8.0, 18.0)
    assert [note["pitch"] for note in cut["notes"]] == [note["pitch"] for note in expected["notes"]]
    assert max(note["onset_s"] for note in cut["notes"]) > 10.0 - LATE_S


def test_notes_with_an_unknown_delay_stay_and_the_report_says_so(filmed):
    truth, (time_s, joints, state) = filmed
    notes, _, report = to_video_clock(truth, PEDAL, time_s, joints * np.nan, state, "midi")
    assert notes is truth and report["audio_delay_s"] == 0.0
    assert report["delay"]["words"] == "delay of the MIDI unknown: taken as 0" and report["delay"]["estimate_s"] is None


def test_many_minutes_of_notes_around_a_short_video_are_left_out(filmed):
    truth, hands = filmed
    rng = np.random.default_rng(1)
    onset_s = np.sort(rng.uniform(25.0, 1_000.0, 5_000))
    other = note_table(onset_s, onset_s + 0.1, rng.integers(21, 109, len(onset_s)), np.full(len(onset_s), 64), PEDAL)
    whole = {name: np.concatenate([values, other[name]]) for name, values in truth.items()}
    notes, _, report = to_video_clock(*map_times(whole, PEDAL, TimeMap(LATE_S)), *hands, "midi")
    assert report["delay"]["corrected_s"] == pytest.approx(LATE_S, abs=0.01)
    assert notes["pitch"].tolist() == truth["pitch"].tolist()
