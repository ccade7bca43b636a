"""Agreement of notes with a recording and with its transcription: scores only; `midi_selection` compares them with thresholds.

The scores have two sources, audio and transcription.

1. The audio gives offset, drift and timing of the notes, whether each pitch sounds, a transposition of all notes, and whether
   louder notes have higher velocities. It does not show which notes are missing: partials, beats and noises rise as well. It does
   not distinguish an octave from the partials of another note, or velocities that are all wrong by one factor: the level of a
   recording is arbitrary.
2. The transcription gives all these, and finer times. But it misses some notes and adds others.

So a note counts as extra where the transcription lacks it and it does not sound. A note counts as missing where the transcription
has it and it sounds.
"""

import numpy as np
from scipy.stats import spearmanr

from handroll.keyboard.geometry import LOWEST_PITCH
from handroll.music.alignment.note_matching import MAX_SEMITONES, align, match_notes, match_onsets
from handroll.music.alignment.onset_detection import note_lags, onset_curves
from handroll.music.alignment.pitch_activation import activations, masked_notes, relative_activations
from handroll.music.alignment.time_map import TimeMap, fit_time_map

MAX_DEVIATION_S = 0.030
"""A note further than this from its time is late (or early): PianoMotion10M's limit (Gan et al., ICLR 2025)."""

MIN_SOUNDING_ACTIVATION = 0.03
"""A note sounds where its activation is at least this share of the strongest pitch of its chord. Measured: 95 to 100 % of the true
notes of slow music sound, 80 % in the fastest music, and 10 to 20 % of notes at random positions."""

MIN_MATCHED_SHARE = 0.3
"""An alignment is rejected where a smaller share of the notes matches: the lists are different music."""

TRANSCRIPTION_VELOCITY_ERROR = 0.08
"""Deviation of transcribed velocities from the true ones, as a share; subtracted in quadrature. Measured: 7 to 11 % on the
synthetic piano."""

MIN_NOTES = 10
"""Velocities and times of fewer notes are not scored."""

# A trend over the keyboard is a median over notes up to this far to either side.
_TREND_SEMITONES = 6

# Standard error of a median for normal noise: this, times the median absolute deviation, over the root of the number of values.
_MEDIAN_ERROR = 1.2533 * 1.4826

# A transposition is accepted where its activation is this many times that of no transposition. The octave of a true note has at most
# half of the note's activation.
_MIN_TRANSPOSITION_GAIN = 1.5


def measure(notes, samples, rate_hz, transcription=None):
    """Score notes against a recording and against its transcription, if given.

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
        `clock`: `lag_s`, median time of the audio minus time of the notes, drift ignored; `lag_error_s`, the standard error of this
        median; `drift`, seconds per second; `drift_s`, its sum from the first note to the last; `offset_s`, the lag at time 0 of
        the line with drift; `semitones`, pitch of the notes minus pitch of the audio. Everything else is measured after these are
        corrected. `sound`: scores of `audio_scores`. `transcription`: scores of `transcription_scores`, or None.
    """
    transcribed = transcription is not None and len(transcription["pitch"]) > 0
    semitones, time_map = _align(notes, transcription) if transcribed else (0, TimeMap())
    onset_s, pitch = time_map(notes["onset_s"]), notes["pitch"].astype(int) - semitones
    lag_s, activation = _detect_onsets(samples, rate_hz, onset_s, pitch)
    if not transcribed and (semitones := estimate_transposition(activation, pitch)):
        pitch = pitch - semitones
        lag_s, activation = _detect_onsets(samples, rate_hz, onset_s, pitch)
    sounding = relative_activations(activation, pitch) >= MIN_SOUNDING_ACTIVATION
    lag_s = np.where(sounding, lag_s, np.nan) if sounding.any() else lag_s
    # The transcription's onsets spread less, so they give the drift. The audio gives the offset.
    correction = TimeMap(_median(lag_s)) if transcribed else fit_time_map(onset_s, lag_s)
    total = time_map.then(correction)
    residual_s = lag_s - (correction(onset_s) - onset_s)
    span_s = float(np.ptp(notes["onset_s"])) if len(pitch) else 0.0
    return {
        "clock": {
            "lag_s": _median(onset_s + lag_s - notes["onset_s"]),
            "lag_error_s": _MEDIAN_ERROR * _median(np.abs(residual_s)) / max(np.isfinite(residual_s).sum(), 1) ** 0.5,
            "offset_s": total.offset_s,
            "drift": total.drift,
            "drift_s": abs(total.drift) * span_s,
            "semitones": int(semitones),
        },
        "sound": audio_scores(sounding, residual_s, activation, pitch, notes["velocity"]),
        "transcription": _compare(transcription, notes, total, pitch, sounding, samples, rate_hz) if transcribed else None,
    }


def _detect_onsets(samples, rate_hz, onset_s, pitch):
    """Measure the lag (note,), seconds, of each note's onset in the audio, and the activations (note, pitch 88) there."""
    curves, hop_s = onset_curves(samples, rate_hz, onset_s, pitch)
    time_map = fit_time_map(onset_s, note_lags(curves, hop_s))
    # A second pass around the fitted line, instead of one lag for all notes, finds the onsets of a performance with drift.
    return note_lags(curves, hop_s, time_map(onset_s) - onset_s), activations(samples, rate_hz, time_map(onset_s))


def _align(notes, transcription):
    """Estimate transposition and time map to the transcription; 0 and the identity where too few notes match."""
    semitones, time_map = align(notes, transcription)
    pitch = notes["pitch"].astype(int) - semitones
    rows, _ = match_notes(time_map(notes["onset_s"]), pitch, transcription["onset_s"], transcription["pitch"])
    return (semitones, time_map) if len(rows) >= MIN_MATCHED_SHARE * len(pitch) else (0, TimeMap())


def estimate_transposition(activation, pitch):
    """Estimate the transposition of notes against the audio, in semitones.

    Parameters
    ----------
    activation : array (note, pitch 88)
        Of `pitch_activation.activations`.
    pitch : array (note,)

    Returns
    -------
    int
        Pitch of the notes minus pitch of the audio; 0 unless another transposition has a much stronger activation.
    """
    steps = np.arange(-MAX_SEMITONES, MAX_SEMITONES + 1)
    total = np.array([relative_activations(activation, pitch, -step).sum() for step in steps])
    best = int(np.argmax(total))
    return int(steps[best]) if total[best] > _MIN_TRANSPOSITION_GAIN * total[MAX_SEMITONES] else 0


def audio_scores(sounding, residual_s, activation, pitch, velocity):
    """Score notes against the audio, after their times are mapped to it.

    Parameters
    ----------
    sounding : bool array (note,)
        The pitch sounds in the audio.
    residual_s : array (note,), s
        Onset in the audio minus time of the note; NaN where unknown.
    activation : array (note, pitch 88)
    pitch, velocity : array (note,)

    Returns
    -------
    dict
        `notes`: number of notes. `silent_share`: share of notes whose pitch does not sound. `timing_median_s`, `timing_p95_s`: of
        |residual|. `late_share`: share of notes beyond `MAX_DEVIATION_S`. `level_correlation`: Spearman's, between level and
        velocity of the notes, both without their trend over the keyboard; 1: louder notes have higher velocities, 0: chance.
        `level_deviation`: median |velocity / velocity predicted from the level - 1|. `velocity_spread`: median |velocity / its
        trend - 1|. None where too few notes sound.
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


def _compare(transcription, notes, time_map, pitch, sounding, samples, rate_hz):
    """Compute `transcription_scores` of notes after mapping their times to the audio."""
    mapped = {"onset_s": time_map(notes["onset_s"]), "pitch": pitch, "velocity": notes["velocity"]}
    activation = activations(samples, rate_hz, transcription["onset_s"])
    transcribed_sounding = relative_activations(activation, transcription["pitch"]) >= MIN_SOUNDING_ACTIVATION
    return transcription_scores(mapped, transcription, sounding, transcribed_sounding)


def transcription_scores(notes, transcription, sounding, transcribed_sounding):
    """Score notes against a transcription of the recording, after their times are mapped to it.

    Parameters
    ----------
    notes, transcription : dict of str to array (note,)
        `onset_s`, `pitch` and `velocity` as in `tables.NOTES`.
    sounding, transcribed_sounding : bool array (note,)
        For each note of either list: the pitch sounds in the audio.

    Returns
    -------
    dict
        `precision`, `recall`: shares of the notes and of the transcription that match (equal pitch, within 100 ms).
        Unmatched notes, as shares of the notes (`missing_share`: of the transcription): `octave_share`: within 50 ms of an unmatched
        transcribed note, one or more octaves away; `wrong_pitch_share`: within 50 ms of one at another interval, and not sounding;
        `extra_share`: near no unmatched transcribed note, not sounding, and not masked; `missing_share`: transcribed, sounding,
        and near no unmatched note.
        `timing_median_s`, `timing_p95_s`, `late_share`: of matched notes, around their own offset and drift. `level_scale`: median
        of velocity / transcribed velocity. `level_deviation`: median |that ratio / its trend over the keyboard - 1|, without
        the engine's `TRANSCRIPTION_VELOCITY_ERROR`. `level_correlation`: Spearman's, between velocities and transcribed velocities
        without their trends. None where too few notes match.
    """
    matched, reference = match_notes(notes["onset_s"], notes["pitch"], transcription["onset_s"], transcription["pitch"])
    unmatched = np.setdiff1d(np.arange(len(notes["pitch"])), matched)
    unmatched_reference = np.setdiff1d(np.arange(len(transcription["pitch"])), reference)
    near, near_reference = match_onsets(notes["onset_s"][unmatched], transcription["onset_s"][unmatched_reference])
    wrong, wrong_reference = unmatched[near], unmatched_reference[near_reference]
    octave = (notes["pitch"][wrong].astype(int) - transcription["pitch"][wrong_reference].astype(int)) % 12 == 0
    wrong_pitch = ~octave & ~sounding[wrong]
    # A masked note may sound without being detected, so it does not count as extra.
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
    """Subtract from values (note,) the median of the notes within half an octave: the voicing of the instrument, not the playing."""
    keys = np.unique(pitch)
    trend = np.array([np.median(values[np.abs(pitch - key) <= _TREND_SEMITONES]) for key in keys])
    return values - trend[np.searchsorted(keys, pitch)]


def _rank_correlation(first, second):
    """Spearman's correlation of two arrays (note,); None where one of them is constant."""
    return float(spearmanr(first, second).statistic) if np.ptp(first) > 1e-6 and np.ptp(second) > 1e-6 else None


def _timing(residual_s):
    """Summarise residuals (note,), seconds, NaN where unknown; None where too few are known."""
    deviation_s = np.abs(residual_s[np.isfinite(residual_s)])
    if len(deviation_s) < MIN_NOTES:
        return {"timing_median_s": None, "timing_p95_s": None, "late_share": None}
    return {
        "timing_median_s": float(np.median(deviation_s)),
        "timing_p95_s": float(np.percentile(deviation_s, 95)),
        "late_share": float(np.mean(deviation_s > MAX_DEVIATION_S)),
    }


def _median(lag_s):
    """Median (s) of lags (note,), NaN ignored; 0 where none is known."""
    known = lag_s[np.isfinite(lag_s)]
    return float(np.median(known)) if len(known) else 0.0
