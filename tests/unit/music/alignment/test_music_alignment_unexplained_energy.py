import numpy as np
import pytest

from handroll.config.pipeline import Purity
from handroll.music.alignment import unexplained_energy
from handroll.music.alignment.unexplained_energy import SPAN_S, measure_unexplained_energy
from handroll.screening.criteria import CRITERIA
from handroll.screening.purity import measure_purity


def vibrato(seconds, rate_hz, hz=523.0):
    """A tone with eight harmonics and vibrato, as of a violin."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2.0 * np.pi * hz * time_s + 2.0 * np.sin(2.0 * np.pi * 5.5 * time_s)
    return sum(np.sin(k * phase) / k for k in range(1, 9))


def at_level(other, samples, level_db):
    return other * np.sqrt(np.mean(samples**2) / np.mean(other**2)) * 10.0 ** (level_db / 20.0)


def scores_of(samples, notes, rate_hz):
    found = measure_unexplained_energy(samples, rate_hz, notes)
    return found, measure_purity(found.power, found.foreign, found.noise, found.counted)


@pytest.fixture(scope="module")
def transcribed(played):
    """All notes, with the onset errors of a transcription engine: some milliseconds."""
    onset_s = played.notes["onset_s"] + np.random.default_rng(1).normal(0.0, 0.003, len(played.notes["onset_s"]))
    return played.notes | {"onset_s": onset_s}


@pytest.fixture(scope="module")
def clean(played, transcribed):
    return scores_of(played.samples, transcribed, played.rate_hz)


def test_a_piano_explains_itself(clean):
    found, scores = clean
    assert len(found.start_s) == 16 and found.start_s[1] == pytest.approx(SPAN_S, abs=0.02)
    assert scores["foreign_db"] < -50.0 and scores["lasting_db"] < -60.0 and scores["noise_db"] < -40.0
    assert ((found.counted >= 0.0) & (found.counted <= 1.0)).all() and found.counted.mean() > 0.2


def test_another_instrument_is_foreign_where_it_plays(played, transcribed, clean):
    begin, end = 10 * played.rate_hz, 20 * played.rate_hz
    samples = played.samples.astype(float)
    samples[begin:end] += at_level(vibrato(10.0, played.rate_hz), samples[begin:end], -10.0)
    found, scores = scores_of(samples, transcribed, played.rate_hz)
    mean_power = np.sum(found.power * found.counted) / np.sum(found.counted)
    levels_db = 10.0 * np.log10(found.foreign * found.counted / mean_power + 1e-30)
    during = (found.start_s >= 10.0) & (found.start_s + SPAN_S <= 20.0)
    outside = (found.start_s + SPAN_S <= 9.0) | (found.start_s >= 21.0)
    assert np.median(levels_db[during]) > -35.0 and levels_db[during].max() > -26.0 and levels_db[outside].max() < -60.0
    assert scores["foreign_db"] > clean[1]["foreign_db"] + 20.0


def test_notes_that_are_not_given_are_foreign(played, clean):
    half = {name: values[::2] for name, values in played.notes.items()}
    _, scores = scores_of(played.samples, half, played.rate_hz)
    assert scores["foreign_db"] > clean[1]["foreign_db"] + 15.0


def test_a_missed_note_is_forgiven(played, transcribed):
    loudest = int(np.argmax(transcribed["velocity"]))
    _, scores = scores_of(played.samples, {name: np.delete(values, loudest) for name, values in transcribed.items()}, played.rate_hz)
    assert -80.0 < scores["foreign_db"] < -15.0 and scores["lasting_db"] < -60.0
    assert CRITERIA["purity"].decide(scores, Purity().model_dump()) == ()


def test_without_notes_all_is_foreign(played):
    none = {name: values[:0] for name, values in played.notes.items()}
    found, scores = scores_of(played.samples, none, played.rate_hz)
    assert scores["lasting_db"] > -31.5 and found.counted[2:-2] == pytest.approx(1.0)


@pytest.mark.parametrize("level_db", [-30.0, -20.0])
def test_steady_noise_has_its_level(played, transcribed, level_db):
    noise = np.random.default_rng(5).standard_normal(len(played.samples))
    _, scores = scores_of(played.samples + at_level(noise, played.samples, level_db), transcribed, played.rate_hz)
    # White noise up to the highest analysed frequency (11 kHz) has half of the power up to 22 kHz.
    assert scores["noise_db"] == pytest.approx(level_db - 3.0, abs=2.5)


def test_a_piano_out_of_tune_is_still_a_piano(played, transcribed):
    stretched = np.interp(np.arange(0.0, len(played.samples) - 1.0, 1.018), np.arange(len(played.samples)), played.samples)
    notes = {name: values / 1.018 if name.endswith("_s") else values for name, values in transcribed.items()}
    _, scores = scores_of(stretched, notes, played.rate_hz)
    assert scores["foreign_db"] < -50.0


def test_loudness_does_not_matter(played, transcribed, clean):
    _, scores = scores_of(played.samples / 16.0, transcribed, played.rate_hz)
    assert scores["foreign_db"] == pytest.approx(clean[1]["foreign_db"], abs=0.2)


def test_blocks_leave_no_seams(played, transcribed, clean, monkeypatch):
    monkeypatch.setattr(unexplained_energy, "_BLOCK_SPANS", 4)
    found, scores = scores_of(played.samples, transcribed, played.rate_hz)
    assert found.power == pytest.approx(clean[0].power, rel=1e-4) and found.counted == pytest.approx(clean[0].counted)
    assert scores["foreign_db"] == pytest.approx(clean[1]["foreign_db"], abs=3.0)


def test_nothing():
    none = {"onset_s": np.zeros(0), "sounding_offset_s": np.zeros(0), "pitch": np.zeros(0, np.int8)}
    assert len(measure_unexplained_energy(np.zeros(0, np.float32), 44_100, none).power) == 0
    silent = measure_unexplained_energy(np.zeros(44_100 * 5, np.float32), 44_100, none)
    assert len(silent.power) == 3 and silent.foreign.max() < 1e-8
