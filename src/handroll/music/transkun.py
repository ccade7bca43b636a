"""The transcription engine Transkun 2: notes and pedal from piano audio, with the weights in its package.

Y. Yan, Z. Duan, "Scoring Time Intervals Using Non-Hierarchical Transformer for Automatic Piano Transcription", ISMIR
2024, arXiv:2404.09466; package transkun 2.0.1 (MIT). Its checkpoint was trained on notes that end at the key release,
not lengthened by the pedal. So the note ends that it reports are key releases, and pedal presses are separate events.
"""

import ctypes
import json
import math
import sys
import warnings
from contextlib import contextmanager
from functools import cache
from importlib import resources
from types import ModuleType, SimpleNamespace

import numpy as np
import soxr
import torch

from handroll.device import torch_device, torch_threads
from handroll.logs import progress
from handroll.music.notes import note_table, pedal_table
from handroll.provenance import file_sha256

VERSION = 2
"""Version of the transcription, increased manually when the same audio gives other notes or pedal presses."""

SUSTAIN_EVENT = -64
"""Value of `pitch` with which Transkun marks a press of the sustain pedal (MIDI controller 64). -67, the soft pedal, is ignored."""

SEGMENT_S = 16.0
"""Length of a segment, seconds: same as in training. With shorter segments, the model misses notes."""

HOP_S = 8.0
"""Default time between the starts of successive segments, seconds: the default of the model."""

LEAD_S = 0.007
"""Correction that is added to all times, seconds. The model reports times that are early by about this much, like the times of the
Disklavier recordings in its training data. Measured with `alignment.onset_detection`:
8 ms on the synthetic piano (12 medleys with known onsets), 6 ms on average (-1 to 11 ms) on four recordings of real pianos."""

TIME_DECIMALS = 4
"""Times (s) are rounded to this many decimals: 0.1 ms, while a frame of the model lasts 23 ms. So computers with different rounding errors
almost always give the same tables."""


def transcribe(samples, rate_hz, threads=1, device="cpu", hop_s=HOP_S):
    """Transcribe piano audio.

    Parameters
    ----------
    samples : float32 array (sample,)
        Mono, -1..1.
    rate_hz : int
        Sampling rate; other rates than the model's 44100 Hz are resampled.
    threads : int
        Number of CPU threads of torch.
    device : str
        Device of the model, see `handroll.device`.
    hop_s : float
        Time between the starts of successive segments, s. The overlap of segments gives context to notes at their boundaries.

    Returns
    -------
    notes, pedal : dict
        Columns of `tables.NOTES` and `tables.PEDAL`.
    facts : dict
        `weights_sha256`: hash of the checkpoint.

    Raises
    ------
    ValueError
        `hop_s` is not above 0, or longer than a segment, which would skip audio.
    handroll.device.DeviceError
        The device is not available.
    """
    if not 0.0 < hop_s <= SEGMENT_S:
        raise ValueError(f"transkun: expected hop_s above 0 and at most {SEGMENT_S:g} s (the length of a segment), found {hop_s:g} s")
    device = torch_device(device)
    _keep_freed_memory()
    model, weights_sha256 = load_model(device)
    if rate_hz != model.fs:
        samples = soxr.resample(samples, rate_hz, model.fs)
    audio = torch.from_numpy(np.ascontiguousarray(samples[:, None], dtype=np.float32)).to(device)
    with torch_threads(threads), _log_segments(model, len(samples), hop_s), torch.inference_mode(), warnings.catch_warnings():
        # Transkun uses `torch.utils.checkpoint` to save memory. Torch warns that this has no effect outside training.
        warnings.filterwarnings("ignore", module=r"torch\.")
        events = model.transcribe(audio, stepInSecond=hop_s, segmentSizeInSecond=SEGMENT_S)
    # The model can report events in the silence that pads both ends. Events after the end of the audio are dropped.
    length_s = len(samples) / model.fs
    events = [e for e in events if e.start + LEAD_S < length_s]

    pressed = [e for e in events if e.pitch == SUSTAIN_EVENT]
    pedal = pedal_table(_times(e.start + LEAD_S for e in pressed), _times(min(e.end + LEAD_S, length_s) for e in pressed))
    struck = [e for e in events if e.pitch > 0]
    notes = note_table(
        _times(e.start + LEAD_S for e in struck),
        _times(min(e.end + LEAD_S, length_s) for e in struck),
        [e.pitch for e in struck],
        [e.velocity for e in struck],
        pedal,
    )
    return notes, pedal, {"weights_sha256": weights_sha256}


@cache
def load_model(device="cpu"):
    """Load the model in evaluation mode; cached.

    Parameters
    ----------
    device : torch.device or str

    Returns
    -------
    model : transkun.ModelTransformer.TransKun
    weights_sha256 : str
        Hash of the checkpoint.
    """
    from transkun import ModelTransformer

    with resources.as_file(resources.files("transkun") / "pretrained") as folder:
        settings = json.loads((folder / "2.0.conf").read_text(encoding="utf-8"))["Model"]["config"]
        config = ModelTransformer.ModelConfig()
        vars(config).update(settings)
        with _replace_torchaudio():
            model = ModelTransformer.TransKun(config)
        weights = folder / "2.0.pt"
        if not weights.is_file():
            raise FileNotFoundError(
                f"{weights}: expected the weights of Transkun 2, found no file. They are part of its package; install it again: "
                "pip install --force-reinstall --no-deps transkun==2.0.1"
            )
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["state_dict"], strict=True)
        return model.to(device).eval(), file_sha256(weights)


@contextmanager
def _replace_torchaudio():
    """Context manager: replace torchaudio by a module whose mel filter bank is zeros of the right shape.

    When Transkun builds its model, it uses torchaudio only for this filter bank. The checkpoint then overwrites the filter bank; loading
    with `strict=True` fails otherwise. So torchaudio, whose binary must match the build of torch, is not needed.
    """

    def melscale_fbanks(n_freqs, f_min, f_max, n_mels, sample_rate):
        return torch.zeros(n_freqs, n_mels)

    stand_in = ModuleType("torchaudio")
    stand_in.functional = SimpleNamespace(melscale_fbanks=melscale_fbanks)
    real = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
        if real is not None:
            sys.modules["torchaudio"] = real


def _keep_freed_memory():
    """Configure glibc to keep freed memory for the next tensors of this process.

    By default, glibc requests memory from the kernel for every large tensor, and the kernel fills it with zeros. This takes a quarter of
    the running time of the model. With other C libraries this function has no effect.
    """
    m_trim_threshold, m_mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


@contextmanager
def _log_segments(model, n_samples, hop_s):
    """Context manager: log the progress of the transcription. The model calls `transcribeFrames` once for each segment."""
    step = math.ceil(hop_s * model.fs / model.hopSize) * model.hopSize
    padding = 2 * math.ceil((SEGMENT_S - hop_s) * model.fs)
    total = math.ceil((n_samples + padding) / step)
    done = progress(range(total), total, "segments")
    transcribe_frames = model.transcribeFrames

    def logged(*arguments, **options):
        next(done, None)
        return transcribe_frames(*arguments, **options)

    model.transcribeFrames = logged
    try:
        yield
        next(done, None)
    finally:
        del model.transcribeFrames


def _times(times_s):
    """Return times as an array (event,), seconds, rounded to `TIME_DECIMALS`."""
    return np.round(np.fromiter(times_s, np.float64), TIME_DECIMALS)
