"""Is there piano alone? By what the notes do not explain of the sound (`handroll.music.alignment.unexplained_energy`), and steady noise.

Levels are against the recording's mean power, so that a sound in a pause counts as much as one in the music.
"""

from math import ceil

import numpy as np

from handroll.reasons import Reason

SCORES = ("foreign_db", "lasting_db", "noise_db")

PASSING_SHARE = 0.1
"""What is foreign in no more than this share of the spans may be a note that the transcriber missed; what is left without the spans
that have most, lasts. In 39 of 41 clean recordings that was below -70 dB, in the others -58 and -64; of foreign sound at -20 dB, where
it was found at all, -33 to -55."""
SEEN_SHARE = 0.22
"""Steady noise is seen between notes only: not where so dense a music is played that less than this share of the time is left.
In a dense recording in a live room with 20 % left, reverberation passed for noise at -14 dB."""
_LEAST_DB = -90.0
# What nothing at all is said to have.


def levels_db(power, foreign, counted):
    """Foreign power of each span against the recording's mean power.

    Parameters
    ----------
    power, foreign, counted : float array (span,)
        Of `handroll.music.alignment.unexplained_energy.UnexplainedEnergy`.

    Returns
    -------
    array (span,), dB
        At least -90. What lies too near onsets to be counted adds nothing.
    """
    return _db(*_relative(power, foreign, counted))


def measure(power, foreign, noise, counted):
    """How much foreign sound and noise there is.

    Parameters
    ----------
    power, foreign, noise, counted : float array (span,)
        Of `handroll.music.alignment.unexplained_energy.UnexplainedEnergy`.

    Returns
    -------
    dict
        `foreign_db`: foreign power against the power of all the sound, dB, at least -90; `lasting_db`: the same without the
        tenth of the spans that have most; `noise_db`: steady noise against the sound, dB, or None where the music is too dense
        to tell. Without sound -90, -90 and None.
    """
    foreign, mean = _relative(power, foreign, counted)
    if mean <= 0.0:
        return {"foreign_db": _LEAST_DB, "lasting_db": _LEAST_DB, "noise_db": None}
    counted = np.asarray(counted, dtype=float)
    ordered = np.sort(foreign)
    kept = ordered[: len(ordered) - ceil(PASSING_SHARE * len(ordered))]
    steady = np.sum(np.asarray(noise) * counted) / counted.sum()
    return {
        "foreign_db": float(_db(ordered.sum() / len(ordered), mean)),
        "lasting_db": float(_db(kept.sum() / len(ordered), mean)),
        "noise_db": float(_db(steady, mean)) if counted.mean() >= SEEN_SHARE else None,
    }


def decide(scores, max_foreign_db, max_lasting_db, max_noise_db):
    """Compare with the greatest power of foreign sound, of such that lasts, and of steady noise (dB; not where it is unknown).

    Returns
    -------
    tuple of Reason
        Empty where the piano is alone.
    """
    foreign = scores["foreign_db"] > max_foreign_db or scores["lasting_db"] > max_lasting_db
    noisy = scores["noise_db"] is not None and scores["noise_db"] > max_noise_db
    return (Reason.SOUND_IMPURE,) * foreign + (Reason.SOUND_NOISY,) * noisy


def _relative(power, foreign, counted):
    """Foreign power that counts, array (span,), and the mean power of all sound that counts; 0 without sound."""
    power, foreign, counted = (np.asarray(values, dtype=float) for values in (power, foreign, counted))
    return foreign * counted, float(np.sum(power * counted) / max(np.sum(counted), 1e-12))


def _db(power, mean):
    if mean <= 0.0:
        return np.full(np.shape(power), _LEAST_DB)
    return np.maximum(10.0 * np.log10(np.asarray(power) / mean + 1e-30), _LEAST_DB)
