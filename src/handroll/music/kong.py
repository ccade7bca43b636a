"""The engine Kong: notes and pedal from piano sound, with released weights that are a file of their own.

Q. Kong, B. Li, X. Song, Y. Wan, Y. Wang, "High-Resolution Piano Transcription With Pedals by Regressing Onset and Offset
Times", IEEE/ACM TASLP 29 (2021), doi:10.1109/TASLP.2021.3121991; the engine of PianoMotion10M. The network and the rules
that make events of its outputs are those of the authors' package piano_transcription_inference 0.0.6 (MIT); reading the
weights and running the network over a recording is done here, with the same numbers.

**Ends of notes.** The network was trained on notes lengthened by the pedal (`extend_pedal=True` in the authors' training
code, github.com/bytedance/piano_transcription): it hears when a note stops sounding, not when its key is released. So
`sounding_offset_s` is the engine's, and `key_offset_s`, which it can't tell, is the same: right where the pedal is up, the
latest possible where it is down. Fingertips that are held at their keys (`pose.contacts`) stay there that long.

**Times** are the engine's. Whether they come before or after the sound, as those of Transkun do, has not been measured.
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
"""Raised by hand when the transcription of the same sound changes."""

RATE_HZ = 16_000
"""What the network hears."""

FRAMES_PER_S, KEYS = 100, 88
"""Frames of the outputs, and their columns for the notes; the pedal has one column. Constants of the released network."""

SEGMENT_SAMPLES = 10 * RATE_HZ
"""Segments of 10 s, a half of one from each to the next: what the network was trained on and what the authors' code does."""

THRESHOLDS = {"onset_threshold": 0.3, "offset_threshold": 0.3, "frame_threshold": 0.1, "pedal_offset_threshold": 0.2}
"""Of the events; as in the authors' code."""

TIME_DECIMALS = 4
"""Times are rounded to 0.1 ms, about what the events' single precision holds at an hour."""

FILE_NAME = "CRNN_note_F1=0.9677_pedal_F1=0.9186.pth"
"""The released file's name at its source."""

PAGE_URL = "https://zenodo.org/records/4034264"
"""Where the authors publish the weights, under CC BY 4.0."""

SHA256 = "c3fa9730725bf4a762f1c14bc80cd5986eacda01b026f5a4a2525cd607876141"
"""Of the released file, by those who publish what they build from it: nixpkgs (python3Packages.piano-transcription-inference), and
projects that compared it with the MD5 that Zenodo tells of the record."""

SIZE_BYTES = 171_966_578
"""Of the released file; as the authors' downloader logs it (github.com/qiuqiangkong/piano_transcription_inference/issues/17)."""

PARTS = ("note_model", "pedal_model")
"""The networks of a checkpoint, both under the key `model`."""


class KongError(ValueError):
    """The weights are not what they have to be; the message says what was expected, what was found, where, and what to do."""


def transcribe(samples, rate_hz, threads=1, device="cpu", *, checkpoint):
    """Transcribe piano sound.

    Needs about 1.4 GB an hour of sound, beside the samples given: 0.2 for the sound at 16 kHz, 0.6 each for the outputs of
    the network and for what is made of them on the way to events.

    Parameters
    ----------
    samples : float32 array (sample,)
        Mono, -1..1.
    rate_hz : int
        Resampled to the network's 16000 Hz where it is another.
    threads : int
        Threads of torch while it runs.
    device : str
        Where the network runs, see `handroll.device`.
    checkpoint : path
        The released weights.

    Returns
    -------
    notes, pedal : dict
        Columns of schema.NOTES and schema.PEDAL; for the ends of the notes see above. A press of the pedal that lasts to the
        end of the recording may be missing: the authors' rules report a press when it ends.
    facts : dict
        `weights_sha256` of the checkpoint.

    Raises
    ------
    KongError
    handroll.device.DeviceError
    """
    device = torch_device(device)
    model, weights_sha256 = load_model(checkpoint, device)
    length_s = len(samples) / rate_hz
    if rate_hz != RATE_HZ:
        samples = soxr.resample(samples, rate_hz, RATE_HZ)
    with torch_threads(threads):
        outputs = run_network(model, samples, device)
    struck, pressed = events_of(outputs)
    # The silence that fills the last segment can have events.
    struck = [event for event in struck if event["onset_time"] < length_s]
    pressed = [event for event in pressed if event["onset_time"] < length_s]
    pedal = pedal_table(_times(pressed, "onset_time", length_s), _times(pressed, "offset_time", length_s))
    notes = note_table(
        _times(struck, "onset_time", length_s),
        _times(struck, "offset_time", length_s),
        [event["midi_note"] for event in struck],
        [event["velocity"] for event in struck],
        # The pedal is in the ends already; it must not lengthen them once more.
        PEDAL.empty(),
    )
    return notes, pedal, {"weights_sha256": weights_sha256}


def _times(events, name, length_s):
    """A time of each event (s), within the recording, rounded."""
    times_s = np.fromiter((event[name] for event in events), np.float64)
    return np.round(np.clip(times_s, 0.0, length_s), TIME_DECIMALS)


def run_network(model, samples, device="cpu", segment_samples=None):
    """The network's outputs over a recording: overlapping segments, of each of which the middle is kept.

    The same numbers as of the authors' `PianoTranscription`, which holds all segments and their outputs at once; here each
    segment's middle is written where it belongs, so memory holds the result and one segment.

    Parameters
    ----------
    model : torch module
        Takes sound (1, sample), gives a dict of tensors (1, frame, column): a frame every 10 ms, the last at the segment's end.
    samples : float32 array (sample,)
        At `RATE_HZ`; at least one.
    device : torch.device or str
        Where the model is.
    segment_samples : int, optional
        Length of a segment, whose number of frames is a multiple of 4; `SEGMENT_SAMPLES` if not given.

    Returns
    -------
    dict of str to float32 array (frame, column)
        By the names of the network's outputs. The frames go on into the silence that fills the last segment.
    """
    segment_samples = segment_samples or SEGMENT_SAMPLES
    frames = segment_samples * FRAMES_PER_S // RATE_HZ
    hop, half, quarter = segment_samples // 2, frames // 2, frames // 4
    filled = math.ceil(len(samples) / segment_samples) * segment_samples
    starts = range(0, filled - segment_samples + 1, hop)
    # One segment keeps its last frame, which lies on its end; more than one lose it.
    rows = frames + 1 if len(starts) == 1 else (len(starts) - 1) * half + frames
    outputs = {}
    for number, start in enumerate(progress(starts, len(starts), "segments")):
        sound = np.zeros((1, segment_samples), np.float32)
        heard = samples[start : start + segment_samples]
        sound[0, : len(heard)] = heard
        with torch.inference_mode():
            found = model(torch.from_numpy(sound).to(device))
        first = 0 if number == 0 else quarter
        last = rows - number * half if number == len(starts) - 1 else 3 * quarter
        for name, values in found.items():
            kept = values[0, first:last].cpu().numpy()
            if name not in outputs:
                outputs[name] = np.empty((rows, kept.shape[1]), np.float32)
            outputs[name][number * half + first : number * half + last] = kept
    # As the authors' code does, which takes the number of samples for one of frames: it only tells below 63 ms.
    return {name: values[: len(samples)] for name, values in outputs.items()}


def events_of(outputs):
    """Notes and presses of the pedal, by the authors' rules.

    Parameters
    ----------
    outputs : dict of str to array (frame, column)
        Of `run_network`; more arrays are added to it.

    Returns
    -------
    struck : list of dict
        `onset_time`, `offset_time` (s), `midi_note`, `velocity`.
    pressed : list of dict
        `onset_time`, `offset_time` (s).
    """
    from piano_transcription_inference.utilities import RegressionPostProcessor

    class PostProcessor(RegressionPostProcessor):
        """The authors' rules, for outputs too that are saturated."""

        def get_binarized_output_from_regression(self, reg_output, threshold, neighbour):
            # Three equal values in a row have no peak between frames: 0/0, which would become a time that is no number.
            with np.errstate(invalid="ignore"):
                binary, shift = super().get_binarized_output_from_regression(reg_output, threshold, neighbour)
            return binary, np.nan_to_num(shift, copy=False)

    return PostProcessor(FRAMES_PER_S, KEYS, **THRESHOLDS).output_dict_to_midi_events(outputs)


@cache
def load_model(checkpoint, device="cpu"):
    """The network with its weights, ready to transcribe, and their SHA-256; kept for the next call.

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
        There is no such file; it is cut off, damaged, holds code or something else than tensors; or it is another network's: every
        parameter and buffer has to be there, with its shape and type, and no other.
    """
    path = Path(checkpoint)
    states = _read_states(path)
    from piano_transcription_inference.models import Note_pedal

    model = Note_pedal(frames_per_second=FRAMES_PER_S, classes_num=KEYS)
    for part in PARTS:
        network = getattr(model, part)
        if problems := layout_problems(states[part], expected_of(network)):
            raise _rejection(path, f"another network's {part}, {problems}")
        if wrong := non_finite(states[part]):
            raise _rejection(path, f"a {part} with numbers that are not finite in {listed(wrong)}")
        # Part by part: the package's own method for both takes any file, also one without a single weight.
        network.load_state_dict(states[part], strict=True)
    weights_sha256 = file_sha256(path)
    if weights_sha256 != SHA256:
        LOGGER.warning("%s: weights of the right shapes, but not the released file (SHA-256 %s, released %s)", path, weights_sha256, SHA256)
    return model.to(device).eval(), weights_sha256


def _read_states(path):
    """Return the state dictionary of each of `PARTS`."""
    if not path.is_file():
        raise KongError(
            f"{path}: expected the weights of Kong et al. 2021, found no file. `handroll doctor --fetch` downloads them, or put them there "
            f"yourself (music.kong.checkpoint): {FILE_NAME} (172 MB, CC BY 4.0) from {PAGE_URL}"
        )
    try:
        content = load_torch(path, mapped=True)
        return {part: state_dict_at(content, "model", part) for part in PARTS}
    except UnreadableError as error:
        raise _rejection(path, error) from error


def _rejection(path, found):
    return KongError(f"{path}: expected the weights of Kong et al. 2021, found {found}; get {FILE_NAME} again from {PAGE_URL}")
