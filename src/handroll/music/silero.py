"""The speech classifier Silero VAD, with weights from its package (silero-vad, MIT licence).

Of piano recordings, WebRTC's classifier reports 70 to 99 % as speech, Silero 0 to 1 % (measured;
`screening.audio_quality.SPEECH_PROBABILITY`).
"""

from functools import cache

import numpy as np
import soxr
import torch
from silero_vad import load_silero_vad

from handroll.device import torch_threads

VERSION = 1
"""Raised by hand when the same audio gives other probabilities."""

RATE_HZ = 16_000

HOP = 512
"""Samples for each of the model's probabilities: 32 ms."""

# All recordings are scaled to this peak, so that loudness has no effect.
_PEAK = 0.5

# Approximate length of the blocks given to the model (s), so that memory does not grow with the recording.
_BLOCK_S = 300.0


def classify(samples, rate_hz, threads=1):
    """Estimate the probability of speech; arguments and results as of `handroll.music.speech.speech_probability`."""
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
    """Load the model. The package sets the number of threads when it is loaded."""
    return load_silero_vad()
