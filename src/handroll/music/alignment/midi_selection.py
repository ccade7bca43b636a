"""Is this MIDI the sound of this recording? Scores become findings, and findings decide which notes a video gets."""

from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from handroll.media.audio import SILENCE_PEAK
from handroll.music.alignment.midi_audio_scores import LATE_S, LEAST_NOTES, measure
from handroll.music.alignment.time_map import Clock, move
from handroll.music.midi import read_and_repair
from handroll.music.midi_file import MidiError, MidiFault
from handroll.reasons import Reason


class Finding(StrEnum):
    """What is wrong with notes, as far as sound and transcription tell; a clean file has none."""

    SHIFTED = "shifted"
    DRIFTING = "drifting"
    TIMING_OFF = "timing_off"
    WRONG_OCTAVE = "wrong_octave"
    WRONG_PITCH = "wrong_pitch"
    NOTES_MISSING = "notes_missing"
    NOTES_EXTRA = "notes_extra"
    LEVELS_OFF = "levels_off"


CORRECTABLE = frozenset({Finding.SHIFTED, Finding.DRIFTING})
"""Faults of the clock alone: taking them back leaves the performer's own notes."""

MAX_NOTES_A_SECOND = 60.0
"""More notes a second than anybody plays for long: ten fingers, six times a second."""

_SURE = 3.0
# An offset is one where it exceeds so many of its standard errors.


@dataclass(frozen=True)
class Limits:
    """What still agrees; the meaning of each stands in `handroll.config.pipeline.MidiCheck`.

    Attributes
    ----------
    max_offset_s, max_drift_s : float, s
    max_late_share, max_silent_share, max_wrong_share, max_missing_share, max_extra_share : float, 0..1
    max_level_deviation, max_level_scale : float
        Shares of the velocity.
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
class Chosen:
    """The notes of a video.

    Attributes
    ----------
    notes, pedal : dict of str to array
        `tables.NOTES` and `tables.PEDAL`.
    report : dict
        Where they come from and why, as `agreement.json` stores it.
    """

    notes: dict[str, np.ndarray]
    pedal: dict[str, np.ndarray]
    report: dict


def decide(scores, limits):
    """Compare scores with limits.

    Parameters
    ----------
    scores : dict
        Of `agreement.measure`.
    limits : Limits

    Returns
    -------
    dict of Finding to str
        Each finding with what was found and what is allowed; empty for a clean file.
    """
    sound, heard = scores["sound"], scores["transcription"]
    late_share = (heard or sound)["late_share"]
    found = _clock_findings(scores["clock"], limits, late_share is not None and late_share > limits.max_late_share)
    semitones = scores["clock"]["semitones"]
    if semitones:
        way = "too high" if semitones > 0 else "too low"
        if semitones % 12:
            found[Finding.WRONG_PITCH] = f"all notes {abs(semitones)} semitones {way}"
        else:
            octaves = abs(semitones) // 12
            found[Finding.WRONG_OCTAVE] = f"all notes {octaves} {'octave' if octaves == 1 else 'octaves'} {way}"

    def compare(finding, scores, name, most, what):
        if scores and scores[name] is not None and scores[name] > most:
            found.setdefault(finding, f"{scores[name]:.1%} {what} (at most {most:.1%})")

    # The transcription's onsets are the finer ones, and it tells which notes are not those of the sound.
    compare(Finding.TIMING_OFF, heard or sound, "late_share", limits.max_late_share, f"of the notes beyond {1e3 * LATE_S:g} ms")
    compare(Finding.WRONG_OCTAVE, heard, "octave_share", limits.max_wrong_share, "of the notes in another octave")
    compare(Finding.WRONG_PITCH, heard, "wrong_pitch_share", limits.max_wrong_share, "of the notes at another pitch")
    compare(Finding.WRONG_PITCH, sound, "silent_share", limits.max_silent_share, "of the notes without sound at their pitch")
    compare(Finding.NOTES_MISSING, heard, "missing_share", limits.max_missing_share, "of the notes heard are missing")
    compare(Finding.NOTES_EXTRA, heard, "extra_share", limits.max_extra_share, "of the notes are not heard")
    levels = _levels_off(sound, heard, limits)
    return found | ({Finding.LEVELS_OFF: levels} if levels else {})


def _clock_findings(clock, limits, spread):
    """What is wrong with offset and drift; of times that are spread, a line says little."""
    found = {}
    least_s = LATE_S if spread else 0.0
    drifts = clock["drift_s"] > max(limits.max_drift_s, least_s)
    offset_s = clock["offset_s"] if drifts else clock["lag_s"]
    if abs(offset_s) > max(limits.max_offset_s, _SURE * clock["lag_error_s"], least_s):
        way = "early" if offset_s > 0 else "late"
        found[Finding.SHIFTED] = f"{1e3 * abs(offset_s):.1f} ms too {way} (at most {1e3 * limits.max_offset_s:g})"
    if drifts:
        found[Finding.DRIFTING] = f"{1e3 * clock['drift_s']:.0f} ms from the first note to the last (at most {1e3 * limits.max_drift_s:g})"
    return found


def _levels_off(sound, heard, limits):
    """What is wrong with the velocities, or None."""
    most = limits.max_level_deviation
    if heard and heard["level_deviation"] is not None:
        scale, deviation = heard["level_scale"], heard["level_deviation"]
        if abs(np.log(scale)) > np.log1p(limits.max_level_scale):
            return f"velocities {scale:.2f} times those heard (at most {1.0 + limits.max_level_scale:.2f} times or its inverse)"
        if deviation > most:
            return f"velocities deviate by {deviation:.1%} from those heard (at most {most:.1%})"
    correlation, spread = (heard or sound)["level_correlation"], sound["velocity_spread"]
    # Velocities that differ by less than the limit cannot deviate by more.
    if correlation is not None and spread is not None and spread > most and correlation < limits.min_level_correlation:
        return f"velocities follow the levels with a correlation of {correlation:.2f} (at least {limits.min_level_correlation:g})"
    return None


def correction(scores, findings):
    """The clock that takes back what was found: offset, with drift where it is one of the findings; None without either.

    Rounded far below what can be measured, so that machines whose arithmetic differs in its last bits give the same notes.
    """
    clock = scores["clock"]
    if Finding.DRIFTING in findings:
        return Clock(round(clock["offset_s"], 4), round(clock["drift"], 7))
    return Clock(round(clock["lag_s"], 4)) if Finding.SHIFTED in findings else None


def choose_notes(notes, pedal, midi_path, samples, rate_hz, limits, correct=True):
    """The notes to use: the given MIDI where it is the recording's, else the transcription.

    Parameters
    ----------
    notes, pedal : dict of str to array
        The transcription: `tables.NOTES` and `tables.PEDAL`.
    midi_path : path or None
        The MIDI file that the sheet names; time 0 is the video's first frame.
    samples : float array (sample,)
        The recording, mono; no samples, or silence, where there is none: a given MIDI is then taken as it is.
    rate_hz : int
    limits : Limits
    correct : bool
        Take back an offset and drift that are a given MIDI's only faults; they count as any other fault where not.

    Returns
    -------
    Chosen
        Its report holds `notes`: "given" or "transcribed"; `problem`: reason, fault (`midi_file.MidiFault`, None for a file
        that disagrees) and message where a MIDI file is named and not used, else None; `repairs`: `midi.Repairs` of a given
        MIDI file that can be read, else None; `unchecked`: why nothing was measured, else None; `findings`: name to explanation, of the
        given MIDI where it can be read, else of the transcription; `correction`: offset_s and drift that were taken back,
        else None; `scores` and `limits`: what was compared.
    """
    given = problem = repairs = None
    if midi_path:
        try:
            *given, repairs = read_and_repair(midi_path)
            if not len(given[0]["pitch"]):
                raise MidiError(MidiFault.NO_NOTES, f"{midi_path}: expected notes on the keys of a piano, found none")
        except MidiError as error:
            given, message = None, f"{error}. The transcription is used instead"
            problem = {"reason": str(Reason.MIDI_UNREADABLE), "fault": str(error.fault), "message": message}
    unchecked = _why_unchecked(samples, notes if given is None else given[0], notes)
    scores, findings, clock = None, {}, None
    if unchecked is None and given and (crowded := _too_many(given[0], len(samples) / rate_hz)):
        findings = {Finding.NOTES_EXTRA: crowded}
    elif unchecked is None:
        scores = measure(notes, samples, rate_hz) if given is None else measure(given[0], samples, rate_hz, notes)
        findings = decide(scores, limits)
    if given and findings and correct and CORRECTABLE.issuperset(findings):
        clock = correction(scores, findings)
        given = move(*given, clock)
    elif given and findings:
        given, problem = None, {"reason": str(Reason.MIDI_DISAGREES), "fault": None, "message": _disagrees(midi_path, findings)}
    report = {
        "notes": "given" if given else "transcribed",
        "problem": problem,
        "repairs": asdict(repairs) if repairs else None,
        "unchecked": unchecked,
        "findings": {str(finding): text for finding, text in findings.items()},
        "correction": asdict(clock) if clock else None,
        "scores": scores,
        "limits": asdict(limits),
    }
    return Chosen(*(given or (notes, pedal)), report)


def _why_unchecked(samples, notes, transcription):
    """Why notes cannot be compared with the sound, or None."""
    if np.max(np.abs(samples), initial=0.0) < SILENCE_PEAK:
        return "the video has no sound" if not len(samples) else "the sound is silent"
    if max(len(notes["pitch"]), len(transcription["pitch"])) < LEAST_NOTES:
        return f"fewer than {LEAST_NOTES} notes"
    return None


def _too_many(notes, duration_s):
    """What is wrong with a MIDI file of far more notes than a recording of this length can have, or None: comparing them takes hours."""
    found, most = len(notes["pitch"]), round(LEAST_NOTES + MAX_NOTES_A_SECOND * duration_s)
    return f"{found} notes in {duration_s:.0f} s of audio (at most {most})" if found > most else None


def _disagrees(path, findings):
    """What was expected, what was found, in which file, and what to do."""
    what = "; ".join(f"{finding}: {text}" for finding, text in findings.items())
    return (
        f"{path}: expected the notes of this recording, found {what}. The transcription is used instead; "
        "give the recording's own MIDI file in the sheet, or raise the limits below music.check in the configuration"
    )
