"""The transcription engine Transkun 2: notes and pedal from piano audio, with weights from its package.

Y. Yan, Z. Duan, "Scoring Time Intervals Using Non-Hierarchical Transformer for Automatic Piano Transcription", ISMIR
2024, arXiv:2404.09466; package transkun 2.0.1 (MIT). Its checkpoint was trained on the times of the keys, without
lengthening notes by the pedal. So its note ends are key releases, and the pedal has separate events.
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
"""Raised by hand when the transcription of the same audio changes."""

SUSTAIN_EVENT = -64
"""Transkun's "pitch" of a sustain pedal press (MIDI controller 64). -67 is the soft pedal, which is ignored."""

SEGMENT_S = 16.0
"""Length of a segment, as in training. With shorter segments the model misses notes."""

HOP_S = 8.0
"""Default distance from one segment's start to the next: the model's own."""

LEAD_S = 0.007
"""The model's times precede the audio by about this much, like those of the Disklavier recordings of its training. Added to all times.
Measured as in `alignment.onset_detection`: 8 ms on the synthetic piano (known truth, 12 medleys), 6 ms on average (-1 to 11) on four
recordings of real pianos."""

TIME_DECIMALS = 4
"""Times are rounded to 0.1 ms, far below the model's frame of 23 ms. So machines whose arithmetic differs in the last bits nearly always
give the same tables."""


def transcribe(samples, rate_hz, threads=1, device="cpu", hop_s=HOP_S):
    """Transcribe piano audio.

    Parameters
    ----------
    samples : float32 array (sample,)
        Mono, -1..1.
    rate_hz : int
        Other rates are resampled to the model's 44100 Hz.
    threads : int
        Number of torch's threads.
    device : str
        Device of the model, see `handroll.device`.
    hop_s : float
        Distance from one segment's start to the next. The overlap is the context of notes at the boundary of two segments.

    Returns
    -------
    notes, pedal : dict
        Columns of tables.NOTES and tables.PEDAL.
    facts : dict
        `weights_sha256` of the checkpoint.

    Raises
    ------
    ValueError
        `hop_s` is longer than a segment, which would skip audio.
    handroll.device.DeviceError
    """
    if not 0.0 < hop_s <= SEGMENT_S:
        raise ValueError(f"transkun: expected hop_s above 0 and at most the segments' {SEGMENT_S:g} s, found {hop_s:g}")
    device = torch_device(device)
    _keep_freed_memory()
    model, weights_sha256 = load_model(device)
    if rate_hz != model.fs:
        samples = soxr.resample(samples, rate_hz, model.fs)
    audio = torch.from_numpy(np.ascontiguousarray(samples[:, None], dtype=np.float32)).to(device)
    with torch_threads(threads), _segments_logged(model, len(samples), hop_s), torch.inference_mode(), warnings.catch_warnings():
        # Transkun uses `torch.utils.checkpoint` to save memory, which warns that it has no effect without training.
        warnings.filterwarnings("ignore", module=r"torch\.")
        events = model.transcribe(audio, stepInSecond=hop_s, segmentSizeInSecond=SEGMENT_S)
    # Events are possible in the silence that pads both ends.
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
    """Load the model in evaluation mode, and the SHA-256 of its weights. The result is cached.

    Parameters
    ----------
    device : torch.device or str

    Returns
    -------
    model : transkun.ModelTransformer.TransKun
    weights_sha256 : str
    """
    from transkun import ModelTransformer

    with resources.as_file(resources.files("transkun") / "pretrained") as folder:
        settings = json.loads((folder / "2.0.conf").read_text(encoding="utf-8"))["Model"]["config"]
        config = ModelTransformer.ModelConfig()
        vars(config).update(settings)
        with _torchaudio_stand_in():
            model = ModelTransformer.TransKun(config)
        weights = folder / "2.0.pt"
        if not weights.is_file():
            raise FileNotFoundError(
                f"{weights}: expected the weights of Transkun 2, found none; they come with its package: "
                "pip install --force-reinstall --no-deps transkun==2.0.1"
            )
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["state_dict"], strict=True)
        return model.to(device).eval(), file_sha256(weights)


@contextmanager
def _torchaudio_stand_in():
    """Replace torchaudio, while the block runs, by a module whose mel filter bank is zeros of the right shape.

    Transkun uses torchaudio only for this filter bank when it builds its model. The bank is then overwritten by the one in the
    checkpoint (`strict` loading above makes sure of it). So torchaudio, whose binary must match torch's build, is not needed.
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

    By default every large tensor is mapped again and its pages are zeroed by the kernel, which takes a quarter of this model's time.
    Other C libraries are left as they are.
    """
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)


@contextmanager
def _segments_logged(model, n_samples, hop_s):
    """Log the progress of the transcription in segments. The model calls `transcribeFrames` once for each."""
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
    return np.round(np.fromiter(times_s, np.float64), TIME_DECIMALS)
