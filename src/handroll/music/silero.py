"""The speech classifier Silero VAD, with weights that come inside its package (silero-vad, MIT licence).

Measured against WebRTC's, which takes 70 to 99 % of a piano recording for speech; Silero takes 0 to 1 %
(`screening.audio_quality.SPEECH_PROBABILITY`).
"""

from functools import cache

import numpy as np
import soxr
import torch
from silero_vad import load_silero_vad

from handroll.device import torch_threads

VERSION = 1
"""Raised by hand when the same sound gives other probabilities."""

RATE_HZ = 16_000
HOP = 512
"""Samples that the model judges at a time: 32 ms."""
_PEAK = 0.5
# Quiet recordings are judged as loud ones: all are brought to this peak.
_BLOCK_S = 300.0
# Sound is handed over in blocks of about this length, so that memory does not grow with it.


def classify(samples, rate_hz, threads=1):
    """Judge sound; arguments and results as of `handroll.music.speech.speech_probability`."""
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
    """The model; the package sets the number of threads when it is loaded, so this is done before they are chosen."""
    return load_silero_vad()
