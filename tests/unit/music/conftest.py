"""A performance of the synthetic piano with known truth, and a simulated transcription of it."""

from dataclasses import dataclass

import numpy as np
import pytest

from handroll.music.synthesis import synthesise
from handroll.simulator.score import random_score

RATE_HZ = 44100
SEED = 2106
SECONDS = 30.0
DYNAMICS = 2.5


@dataclass(frozen=True)
class Played:
    """True notes and pedal, their audio, and a transcription with the errors of an engine."""

    notes: dict
    pedal: dict
    samples: np.ndarray
    transcription: dict
    rate_hz: int = RATE_HZ


@pytest.fixture(scope="session")
def played():
    """Thirty seconds of a medley with human dynamics; the transcription has errors of 3 ms and 5 % velocity and misses 3 % of the notes."""
    score = random_score(SEED, SECONDS)
    middle = np.median(score.notes["velocity"])
    velocity = np.clip(np.round(middle + DYNAMICS * (score.notes["velocity"] - middle)), 20, 120).astype(np.int8)
    notes = score.notes | {"velocity": velocity}
    samples = synthesise(notes, score.pedal, SECONDS, SEED, RATE_HZ)
    rng = np.random.default_rng(SEED)
    transcribed = np.sort(rng.permutation(len(velocity))[: round(0.97 * len(velocity))])
    transcription = {name: values[transcribed] for name, values in notes.items()}
    onset_s = transcription["onset_s"] + rng.normal(0.0, 0.003, len(transcribed))
    order = np.argsort(onset_s, kind="stable")
    spread = np.exp(rng.normal(0.0, 0.05, len(transcribed)))
    transcription |= {"onset_s": onset_s, "velocity": np.clip(np.round(transcription["velocity"] * spread), 1, 127).astype(np.int8)}
    return Played(notes, score.pedal, samples, {name: values[order] for name, values in transcription.items()})
