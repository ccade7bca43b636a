"""Planted faults give exactly the expected findings; findings decide whether a given MIDI file is used."""

import json

import mido
import numpy as np
import pytest

from handroll.config.pipeline import MidiCheck
from handroll.music.alignment.midi_audio_scores import measure
from handroll.music.alignment.midi_selection import Finding, Limits, decide, select_notes
from handroll.music.alignment.time_map import TimeMap, map_times
from handroll.music.midi import write_midi
from handroll.music.notes import note_table, pedal_table

LIMITS = Limits(**MidiCheck().model_dump(exclude={"correct"}))
NO_PEDAL = pedal_table([], [])
RNG_SEED = 5


def changed(notes, **columns):
    new = notes | columns
    length_s = notes["key_offset_s"] - notes["onset_s"]
    return note_table(new["onset_s"], new["onset_s"] + length_s, new["pitch"], np.round(new["velocity"]), NO_PEDAL)


def moved(offset_s, drift=0.0):
    return lambda notes, rng: map_times(notes, NO_PEDAL, TimeMap(offset_s, drift))[0]


def transposed(semitones):
    return lambda notes, rng: changed(notes, pitch=np.clip(notes["pitch"] + semitones, 21, 108))


def some_octaves(notes, rng):
    pitch = notes["pitch"].copy()
    pitch[rng.permutation(len(pitch))[: len(pitch) // 10]] += 12
    return changed(notes, pitch=pitch)


def spread(notes, rng):
    return changed(notes, onset_s=notes["onset_s"] + rng.normal(0.0, 0.04, len(notes["pitch"])))


def deleted(notes, rng):
    gone = rng.permutation(len(notes["pitch"]))[: round(0.05 * len(notes["pitch"]))]
    return {name: np.delete(values, gone) for name, values in notes.items()}


def added(notes, rng):
    n = len(notes["pitch"])
    more = changed(notes, onset_s=rng.uniform(1.0, 29.0, n), pitch=rng.permutation(notes["pitch"]))
    kept = rng.permutation(n)[: n // 8]
    return changed({name: np.concatenate([notes[name], more[name][kept]]) for name in notes})


def scaled(notes, rng):
    return changed(notes, velocity=0.7 * notes["velocity"])


def bent(notes, rng):
    return changed(notes, velocity=notes["velocity"].astype(float) ** 3 / np.median(notes["velocity"]) ** 2)


def shuffled(notes, rng):
    return changed(notes, velocity=rng.permutation(notes["velocity"]))


BY_SOUND = {
    "clean": (moved(0.0), set()),
    "shift -10 ms": (moved(-0.010), {"shifted"}),
    "shift 60 ms": (moved(0.060), {"shifted"}),
    "drift 0.1 %": (moved(0.0, 1e-3), {"drifting"}),
    "octave down": (transposed(-12), {"wrong_octave"}),
    "semitone": (transposed(1), {"wrong_pitch"}),
    "velocities shuffled": (shuffled, {"levels_off"}),
}
BY_BOTH = BY_SOUND | {
    "shift 3 s": (moved(3.0), {"shifted"}),
    "shift and drift": (moved(1.0, -1e-3), {"shifted", "drifting"}),
    "times spread": (spread, {"timing_off"}),
    "octaves in a tenth": (some_octaves, {"wrong_octave"}),
    "5 % deleted": (deleted, {"notes_missing"}),
    "an eighth added": (added, {"notes_extra"}),
    "velocities x 0.7": (scaled, {"levels_off"}),
    "velocities bent": (bent, {"levels_off"}),
}


@pytest.mark.parametrize("fault", BY_BOTH)
def test_faults_are_named_by_sound_and_transcription(played, fault):
    plant, expected = BY_BOTH[fault]
    faulty = plant(played.notes, np.random.default_rng(RNG_SEED))
    assert set(decide(measure(faulty, played.samples, played.rate_hz, played.transcription), LIMITS)) == expected


@pytest.mark.parametrize("fault", BY_SOUND)
def test_faults_are_named_by_sound_alone(played, fault):
    plant, expected = BY_SOUND[fault]
    faulty = plant(played.notes, np.random.default_rng(RNG_SEED))
    assert set(decide(measure(faulty, played.samples, played.rate_hz), LIMITS)) == expected


def test_octaves_are_counted(played):
    findings = decide(measure(transposed(24)(played.notes, None), played.samples, played.rate_hz, played.transcription), LIMITS)
    assert findings == {Finding.WRONG_OCTAVE: "all notes 2 octaves too high"}


def choose(played, midi, **options):
    return select_notes(played.transcription, NO_PEDAL, midi, played.samples, played.rate_hz, LIMITS, **options)


def write(tmp_path, played, plant):
    write_midi(tmp_path / "a.mid", plant(played.notes, np.random.default_rng(RNG_SEED)), played.pedal)
    return tmp_path / "a.mid"


def test_a_clean_file_is_used_as_it_is(tmp_path, played):
    chosen = choose(played, write(tmp_path, played, moved(0.0)))
    assert chosen.report["notes"] == "given" and chosen.report["findings"] == {}
    assert chosen.report["problem"] is chosen.report["correction"] is chosen.report["unchecked"] is None
    np.testing.assert_allclose(chosen.notes["onset_s"], played.notes["onset_s"], atol=2e-3)
    json.dumps(chosen.report, allow_nan=False)


def test_offset_and_drift_are_corrected(tmp_path, played):
    pedal = map_times(played.notes, played.pedal, TimeMap(1.0, -1e-3))[1]
    write_midi(tmp_path / "a.mid", moved(1.0, -1e-3)(played.notes, None), pedal)
    chosen = choose(played, tmp_path / "a.mid")
    assert chosen.report["notes"] == "given" and set(chosen.report["findings"]) == {"shifted", "drifting"}
    assert chosen.report["correction"]["offset_s"] == pytest.approx(-1.0, abs=6e-3)
    np.testing.assert_allclose(chosen.notes["onset_s"], played.notes["onset_s"], atol=7e-3)
    np.testing.assert_allclose(chosen.pedal["offset_s"], played.pedal["offset_s"], atol=7e-3)
    assert np.all(chosen.notes["sounding_offset_s"] >= chosen.notes["key_offset_s"])
    assert np.any(chosen.notes["sounding_offset_s"] > chosen.notes["key_offset_s"] + 0.05)

    uncorrected = choose(played, tmp_path / "a.mid", correct=False)
    assert uncorrected.report["notes"] == "transcribed" and uncorrected.report["problem"]["reason"] == "midi_disagrees"


def test_any_other_fault_gives_the_transcription(tmp_path, played):
    path = write(tmp_path, played, transposed(12))
    chosen = choose(played, path)
    assert chosen.notes is played.transcription and chosen.report["correction"] is None
    problem = chosen.report["problem"]
    assert problem["reason"] == "midi_disagrees"
    assert problem["message"].startswith(f"{path}: expected the notes of this recording, found wrong_octave: all notes 1 octave too high. ")


def test_without_sound_the_given_file_is_used_unchecked(tmp_path, played):
    path = write(tmp_path, played, transposed(12))
    for samples, why in ((np.zeros(0, np.float32), "the video has no audio"), (np.zeros(44100, np.float32), "the audio is silent")):
        chosen = select_notes(played.transcription, NO_PEDAL, path, samples, 44100, LIMITS)
        assert (chosen.report["notes"], chosen.report["unchecked"], chosen.report["scores"]) == ("given", why, None)


def test_without_a_given_file_the_transcription_is_checked_and_used(played):
    late = moved(0.03)(played.transcription, None)
    chosen = select_notes(late, NO_PEDAL, None, played.samples, played.rate_hz, LIMITS)
    assert chosen.notes is late and chosen.report["notes"] == "transcribed"
    assert list(chosen.report["findings"]) == ["shifted"] and chosen.report["problem"] is None


def test_files_that_cannot_be_used_give_the_transcription_and_their_fault(tmp_path, played):
    (tmp_path / "text.mid").write_bytes(b"no midi")
    write_midi(tmp_path / "empty.mid", note_table([], [], [], [], NO_PEDAL), NO_PEDAL)
    for name, fault in (("text.mid", "not_midi"), ("empty.mid", "no_notes"), ("missing.mid", "missing")):
        chosen = choose(played, tmp_path / name)
        problem = chosen.report["problem"]
        assert chosen.notes is played.transcription and (problem["reason"], problem["fault"]) == ("midi_unreadable", fault)
        assert problem["message"].startswith(str(tmp_path / name))


def test_a_doubled_file_is_repaired_and_agrees(tmp_path, played):
    doubled = mido.MidiFile(write(tmp_path, played, moved(0.0)))
    mido.MidiFile(type=1, ticks_per_beat=doubled.ticks_per_beat, tracks=doubled.tracks * 2).save(tmp_path / "doubled.mid")
    chosen = choose(played, tmp_path / "doubled.mid")
    assert chosen.report["notes"] == "given" and chosen.report["findings"] == {}
    assert chosen.report["repairs"]["doubled"] == len(played.notes["pitch"]) == len(chosen.notes["pitch"])


def test_hours_of_notes_are_not_those_of_half_a_minute(tmp_path, played):
    """Comparing them with the audio would take longer than the step may take."""
    onset_s = np.arange(2_000) * 0.5
    write_midi(tmp_path / "a.mid", note_table(onset_s, onset_s + 0.1, 21 + np.arange(2_000) % 88, [64] * 2_000, NO_PEDAL), NO_PEDAL)
    chosen = choose(played, tmp_path / "a.mid")
    assert chosen.notes is played.transcription and chosen.report["problem"]["reason"] == "midi_disagrees"
    assert chosen.report["findings"] == {"notes_extra": "2000 notes in 30 s of audio (at most 1810)"}


def test_a_file_that_is_seconds_late_is_corrected_throughout(tmp_path, played):
    late = moved(3.27)(played.notes, None)
    pedal = pedal_table([4.0], [6.0])
    write_midi(tmp_path / "a.mid", late, pedal)
    chosen = choose(played, tmp_path / "a.mid")
    assert chosen.report["notes"] == "given" and list(chosen.report["findings"]) == ["shifted"]
    assert chosen.report["correction"]["offset_s"] == pytest.approx(-3.27, abs=0.01)
    assert len(chosen.notes["pitch"]) == len(played.notes["pitch"])
    for name in ("onset_s", "key_offset_s"):
        np.testing.assert_allclose(np.sort(chosen.notes[name]), np.sort(played.notes[name]), atol=0.012)
    np.testing.assert_allclose(chosen.pedal["onset_s"], [0.73], atol=0.012)


def test_few_notes_are_not_judged(tmp_path, played):
    write_midi(tmp_path / "a.mid", note_table([1.0], [2.0], [60], [64], NO_PEDAL), NO_PEDAL)
    chosen = select_notes(note_table([], [], [], [], NO_PEDAL), NO_PEDAL, tmp_path / "a.mid", played.samples, played.rate_hz, LIMITS)
    assert (chosen.report["notes"], chosen.report["unchecked"]) == ("given", "fewer than 10 notes")
