"""Score the agreement of notes with a recording and with its transcription. `midi_selection` compares the scores with limits.

First, `clock_offset` estimates offset, drift and transposition of the notes. The scores are computed after these are corrected, from two
sources:

1. The audio shows the timing of the notes, whether each pitch sounds, and whether louder notes have higher velocities. It does not
   show which notes are missing: partials, beats and noises also look like onsets. It does not distinguish an octave from the partials
   of another note. It does not show velocities that are all wrong by one factor, because the level of a recording is arbitrary.
2. The transcription shows all of these, with more accurate times. But it misses some notes and adds others.

So a note counts as extra if the transcription lacks it and its pitch does not sound. A note counts as missing if the transcription has
it and its pitch sounds.
"""

import numpy as np
from scipy.stats import spearmanr

from handroll.keyboard.geometry import LOWEST_PITCH
from handroll.music.alignment.clock_offset import estimate_clock_offset
from handroll.music.alignment.note_matching import match_notes, match_onsets
from handroll.music.alignment.pitch_activation import activations, find_sounding_notes, masked_notes
from handroll.music.alignment.time_map import fit_time_map

MAX_DEVIATION_S = 0.030
"""Maximum deviation of a note's time, seconds. A note that deviates more counts as late, even if it is early. The value is that of
PianoMotion10M (Gan et al., ICLR 2025)."""

TRANSCRIPTION_VELOCITY_ERROR = 0.08
"""Deviation of transcribed velocities from the true ones, as a share of the velocity. It is subtracted in quadrature from measured
deviations. Measured: 7 to 11 % on the synthetic piano (`music.synthesis`)."""

MIN_NOTES = 10
"""Minimum number of notes for scores of velocities and times."""

# The trend of values over the keyboard is a running median. For each key, it includes the notes within this many semitones.
_TREND_SEMITONES = 6


def measure(notes, samples, rate_hz, transcription=None):
    """Score notes against a recording and, if given, against its transcription.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    transcription : dict of str to array (note,), optional
        `tables.NOTES` of the recording, from a transcription engine.

    Returns
    -------
    dict of str to dict
        `clock`: values of the `ClockOffset`: `lag_s`, `lag_error_s`, `semitones`, `offset_s` and `drift` (seconds per second) of its time
        map, and `drift_s`, the absolute drift accumulated from the first note to the last. All other scores
        are measured after the correction of offset, drift and transposition. `sound`: scores of `audio_scores`. `transcription`:
        scores of `transcription_scores`; None without transcribed notes.
    """
    if transcription is not None and not len(transcription["pitch"]):
        transcription = None
    clock = estimate_clock_offset(notes, samples, rate_hz, transcription)
    span_s = float(np.ptp(notes["onset_s"])) if len(notes["pitch"]) else 0.0
    return {
        "clock": {
            "lag_s": clock.lag_s,
            "lag_error_s": clock.lag_error_s,
            "offset_s": clock.time_map.offset_s,
            "drift": clock.time_map.drift,
            "drift_s": abs(clock.time_map.drift) * span_s,
            "semitones": clock.semitones,
        },
        "sound": audio_scores(clock.sounding, clock.residual_s, clock.activation, clock.pitch, notes["velocity"]),
        "transcription": None if transcription is None else _score_against_transcription(transcription, notes, clock, samples, rate_hz),
    }


def _score_against_transcription(transcription, notes, clock, samples, rate_hz):
    """Return the `transcription_scores` of `notes` after offset, drift and transposition are corrected; `clock` is their `ClockOffset`."""
    mapped = {"onset_s": clock.time_map(notes["onset_s"]), "pitch": clock.pitch, "velocity": notes["velocity"]}
    activation = activations(samples, rate_hz, transcription["onset_s"])
    return transcription_scores(mapped, transcription, clock.sounding, find_sounding_notes(activation, transcription["pitch"]))


def audio_scores(sounding, residual_s, activation, pitch, velocity):
    """Score notes against the audio, after their times are mapped to it.

    Parameters
    ----------
    sounding : bool array (note,)
        True if the pitch of the note sounds in the audio.
    residual_s : array (note,), s
        Onset in the audio minus time of the note; NaN where unknown.
    activation : array (note, pitch 88)
        Activations at the onset of each note, from `pitch_activation.activations`.
    pitch, velocity : array (note,)
        MIDI pitch and velocity.

    Returns
    -------
    dict
        `notes`: number of notes. `silent_share`: share of notes whose pitch does not sound. `timing_median_s`, `timing_p95_s`: median
        and 95th percentile of |residual|. `late_share`: share of notes whose |residual| is above `MAX_DEVIATION_S`.

        The following are computed after the trend over the keyboard is removed from levels and velocities (`without_trend`).
        `level_correlation`: Spearman's correlation between level in the audio and velocity; 1: louder notes have higher velocities,
        0: no relation. `level_deviation`: median |velocity / velocity predicted from the level - 1|. `velocity_spread`: median
        |log(velocity / trend)|. None with fewer than `MIN_NOTES` notes.
    """
    own = activation[np.arange(len(pitch)), np.clip(pitch - LOWEST_PITCH, 0, activation.shape[1] - 1)]
    levels = dict.fromkeys(("level_correlation", "level_deviation", "velocity_spread"))
    if sounding.sum() >= MIN_NOTES:
        log_level = without_trend(np.log(own[sounding]), pitch[sounding])
        log_velocity = without_trend(np.log(velocity[sounding].astype(float)), pitch[sounding])
        levels["velocity_spread"] = float(np.median(np.abs(log_velocity)))
        levels["level_correlation"] = _rank_correlation(log_level, log_velocity)
        if np.any(log_level):
            slope = np.sum(log_level * log_velocity) / np.sum(log_level**2)
            levels["level_deviation"] = float(np.median(np.abs(np.expm1(log_velocity - slope * log_level))))
    return {
        "notes": len(pitch),
        "silent_share": float((~sounding).sum() / max(len(pitch), 1)),
        **_timing(residual_s),
        **levels,
    }


def transcription_scores(notes, transcription, sounding, transcribed_sounding):
    """Score notes against a transcription of the recording, after their times are mapped to it.

    Parameters
    ----------
    notes, transcription : dict of str to array (note,)
        Columns `onset_s`, `pitch` and `velocity` of `tables.NOTES`.
    sounding, transcribed_sounding : bool array (note,)
        True if the pitch of the note sounds in the audio: for each given note, and for each transcribed note.

    Returns
    -------
    dict
        `notes`: number of transcribed notes. `precision`: share of the given notes that match a transcribed note (equal pitch, onsets
        at most 100 ms apart). `recall`: share of the transcribed notes that match a given note.

        Shares of unmatched notes; two unmatched notes are near each other if their onsets are at most 50 ms apart. `octave_share`:
        share of the given notes that are near a transcribed note one or more octaves away. `wrong_pitch_share`: share of the given
        notes that are near a transcribed note of another pitch (no octave) and do not sound. `extra_share`: share of the given notes
        that are near no transcribed note, do not sound and are not masked. `missing_share`: share of the transcribed notes that are
        near no given note and sound.

        Scores of the matched notes. `timing_median_s`, `timing_p95_s`, `late_share`: see `audio_scores`; residuals are relative to a
        time map fitted to the matched notes. `level_scale`: median of velocity / transcribed velocity. `level_deviation`: median
        |velocity / transcribed velocity / trend over the keyboard - 1|, minus `TRANSCRIPTION_VELOCITY_ERROR` in quadrature.
        `level_correlation`: Spearman's correlation between velocities and transcribed velocities, both without their trend. None
        with fewer than `MIN_NOTES` matched notes.
    """
    matched, reference = match_notes(notes["onset_s"], notes["pitch"], transcription["onset_s"], transcription["pitch"])
    unmatched = np.setdiff1d(np.arange(len(notes["pitch"])), matched)
    unmatched_reference = np.setdiff1d(np.arange(len(transcription["pitch"])), reference)
    near, near_reference = match_onsets(notes["onset_s"][unmatched], transcription["onset_s"][unmatched_reference])
    wrong, wrong_reference = unmatched[near], unmatched_reference[near_reference]
    octave = (notes["pitch"][wrong].astype(int) - transcription["pitch"][wrong_reference].astype(int)) % 12 == 0
    wrong_pitch = ~octave & ~sounding[wrong]
    # A masked note may sound although it is not detected, so it does not count as extra.
    extra = np.setdiff1d(unmatched, wrong)
    extra = extra[~sounding[extra] & ~masked_notes(notes["onset_s"], notes["pitch"])[extra]]
    missing = np.setdiff1d(unmatched_reference, wrong_reference)
    levels = dict.fromkeys(("level_scale", "level_deviation", "level_correlation"))
    if len(matched) >= MIN_NOTES:
        velocities = notes["velocity"][matched], transcription["velocity"][reference]
        own, transcribed = (np.log(np.asarray(velocity, dtype=float)) for velocity in velocities)
        pitch = notes["pitch"][matched]
        deviation = np.median(np.abs(np.expm1(without_trend(own - transcribed, pitch))))
        levels["level_scale"] = float(np.exp(np.median(own - transcribed)))
        levels["level_deviation"] = float(np.sqrt(max(deviation**2 - TRANSCRIPTION_VELOCITY_ERROR**2, 0.0)))
        levels["level_correlation"] = _rank_correlation(without_trend(own, pitch), without_trend(transcribed, pitch))
    onset_s = notes["onset_s"][matched]
    lag_s = transcription["onset_s"][reference] - onset_s
    n_notes, n_transcribed = max(len(notes["pitch"]), 1), max(len(transcription["pitch"]), 1)
    return {
        "notes": len(transcription["pitch"]),
        "precision": len(matched) / n_notes,
        "recall": len(matched) / n_transcribed,
        "octave_share": float(octave.sum() / n_notes),
        "wrong_pitch_share": float(wrong_pitch.sum() / n_notes),
        "extra_share": len(extra) / n_notes,
        "missing_share": float(transcribed_sounding[missing].sum() / n_transcribed),
        **_timing(lag_s - (fit_time_map(onset_s, lag_s)(onset_s) - onset_s)),
        **levels,
    }


def without_trend(values, pitch):
    """Subtract the running median over the keyboard from values (note,). This trend depends on the instrument, not on the playing.

    `pitch` (note,) contains MIDI pitches.
    """
    keys = np.unique(pitch)
    trend = np.array([np.median(values[np.abs(pitch - key) <= _TREND_SEMITONES]) for key in keys])
    return values - trend[np.searchsorted(keys, pitch)]


def _rank_correlation(first, second):
    """Return Spearman's correlation of two arrays (note,); None if one of the arrays is constant."""
    return float(spearmanr(first, second).statistic) if np.ptp(first) > 1e-6 and np.ptp(second) > 1e-6 else None


def _timing(residual_s):
    """Compute the timing scores of residuals (note,), seconds, NaN where unknown; None with fewer than `MIN_NOTES` known values."""
    deviation_s = np.abs(residual_s[np.isfinite(residual_s)])
    if len(deviation_s) < MIN_NOTES:
        return {"timing_median_s": None, "timing_p95_s": None, "late_share": None}
    return {
        "timing_median_s": float(np.median(deviation_s)),
        "timing_p95_s": float(np.percentile(deviation_s, 95)),
        "late_share": float(np.mean(deviation_s > MAX_DEVIATION_S)),
    }
