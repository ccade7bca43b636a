"""Is there piano alone? By what the notes do not explain of the sound (`handroll.music.explained`), and steady noise.

Levels are against the recording's mean power, so that a sound in a pause counts as much as one in the music.
"""

import numpy as np

from handroll.screen.reasons import Reason

SCORES = ("foreign_db", "foreign_share", "noise_db")

FOREIGN_DB = -31.5
"""A span with more foreign power than this, against the mean power of the recording, is foreign: above all spans of the 43 clean
recordings that it was chosen with; in most of them no span is above -60."""
SEEN_SHARE = 0.22
"""Steady noise is seen between notes only: not where so dense a music is played that less than this share of the time is left.
In a dense recording in a live room with 20 % left, reverberation passed for noise at -14 dB."""
_LEAST_DB = -70.0
# What nothing at all is said to have.


def levels_db(power, foreign, counted):
    """Foreign power of each span against the recording's mean power.

    Parameters
    ----------
    power, foreign, counted : float array (span,)
        Of `handroll.music.explained.Explained`.

    Returns
    -------
    array (span,), dB
        At least -70. What lies too near onsets to be counted adds nothing.
    """
    power, foreign, counted = (np.asarray(values, dtype=float) for values in (power, foreign, counted))
    mean = np.sum(power * counted) / max(np.sum(counted), 1e-12)
    return _db(foreign * counted, mean)


def measure(power, foreign, noise, counted):
    """How much foreign sound and noise there is.

    Parameters
    ----------
    power, foreign, noise, counted : float array (span,)
        Of `handroll.music.explained.Explained`.

    Returns
    -------
    dict
        `foreign_db`: foreign power against the power of all the sound, dB, at least -70; `foreign_share`: share of the spans
        above `FOREIGN_DB`, 0..1; `noise_db`: steady noise against the sound, dB, or None where the music is too dense to tell.
        Without sound -70, 0 and None.
    """
    counted = np.asarray(counted, dtype=float)
    spans_db = levels_db(power, foreign, counted)
    if not len(spans_db) or not counted.any():
        return {"foreign_db": _LEAST_DB, "foreign_share": 0.0, "noise_db": None}
    weight = counted / counted.sum()
    mean = float(np.sum(np.asarray(power) * weight))
    return {
        "foreign_db": float(_db(np.mean(np.asarray(foreign) * counted), mean)),
        "foreign_share": float(np.mean(spans_db > FOREIGN_DB)),
        "noise_db": float(_db(np.sum(np.asarray(noise) * weight), mean)) if counted.mean() >= SEEN_SHARE else None,
    }


def decide(scores, max_foreign_db, max_foreign_share, max_noise_db):
    """Compare with the greatest foreign power (dB), share of foreign spans, and steady noise (dB; not where it is unknown).

    Returns
    -------
    tuple of Reason
        Empty where the piano is alone.
    """
    foreign = scores["foreign_db"] > max_foreign_db or scores["foreign_share"] > max_foreign_share
    noisy = scores["noise_db"] is not None and scores["noise_db"] > max_noise_db
    return (Reason.SOUND_IMPURE,) * foreign + (Reason.SOUND_NOISY,) * noisy


def _db(power, mean):
    if mean <= 0.0:
        return np.full(np.shape(power), _LEAST_DB)
    return np.maximum(10.0 * np.log10(np.asarray(power) / mean + 1e-30), _LEAST_DB)
