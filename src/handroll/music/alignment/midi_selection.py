"""MIDI selection: decide whether a given MIDI file matches the recording, and use its notes or those of the transcription."""

from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from handroll.media.audio import SILENCE_PEAK
from handroll.music.alignment.midi_audio_scores import MAX_DEVIATION_S, MIN_NOTES, measure
from handroll.music.alignment.time_map import TimeMap, map_times
from handroll.music.midi import read_and_repair
from handroll.music.midi_file import MidiError, MidiFault
from handroll.reasons import Reason


class Finding(StrEnum):
    """Faults of notes that a comparison with audio and transcription can show. A correct file has none."""

    SHIFTED = "shifted"
    DRIFTING = "drifting"
    TIMING_OFF = "timing_off"
    WRONG_OCTAVE = "wrong_octave"
    WRONG_PITCH = "wrong_pitch"
    NOTES_MISSING = "notes_missing"
    NOTES_EXTRA = "notes_extra"
    LEVELS_OFF = "levels_off"


CORRECTABLE = frozenset({Finding.SHIFTED, Finding.DRIFTING})
"""Faults that a time map (offset and drift) corrects. After the correction, the file counts as correct."""

MAX_NOTES_PER_SECOND = 60.0
"""Maximum mean rate of notes in a recording, notes a second: ten fingers that each play six times a second."""

# An offset counts as a fault only if it is above this multiple of its standard error.
_MIN_STANDARD_ERRORS = 3.0


@dataclass(frozen=True)
class Limits:
    """Limits of the scores. `handroll.config.pipeline.MidiCheck` describes each limit.

    Attributes
    ----------
    max_offset_s, max_drift_s : float, s
    max_late_share, max_silent_share, max_wrong_share, max_missing_share, max_extra_share : float, 0..1
    max_level_deviation, max_level_scale : float
        As shares of the velocity: 0.1 is 10 %.
    min_level_correlation : float, -1..1
    """

    max_offset_s: float
    max_drift_s: float
    max_late_share: float
    max_silent_share: float
    max_wrong_share: float
    max_missing_share: float
    max_extra_share: float
    max_level_deviation: float
    max_level_scale: float
    min_level_correlation: float


@dataclass(frozen=True)
class SelectedNotes:
    """The notes and pedal presses that a video gets, and the reason for their choice.

    Attributes
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`.
    report : dict
        Content of `agreement.json`; see `select_notes`.
    """

    notes: dict[str, np.ndarray]
    pedal: dict[str, np.ndarray]
    report: dict


def decide(scores, limits):
    """Compare scores with limits and return the findings.

    Parameters
    ----------
    scores : dict
        Result of `midi_audio_scores.measure`.
    limits : Limits

    Returns
    -------
    dict of Finding to str
        For each finding, a text with the measured value and the limit. Empty for a correct file.
    """
    audio, transcription = scores["sound"], scores["transcription"]
    late_share = (transcription or audio)["late_share"]
    found = _time_findings(scores["clock"], limits, late_share is not None and late_share > limits.max_late_share)
    semitones = scores["clock"]["semitones"]
    if semitones:
        direction = "too high" if semitones > 0 else "too low"
        if semitones % 12:
            found[Finding.WRONG_PITCH] = f"all notes {abs(semitones)} semitones {direction}"
        else:
            octaves = abs(semitones) // 12
            found[Finding.WRONG_OCTAVE] = f"all notes {octaves} {'octave' if octaves == 1 else 'octaves'} {direction}"

    def compare(finding, scores, name, maximum, what):
        """Add a finding if the score `name` is above `maximum`. `what` is the text after the score. Unknown scores (None) are skipped."""
        if scores and scores[name] is not None and scores[name] > maximum:
            found.setdefault(finding, f"{scores[name]:.1%} {what} (at most {maximum:.1%})")

    # The onsets of the transcription are more accurate, and only the transcription shows which notes are missing or extra.
    timing = f"of the notes are off by more than {1e3 * MAX_DEVIATION_S:g} ms"
    compare(Finding.TIMING_OFF, transcription or audio, "late_share", limits.max_late_share, timing)
    compare(Finding.WRONG_OCTAVE, transcription, "octave_share", limits.max_wrong_share, "of the notes are in another octave")
    compare(Finding.WRONG_PITCH, transcription, "wrong_pitch_share", limits.max_wrong_share, "of the notes have another pitch")
    compare(Finding.WRONG_PITCH, audio, "silent_share", limits.max_silent_share, "of the notes do not sound at their pitch")
    compare(Finding.NOTES_MISSING, transcription, "missing_share", limits.max_missing_share, "of the transcribed notes are missing")
    compare(Finding.NOTES_EXTRA, transcription, "extra_share", limits.max_extra_share, "of the notes are neither transcribed nor sounding")
    velocities = _velocity_finding(audio, transcription, limits)
    return found | ({Finding.LEVELS_OFF: velocities} if velocities else {})


def _time_findings(clock, limits, spread):
    """Return the findings about offset and drift, a dict of Finding to text. `clock` contains the scores `clock` of `measure`.

    `spread`: True if too many notes deviate from the time map. Offsets and drifts up to `MAX_DEVIATION_S` are then not findings.
    """
    found = {}
    minimum_s = MAX_DEVIATION_S if spread else 0.0
    drifts = clock["drift_s"] > max(limits.max_drift_s, minimum_s)
    offset_s = clock["offset_s"] if drifts else clock["lag_s"]
    if abs(offset_s) > max(limits.max_offset_s, _MIN_STANDARD_ERRORS * clock["lag_error_s"], minimum_s):
        direction = "early" if offset_s > 0 else "late"
        found[Finding.SHIFTED] = f"{1e3 * abs(offset_s):.1f} ms too {direction} (at most {1e3 * limits.max_offset_s:g} ms)"
    if drifts:
        found[Finding.DRIFTING] = (
            f"{1e3 * clock['drift_s']:.0f} ms from the first note to the last (at most {1e3 * limits.max_drift_s:g} ms)"
        )
    return found


def _velocity_finding(audio, transcription, limits):
    """Return the text of the finding about velocities; None if they are within the limits.

    `audio` and `transcription` are the scores `sound` and `transcription` of `measure`.
    """
    maximum = limits.max_level_deviation
    if transcription and transcription["level_deviation"] is not None:
        scale, deviation = transcription["level_scale"], transcription["level_deviation"]
        if abs(np.log(scale)) > np.log1p(limits.max_level_scale):
            return (
                f"velocities are {scale:.2f} times the transcribed ones (at most {1.0 + limits.max_level_scale:.2f} times or its inverse)"
            )
        if deviation > maximum:
            return f"velocities deviate by {deviation:.1%} from the transcribed velocities (at most {maximum:.1%})"
    correlation, spread = (transcription or audio)["level_correlation"], audio["velocity_spread"]
    # Velocities whose spread is below the limit cannot deviate by more than the limit.
    if correlation is not None and spread is not None and spread > maximum and correlation < limits.min_level_correlation:
        return f"velocities and loudness have a correlation of {correlation:.2f} (at least {limits.min_level_correlation:g})"
    return None


def correction(scores, findings):
    """Return the time map that corrects the findings `SHIFTED` and `DRIFTING`; None if neither was found.

    Its values are rounded far below the measurement error, so that computers with different rounding errors give the same notes.
    """
    clock = scores["clock"]
    if Finding.DRIFTING in findings:
        return TimeMap(round(clock["offset_s"], 4), round(clock["drift"], 7))
    return TimeMap(round(clock["lag_s"], 4)) if Finding.SHIFTED in findings else None


def select_notes(notes, pedal, midi_path, samples, rate_hz, limits, correct=True):
    """Select the notes of a video: those of the given MIDI file if it matches the recording, else the transcription.

    Parameters
    ----------
    notes, pedal : dict of str to array
        The transcription: columns of `tables.NOTES` and `tables.PEDAL`.
    midi_path : path or None
        The MIDI file that the sheet names for the video, or None; time 0 is the video's first frame.
    samples : float array (sample,)
        The recording, mono. Without samples, or for silence, a given MIDI file is used without a check.
    rate_hz : int
    limits : Limits
    correct : bool
        True: if offset and drift are the only faults of the MIDI file, correct them. False: they are faults like any other.

    Returns
    -------
    SelectedNotes
        Its `report` has these keys. `notes`: "given" (the MIDI file) or "transcribed". `problem`: reason, fault and message if the
        sheet names a MIDI file that is not used, else None; the fault is a `midi_file.MidiFault`, or None for a readable file that
        does not match. `repairs`: `midi.Repairs` of a readable MIDI file, else None. `unchecked`: reason why no scores were measured,
        else None. `findings`: explanation of each finding by name; of the MIDI file if it is readable, else of the transcription.
        `correction`: corrected `offset_s` and `drift`, else None. `scores` and `limits`: the compared values.
    """
    given = problem = repairs = None
    if midi_path:
        try:
            *given, repairs = read_and_repair(midi_path)
            if not len(given[0]["pitch"]):
                raise MidiError(MidiFault.NO_NOTES, f"{midi_path}: expected notes on the keys of a piano, but the file has none")
        except MidiError as error:
            given, message = None, f"{error}. The transcription is used instead"
            problem = {"reason": str(Reason.MIDI_UNREADABLE), "fault": str(error.fault), "message": message}
    unchecked = _unchecked_reason(samples, notes if given is None else given[0], notes)
    scores, findings, time_map = None, {}, None
    if unchecked is None and given and (excess := _excess_finding(given[0], len(samples) / rate_hz)):
        findings = {Finding.NOTES_EXTRA: excess}
    elif unchecked is None:
        scores = measure(notes, samples, rate_hz) if given is None else measure(given[0], samples, rate_hz, notes)
        findings = decide(scores, limits)
    if given and findings and correct and CORRECTABLE.issuperset(findings):
        time_map = correction(scores, findings)
        given = map_times(*given, time_map)
    elif given and findings:
        given, problem = None, {"reason": str(Reason.MIDI_DISAGREES), "fault": None, "message": _disagreement(midi_path, findings)}
    report = {
        "notes": "given" if given else "transcribed",
        "problem": problem,
        "repairs": asdict(repairs) if repairs else None,
        "unchecked": unchecked,
        "findings": {str(finding): text for finding, text in findings.items()},
        "correction": asdict(time_map) if time_map else None,
        "scores": scores,
        "limits": asdict(limits),
    }
    return SelectedNotes(*(given or (notes, pedal)), report)


def _unchecked_reason(samples, notes, transcription):
    """Return the reason why notes cannot be compared with the audio, as text; None if they can."""
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        return "the video has no audio" if not len(samples) else "the audio is silent"
    if max(len(notes["pitch"]), len(transcription["pitch"])) < MIN_NOTES:
        return f"fewer than {MIN_NOTES} notes"
    return None


def _excess_finding(notes, duration_s):
    """Return the text of a finding if there are more notes than `MAX_NOTES_PER_SECOND` allows, else None.

    Files with this finding are not compared with the audio, because that would take hours.
    """
    found, maximum = len(notes["pitch"]), round(MIN_NOTES + MAX_NOTES_PER_SECOND * duration_s)
    return f"{found} notes in {duration_s:.0f} s of audio (at most {maximum})" if found > maximum else None


def _disagreement(path, findings):
    """Build the message about a MIDI file that does not match the recording."""
    what = "; ".join(f"{finding}: {text}" for finding, text in findings.items())
    return (
        f"{path}: expected the notes of this recording, found {what}. The transcription is used instead; "
        "name the recording's own MIDI file in the sheet, or raise the limits in music.midi_check in the configuration"
    )
