"""The transcription engine Kong: notes and pedal from piano audio. The released weights are a separate file.

Q. Kong, B. Li, X. Song, Y. Wan, Y. Wang, "High-Resolution Piano Transcription With Pedals by Regressing Onset and Offset
Times", IEEE/ACM TASLP 29 (2021), doi:10.1109/TASLP.2021.3121991; also used for PianoMotion10M. The network, and the rules
that convert its outputs to events, come from the authors' package piano_transcription_inference 0.0.6 (MIT). This module
reimplements the loading of the weights and the pass over a recording, with the same results.

**Ends of notes.** The network was trained on notes lengthened by the pedal (`extend_pedal=True` in the authors' training
code, github.com/bytedance/piano_transcription). It detects when a note stops sounding, not when its key is released. So
`sounding_offset_s` is the end that the engine reports. `key_offset_s` is unknown and set to the same time: correct if the pedal is
up; if the pedal is down, the key may be released earlier. `keyboard.contacts` keeps fingertips at their keys until this time.

**Times** are those that the engine reports, without correction. Their offset from the audio has not been measured, unlike that of
Transkun.
"""

import logging
import math
from functools import cache
from pathlib import Path

import numpy as np
import soxr
import torch

from handroll.device import torch_device, torch_threads
from handroll.logs import progress
from handroll.music.notes import note_table, pedal_table
from handroll.provenance import file_sha256
from handroll.safe_pickle import UnreadableError, load_torch
from handroll.state_dicts import expected_of, layout_problems, listed, non_finite, state_dict_at
from handroll.tables import PEDAL

LOGGER = logging.getLogger("handroll")

VERSION = 1
"""Version of the transcription, increased manually when the same audio gives other notes or pedal presses."""

RATE_HZ = 16_000
"""Sampling rate of the network's input."""

FRAMES_PER_S = 100
"""Frame rate of the network's outputs, frames a second. Fixed by the released network."""

KEYS = 88
"""Number of columns of the outputs for notes; outputs for the pedal have one column. Fixed by the released network."""

SEGMENT_SAMPLES = 10 * RATE_HZ
"""Number of samples of a segment: 10 s, same as in training. Consecutive segments overlap by half, same as in the authors' code."""

THRESHOLDS = {"onset_threshold": 0.3, "offset_threshold": 0.3, "frame_threshold": 0.1, "pedal_offset_threshold": 0.2}
"""Thresholds (0..1) with which the authors' rules detect events in the network's outputs; values of the authors' code."""

TIME_DECIMALS = 4
"""Times (s) are rounded to this many decimals. 0.1 ms is about the resolution of single precision after an hour."""

FILE_NAME = "CRNN_note_F1=0.9677_pedal_F1=0.9186.pth"
"""Name of the released file of weights on the page `PAGE_URL`."""

PAGE_URL = "https://zenodo.org/records/4034264"
"""Page on which the authors publish the weights, under CC BY 4.0."""

SHA256 = "c3fa9730725bf4a762f1c14bc80cd5986eacda01b026f5a4a2525cd607876141"
"""SHA-256 of the released file, as published by nixpkgs (python3Packages.piano-transcription-inference) and by projects that checked the
file against the MD5 of the Zenodo record."""

SIZE_BYTES = 171_966_578
"""Size of the released file, as the authors' downloader logs it (github.com/qiuqiangkong/piano_transcription_inference/issues/17)."""

PARTS = ("note_model", "pedal_model")
"""Names of the two networks in a checkpoint, both under the key `model`."""


class KongError(ValueError):
    """The file of weights is missing or rejected. The message says which file, what was expected and found, and what to do."""


def transcribe(samples, rate_hz, threads=1, device="cpu", *, checkpoint):
    """Transcribe piano audio.

    An hour of audio takes about 1.4 GB of memory, in addition to `samples`: 0.2 GB for the audio at 16 kHz, 0.6 GB for the outputs of
    the network, and 0.6 GB for intermediate arrays.

    Parameters
    ----------
    samples : float32 array (sample,)
        Mono, -1..1.
    rate_hz : int
        Sampling rate; other rates than `RATE_HZ` are resampled.
    threads : int
        Number of CPU threads of torch.
    device : str
        Device of the network, see `handroll.device`.
    checkpoint : path
        The released weights.

    Returns
    -------
    notes, pedal : dict
        Columns of `tables.NOTES` and `tables.PEDAL`. For the ends of notes, see the module docstring. A pedal press that lasts to
        the end of the recording can be missing, because the authors' rules report a press only when it ends.
    facts : dict
        `weights_sha256`: hash of the checkpoint.

    Raises
    ------
    KongError
        The checkpoint is missing or rejected; see `load_model`.
    handroll.device.DeviceError
        The device is not available.
    """
    device = torch_device(device)
    model, weights_sha256 = load_model(checkpoint, device)
    length_s = len(samples) / rate_hz
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ)
    with torch_threads(threads):
        outputs = run_network(model, samples, device)
    struck, pressed = events_of(outputs)
    # The network can report events in the zeros that fill the last segment. They are dropped.
    struck = [event for event in struck if event["onset_time"] < length_s]
    pressed = [event for event in pressed if event["onset_time"] < length_s]
    pedal = pedal_table(_times(pressed, "onset_time", length_s), _times(pressed, "offset_time", length_s))
    notes = note_table(
        _times(struck, "onset_time", length_s),
        _times(struck, "offset_time", length_s),
        [event["midi_note"] for event in struck],
        [event["velocity"] for event in struck],
        # An empty pedal table: the reported ends already include the effect of the pedal.
        PEDAL.empty(),
    )
    return notes, pedal, {"weights_sha256": weights_sha256}


def _times(events, name, length_s):
    """Return one time of each event, array (event,), seconds, clipped to 0..`length_s` and rounded.

    `name` is "onset_time" or "offset_time".
    """
    times_s = np.fromiter((event[name] for event in events), np.float64)
    return np.round(np.clip(times_s, 0.0, length_s), TIME_DECIMALS)


def run_network(model, samples, device="cpu", segment_samples=None):
    """Run the network over a recording in overlapping segments, and join the middle parts of their outputs.

    The outputs equal those of the authors' `PianoTranscription`, which keeps all segments and their outputs in memory. This function
    copies each middle part to the result at once, so memory holds the result and one segment.

    Parameters
    ----------
    model : torch module
        Maps audio (1, sample) to a dict of tensors (1, frame, column). Frames are 10 ms apart; the last frame is at the segment's end.
    samples : float32 array (sample,)
        Mono audio at `RATE_HZ`; at least one sample.
    device : torch.device or str
        Device that the model is on.
    segment_samples : int, optional
        Number of samples of a segment; its number of frames must be a multiple of 4. Default: `SEGMENT_SAMPLES`.

    Returns
    -------
    dict of str to float32 array (frame, column)
        Outputs of the network by name. The last frames can belong to the zeros with which the last segment is filled.
    """
    segment_samples = segment_samples or SEGMENT_SAMPLES
    frames = segment_samples * FRAMES_PER_S // RATE_HZ
    hop, half, quarter = segment_samples // 2, frames // 2, frames // 4
    filled = math.ceil(len(samples) / segment_samples) * segment_samples
    starts = range(0, filled - segment_samples + 1, hop)
    # For each segment the network returns `frames` + 1 frames: the additional frame is at the segment's end. It is kept only if the
    # recording has a single segment.
    rows = frames + 1 if len(starts) == 1 else (len(starts) - 1) * half + frames
    outputs = {}
    for number, start in enumerate(progress(starts, len(starts), "segments")):
        audio = np.zeros((1, segment_samples), np.float32)
        segment = samples[start : start + segment_samples]
        audio[0, : len(segment)] = segment
        with torch.inference_mode():
            found = model(torch.from_numpy(audio).to(device))
        first = 0 if number == 0 else quarter
        last = rows - number * half if number == len(starts) - 1 else 3 * quarter
        for name, values in found.items():
            kept = values[0, first:last].cpu().numpy()
            if name not in outputs:
                outputs[name] = np.empty((rows, kept.shape[1]), np.float32)
            outputs[name][number * half + first : number * half + last] = kept
    # The authors' code limits the number of frames to the number of samples. This changes only recordings shorter than 63 ms.
    return {name: values[: len(samples)] for name, values in outputs.items()}


def events_of(outputs):
    """Convert the network's outputs to notes and pedal presses by the authors' rules.

    Parameters
    ----------
    outputs : dict of str to array (frame, column)
        A result of `run_network`. It is modified: the authors' code adds arrays.

    Returns
    -------
    struck : list of dict
        `onset_time`, `offset_time` (s), `midi_note`, `velocity`.
    pressed : list of dict
        `onset_time`, `offset_time` (s).
    """
    from piano_transcription_inference.utilities import RegressionPostProcessor

    class PostProcessor(RegressionPostProcessor):
        """The authors' rules, with a fix for onset and offset peaks whose three values are equal, as in saturated outputs."""

        def get_binarized_output_from_regression(self, reg_output, threshold, neighbour):
            # For three equal values in a row, the shift of the interpolated peak from its frame is 0/0 = NaN. It is replaced by 0.
            with np.errstate(invalid="ignore"):
                binary, shift = super().get_binarized_output_from_regression(reg_output, threshold, neighbour)
            return binary, np.nan_to_num(shift, copy=False)

    return PostProcessor(FRAMES_PER_S, KEYS, **THRESHOLDS).output_dict_to_midi_events(outputs)


@cache
def load_model(checkpoint, device="cpu"):
    """Load the network with its weights, in evaluation mode; cached.

    Parameters
    ----------
    checkpoint : path
    device : torch.device or str

    Returns
    -------
    model : piano_transcription_inference.models.Note_pedal
    weights_sha256 : str

    Raises
    ------
    KongError
        The file is missing, truncated or damaged; it contains code or objects other than tensors; or it belongs to another network:
        its parameters and buffers must have exactly the names, shapes and types of this network.
    """
    path = Path(checkpoint)
    states = _read_states(path)
    from piano_transcription_inference.models import Note_pedal

    model = Note_pedal(frames_per_second=FRAMES_PER_S, classes_num=KEYS)
    for part in PARTS:
        network = getattr(model, part)
        if problems := layout_problems(states[part], expected_of(network)):
            raise _rejected(path, f"another network's {part}, {problems}")
        if wrong := non_finite(states[part]):
            raise _rejected(path, f"a {part} with numbers that are not finite in {listed(wrong)}")
        # Each part is loaded separately, because the package's method for both parts accepts any file, even one without weights.
        network.load_state_dict(states[part], strict=True)
    weights_sha256 = file_sha256(path)
    if weights_sha256 != SHA256:
        LOGGER.warning(
            "%s: the weights fit the network, but are not the released file (SHA-256 %s, released %s)", path, weights_sha256, SHA256
        )
    return model.to(device).eval(), weights_sha256


def _read_states(path):
    """Read a file of weights. Return a dict of the names in `PARTS` to the state dictionaries (parameter name to tensor)."""
    if not path.is_file():
        raise KongError(
            f"{path}: expected the weights of Kong et al. 2021, found no file. `handroll doctor --fetch` downloads them, or put them there "
            f"yourself (music.kong.checkpoint): {FILE_NAME} (172 MB, CC BY 4.0) from {PAGE_URL}"
        )
    try:
        content = load_torch(path, mapped=True)
        return {part: state_dict_at(content, "model", part) for part in PARTS}
    except UnreadableError as error:
        raise _rejected(path, error) from error


def _rejected(path, found):
    """Build the `KongError` for a rejected file, from what was found in it."""
    return KongError(f"{path}: expected the weights of Kong et al. 2021, found {found}; get {FILE_NAME} again from {PAGE_URL}")
