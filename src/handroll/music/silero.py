"""The speech classifier Silero VAD, with the weights in its package (silero-vad, MIT licence).

It was chosen because it rarely reports piano as speech. Measured share of piano recordings that is reported as speech: 70 to 99 % with
WebRTC's classifier, 0 to 1 % with Silero at the threshold `screening.audio_quality.SPEECH_PROBABILITY`.
"""

from functools import cache

import numpy as np
import soxr
import torch
from silero_vad import load_silero_vad

from handroll.device import torch_threads

VERSION = 1
"""Version of the probabilities, increased manually when the same audio gives other probabilities."""

RATE_HZ = 16_000
"""Sampling rate of the model's input."""

HOP = 512
"""Number of audio samples (32 ms) for which the model returns one probability."""

# All recordings are scaled to this peak (full scale 1), so that their loudness has no effect.
_PEAK = 0.5

# Approximate length of the blocks that the model processes, seconds. Blocks limit the memory for long recordings.
_BLOCK_S = 300.0


def classify(samples, rate_hz, threads=1):
    """Estimate the probability of speech over time. Arguments and results: see `handroll.music.speech.speech_probability`."""
    samples = soxr.resample(samples, rate_hz, RATE_HZ) if rate_hz != RATE_HZ else samples
    samples = samples * (_PEAK / max(np.abs(samples).max(initial=0.0), 1e-9))
    block = round(_BLOCK_S * RATE_HZ / HOP) * HOP
    with torch_threads(threads), torch.inference_mode():
        model = _load_model()
        parts = [
            model.audio_forward(torch.from_numpy(np.ascontiguousarray(samples[first : first + block], np.float32))[None], sr=RATE_HZ)[0]
            for first in range(0, len(samples), block)
        ]
    return torch.cat(parts).numpy(), HOP / RATE_HZ


@cache
def _load_model():
    """Load the model; cached. Call it inside `torch_threads`, because the package sets the number of threads when it loads the model."""
    return load_silero_vad()
