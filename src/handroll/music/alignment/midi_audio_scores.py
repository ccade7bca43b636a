"""How far notes agree with a recording and with its transcription: scores only; `check` compares them with thresholds.

Two witnesses are asked. The sound itself tells offset, drift and timing of a list of notes, whether each pitch sets in, a
transposition of all, and whether louder notes are struck harder. It cannot tell which notes are missing (partials, beats
and noises rise as well), an octave from the partials of another note, or a velocity that is wrong by one factor in all
notes: a recording's level is anybody's choice. The transcription tells these, and times more finely; but it misses and
invents notes. So a note is extra where the transcription lacks it and the sound denies it, and missing where the
transcription has it and the sound confirms it.
"""

import numpy as np
from scipy.stats import spearmanr

from handroll.music.alignment.note_matching import MOST_SEMITONES, align, pair, pair_any_pitch
from handroll.music.alignment.onset_detection import note_lags, onset_curves
from handroll.music.alignment.pitch_activation import masked, shares, strengths
from handroll.music.alignment.time_map import Clock, fit_clock
from handroll.music.notes import LOWEST_PITCH

LATE_S = 0.030
"""A note further than this from its time is late (or early): PianoMotion10M's limit (Gan et al., ICLR 2025)."""
SOUNDS = 0.03
"""A note sounds where it is given at least this share of its moment's strongest pitch. Measured: so do 95 to 100 % of the
true notes of slow music, 80 % in the fastest, and 10 to 20 % of notes put anywhere."""
LEAST_PAIRED = 0.3
"""An alignment in which fewer of the notes find their partner is none: the lists are different music."""
HEARD_LEVEL_ERROR = 0.08
"""What transcribed velocities deviate by from the true ones, as a share; taken off in quadrature. Measured: 7 to 11 % on the
synthetic piano."""
LEAST_NOTES = 10
"""Of fewer notes neither velocities nor times are judged."""

_VOICED_ALIKE = 6
# Semitones.
_MEDIAN_ERROR = 1.2533 * 1.4826
# Standard error of a median, in median absolute deviations and roots of the number, for normal noise.
_LEAST_TOTAL_GAIN = 1.5
# Another transposition is believed where it sounds so much stronger than none; of true notes an octave sounds at most
# half as strong.


def measure(notes, samples, rate_hz, transcription=None):
    """Scores of notes against sound and, where there is one, against its transcription.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    transcription : dict of str to array (note,), optional
        `tables.NOTES` of the sound, made by an engine.

    Returns
    -------
    dict of str to dict
        `clock`: `lag_s`, how much later the sound is than the notes, all drift left aside, and `lag_error_s`, the standard
        error of this median; `drift`, seconds a second, and `drift_s`, what it amounts to from the first note to the last;
        `offset_s`, how much later the sound is at time 0 if it drifts; `semitones` that the notes lie above the sound.
        Everything else is measured after these are taken back. `sound`: scores of `against_sound`. `transcription`: scores
        of `against_transcription`, or None.
    """
    heard = transcription is not None and len(transcription["pitch"]) > 0
    semitones, clock = _alignment(notes, transcription) if heard else (0, Clock())
    onset_s, pitch = clock(notes["onset_s"]), notes["pitch"].astype(int) - semitones
    lag_s, strength = _look(samples, rate_hz, onset_s, pitch)
    if not heard and (semitones := transposition(strength, pitch)):
        pitch = pitch - semitones
        lag_s, strength = _look(samples, rate_hz, onset_s, pitch)
    sounding = shares(strength, pitch) >= SOUNDS
    lag_s = np.where(sounding, lag_s, np.nan) if sounding.any() else lag_s
    # The transcription's onsets spread less, so it tells the drift, but the sound tells where zero is.
    rest = Clock(_median(lag_s)) if heard else fit_clock(onset_s, lag_s)
    total = clock.then(rest)
    residual_s = lag_s - (rest(onset_s) - onset_s)
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
        "sound": against_sound(sounding, residual_s, strength, pitch, notes["velocity"]),
        "transcription": _against(transcription, notes, total, pitch, sounding, samples, rate_hz) if heard else None,
    }


def _look(samples, rate_hz, onset_s, pitch):
    """Lags (note,) s of the onsets behind the notes, and strengths (note, pitch 88) of what sets in there."""
    curves, hop_s = onset_curves(samples, rate_hz, onset_s, pitch)
    clock = fit_clock(onset_s, note_lags(curves, hop_s))
    # A second look around the line, not around one lag, finds the onsets of a performance that drifts.
    return note_lags(curves, hop_s, clock(onset_s) - onset_s), strengths(samples, rate_hz, clock(onset_s))


def _alignment(notes, transcription):
    """Transposition and clock onto the transcription; none where too few notes find a partner."""
    semitones, clock = align(notes, transcription)
    mine, _ = pair(clock(notes["onset_s"]), notes["pitch"].astype(int) - semitones, transcription["onset_s"], transcription["pitch"])
    return (semitones, clock) if len(mine) >= LEAST_PAIRED * len(notes["pitch"]) else (0, Clock())


def transposition(strength, pitch):
    """Semitones that notes lie above what sounds at their moments.

    Parameters
    ----------
    strength : array (note, pitch 88)
        Of `sounding.strengths`.
    pitch : array (note,)

    Returns
    -------
    int
        0 unless another transposition sounds much stronger.
    """
    steps = np.arange(-MOST_SEMITONES, MOST_SEMITONES + 1)
    total = np.array([shares(strength, pitch, -step).sum() for step in steps])
    best = int(np.argmax(total))
    return int(steps[best]) if total[best] > _LEAST_TOTAL_GAIN * total[MOST_SEMITONES] else 0


def against_sound(sounding, residual_s, strength, pitch, velocity):
    """Scores against the sound, of notes on its clock.

    Parameters
    ----------
    sounding : bool array (note,)
        The pitch sets in.
    residual_s : array (note,), s
        How much later than its time each note sets in; NaN where unknown.
    strength : array (note, pitch 88)
    pitch, velocity : array (note,)

    Returns
    -------
    dict
        `notes`: how many. `silent_share`: of the notes that do not set in at their pitch. `timing_median_s`,
        `timing_p95_s`: of |residual|. `late_share`: beyond `LATE_S`. `level_correlation`: Spearman's, of note level and
        velocity, both freed of their trend over the keyboard; 1 = louder notes have higher velocities, 0 = chance.
        `level_deviation`: median |velocity / the velocity that the level tells - 1|; `velocity_spread`: median |velocity /
        its trend - 1|. None where too few notes sound.
    """
    own = strength[np.arange(len(pitch)), np.clip(pitch - LOWEST_PITCH, 0, strength.shape[1] - 1)]
    levels = dict.fromkeys(("level_correlation", "level_deviation", "velocity_spread"))
    if sounding.sum() >= LEAST_NOTES:
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


def _against(transcription, notes, clock, pitch, sounding, samples, rate_hz):
    """`against_transcription` of notes put on the sound's clock."""
    moved = {"onset_s": clock(notes["onset_s"]), "pitch": pitch, "velocity": notes["velocity"]}
    strength = strengths(samples, rate_hz, transcription["onset_s"])
    return against_transcription(moved, transcription, sounding, shares(strength, transcription["pitch"]) >= SOUNDS)


def against_transcription(notes, transcription, sounding, transcribed_sounding):
    """Scores against a transcription of the same sound, of notes on its clock.

    Parameters
    ----------
    notes, transcription : dict of str to array (note,)
        `onset_s`, `pitch` and `velocity` as in `tables.NOTES`.
    sounding, transcribed_sounding : bool array (note,)
        Of either list: the pitch sets in, says the sound.

    Returns
    -------
    dict
        `precision`, `recall`: shares of the notes and of the transcription that are paired (one pitch, within 100 ms).
        Of those that are not, as shares of the notes (of the transcription for `missing_share`): `octave_share` stand
        within 50 ms of an unpaired transcribed note one or more octaves away; `wrong_pitch_share` of one at another
        distance, and do not sound; `extra_share` of none, do not sound, and are not masked; `missing_share`: transcribed,
        sounding, and without such a partner.
        `timing_median_s`, `timing_p95_s`, `late_share` of pairs, around their own offset and drift. `level_scale`: median of
        velocity / transcribed velocity. `level_deviation`: median |that ratio / its trend over the keyboard - 1|, less the
        engine's own `HEARD_LEVEL_ERROR`. `level_correlation`: Spearman's, of velocities and transcribed velocities freed of
        their trends. None where too few notes are paired.
    """
    mine, other = pair(notes["onset_s"], notes["pitch"], transcription["onset_s"], transcription["pitch"])
    alone = np.setdiff1d(np.arange(len(notes["pitch"])), mine)
    unmet = np.setdiff1d(np.arange(len(transcription["pitch"])), other)
    swapped, swapped_for = pair_any_pitch(notes["onset_s"][alone], transcription["onset_s"][unmet])
    steps = notes["pitch"][alone[swapped]].astype(int) - transcription["pitch"][unmet[swapped_for]].astype(int)
    octave = steps % 12 == 0
    wrong = ~octave & ~sounding[alone[swapped]]
    # What other notes would hide, the sound cannot deny.
    extra = np.setdiff1d(alone, alone[swapped])
    extra = extra[~sounding[extra] & ~masked(notes["onset_s"], notes["pitch"])[extra]]
    missing = np.setdiff1d(unmet, unmet[swapped_for])
    levels = dict.fromkeys(("level_scale", "level_deviation", "level_correlation"))
    if len(mine) >= LEAST_NOTES:
        own, told = (np.log(np.asarray(v, dtype=float)) for v in (notes["velocity"][mine], transcription["velocity"][other]))
        pitch = notes["pitch"][mine]
        deviation = np.median(np.abs(np.expm1(without_trend(own - told, pitch))))
        levels["level_scale"] = float(np.exp(np.median(own - told)))
        levels["level_deviation"] = float(np.sqrt(max(deviation**2 - HEARD_LEVEL_ERROR**2, 0.0)))
        levels["level_correlation"] = _rank_correlation(without_trend(own, pitch), without_trend(told, pitch))
    onset_s = notes["onset_s"][mine]
    lag_s = transcription["onset_s"][other] - onset_s
    n_notes, n_transcribed = max(len(notes["pitch"]), 1), max(len(transcription["pitch"]), 1)
    return {
        "notes": len(transcription["pitch"]),
        "precision": len(mine) / n_notes,
        "recall": len(mine) / n_transcribed,
        "octave_share": float(octave.sum() / n_notes),
        "wrong_pitch_share": float(wrong.sum() / n_notes),
        "extra_share": len(extra) / n_notes,
        "missing_share": float(transcribed_sounding[missing].sum() / n_transcribed),
        **_timing(lag_s - (fit_clock(onset_s, lag_s)(onset_s) - onset_s)),
        **levels,
    }


def without_trend(values, pitch):
    """Values (note,) less the median of the notes within half an octave: how an instrument is voiced is not the player's doing."""
    keys = np.unique(pitch)
    trend = np.array([np.median(values[np.abs(pitch - key) <= _VOICED_ALIKE]) for key in keys])
    return values - trend[np.searchsorted(keys, pitch)]


def _rank_correlation(one, other):
    """Spearman's correlation of two arrays (note,); None where one of them is constant."""
    return float(spearmanr(one, other).statistic) if np.ptp(one) > 1e-6 and np.ptp(other) > 1e-6 else None


def _timing(residual_s):
    """Summary of residuals (note,) s, NaN where unknown; None where there are too few."""
    late_s = np.abs(residual_s[np.isfinite(residual_s)])
    if len(late_s) < LEAST_NOTES:
        return {"timing_median_s": None, "timing_p95_s": None, "late_share": None}
    return {
        "timing_median_s": float(np.median(late_s)),
        "timing_p95_s": float(np.percentile(late_s, 95)),
        "late_share": float(np.mean(late_s > LATE_S)),
    }


def _median(lag_s):
    """The median (s) of lags (note,), NaN left aside; 0 where none is known."""
    known = lag_s[np.isfinite(lag_s)]
    return float(np.median(known)) if len(known) else 0.0
