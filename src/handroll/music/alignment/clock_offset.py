"""Clock offset: offset, drift and transposition of notes (such as a MIDI file) relative to the audio of the recording.

1. With a transcription, matching its notes to the given ones (`note_matching.align`) gives the transposition and a first time map.
2. The audio gives the onset of each note (`onset_detection`) and whether its pitch sounds there (`pitch_activation`).
3. Without a transcription, the audio also gives the transposition.
4. The lags of the sounding notes (onset in the audio minus time of the note) give the offset that remains after the first time map.
   Without a transcription, they also give the drift.
"""

from dataclasses import dataclass

import numpy as np

from handroll.music.alignment.note_matching import MAX_SEMITONES, align, match_notes
from handroll.music.alignment.onset_detection import note_lags, onset_curves
from handroll.music.alignment.pitch_activation import activations, find_sounding_notes, relative_activations
from handroll.music.alignment.time_map import TimeMap, fit_time_map

MIN_MATCHED_SHARE = 0.3
"""Minimum share of the notes that match the transcription after alignment. With a smaller share, the two lists contain different
music, so the alignment is discarded."""

# For normally distributed values, the standard error of a median is this factor times the median absolute deviation, divided by the square
# root of the number of values.
_MEDIAN_ERROR = 1.2533 * 1.4826

# A transposition is accepted if its activation is at least this many times the activation without transposition. The octave of a true
# note has at most half of the note's activation.
_MIN_TRANSPOSITION_GAIN = 1.5


@dataclass(frozen=True)
class ClockOffset:
    """Offset, drift and transposition of notes relative to the audio, and the measurements of each note after their correction.

    Attributes
    ----------
    time_map : TimeMap
        From the clock of the notes to the clock of the audio.
    lag_s : float
        Median over the notes of the onset in the audio minus the time of the note, before any correction; 0 if no lag is known.
    lag_error_s : float
        Standard error of `lag_s`.
    semitones : int
        Pitch of the notes minus pitch of the audio.
    pitch : int array (note,)
        MIDI pitches of the notes after the correction of the transposition.
    residual_s : array (note,)
        Onset in the audio minus the corrected time of the note, seconds. NaN if no onset was detected, or the pitch
        does not sound.
    activation : float32 array (note, pitch 88)
        Activations at the onset of each note, from `pitch_activation.activations`.
    sounding : bool array (note,)
        True if the pitch of the note sounds in the audio.
    """

    time_map: TimeMap
    lag_s: float
    lag_error_s: float
    semitones: int
    pitch: np.ndarray
    residual_s: np.ndarray
    activation: np.ndarray
    sounding: np.ndarray


def estimate_clock_offset(notes, samples, rate_hz, transcription=None):
    """Estimate offset, drift and transposition of notes relative to the audio.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    transcription : dict of str to array (note,), optional
        `tables.NOTES` of the recording, from a transcription engine; at least one note.

    Returns
    -------
    ClockOffset
    """
    semitones, time_map = (0, TimeMap()) if transcription is None else _align_to_transcription(notes, transcription)
    onset_s, pitch = time_map(notes["onset_s"]), notes["pitch"].astype(int) - semitones
    lag_s, activation = _detect_onsets(samples, rate_hz, onset_s, pitch)
    if transcription is None and (semitones := estimate_transposition(activation, pitch)):
        pitch = pitch - semitones
        lag_s, activation = _detect_onsets(samples, rate_hz, onset_s, pitch)
    sounding = find_sounding_notes(activation, pitch)
    lag_s = np.where(sounding, lag_s, np.nan) if sounding.any() else lag_s
    # Transcribed onsets are less noisy than onsets detected in the audio. So the drift comes from the transcription, and the offset from
    # the audio.
    correction = fit_time_map(onset_s, lag_s) if transcription is None else TimeMap(_median(lag_s))
    residual_s = lag_s - (correction(onset_s) - onset_s)
    return ClockOffset(
        time_map=time_map.then(correction),
        lag_s=_median(onset_s + lag_s - notes["onset_s"]),
        lag_error_s=_MEDIAN_ERROR * _median(np.abs(residual_s)) / max(np.isfinite(residual_s).sum(), 1) ** 0.5,
        semitones=int(semitones),
        pitch=pitch,
        residual_s=residual_s,
        activation=activation,
        sounding=sounding,
    )


def _align_to_transcription(notes, transcription):
    """Estimate (semitones, time map) of notes relative to the transcription.

    Return (0, identity) if the share of matching notes is below `MIN_MATCHED_SHARE`.
    """
    semitones, time_map = align(notes, transcription)
    pitch = notes["pitch"].astype(int) - semitones
    rows, _ = match_notes(time_map(notes["onset_s"]), pitch, transcription["onset_s"], transcription["pitch"])
    return (semitones, time_map) if len(rows) >= MIN_MATCHED_SHARE * len(pitch) else (0, TimeMap())


def _detect_onsets(samples, rate_hz, onset_s, pitch):
    """Return the lag of each note, array (note,), seconds, and the activations (note, pitch 88) at the onsets in the audio.

    A lag is the onset in the audio minus `onset_s`, the time of the note.
    """
    curves, hop_s = onset_curves(samples, rate_hz, onset_s, pitch)
    time_map = fit_time_map(onset_s, note_lags(curves, hop_s))
    # The first call of `note_lags` expects one lag for all notes. The second call expects the lags of the fitted time map, which follow a
    # drift.
    return note_lags(curves, hop_s, time_map(onset_s) - onset_s), activations(samples, rate_hz, time_map(onset_s))


def estimate_transposition(activation, pitch):
    """Estimate the transposition of notes relative to the audio.

    Parameters
    ----------
    activation : array (note, pitch 88)
        A result of `pitch_activation.activations`.
    pitch : array (note,)
        MIDI pitches of the notes.

    Returns
    -------
    int
        Pitch of the notes minus pitch of the audio, semitones; 0 unless another transposition has a much stronger activation.
    """
    steps = np.arange(-MAX_SEMITONES, MAX_SEMITONES + 1)
    total = np.array([relative_activations(activation, pitch, -step).sum() for step in steps])
    best = int(np.argmax(total))
    return int(steps[best]) if total[best] > _MIN_TRANSPOSITION_GAIN * total[MAX_SEMITONES] else 0


def _median(lag_s):
    """Return the median of lags (note,), seconds. NaN is ignored; 0 without known lags."""
    known = lag_s[np.isfinite(lag_s)]
    return float(np.median(known)) if len(known) else 0.0
