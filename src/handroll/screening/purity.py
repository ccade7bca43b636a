"""Measure whether the audio contains the piano alone: level of foreign audio (not explained by the notes) and of steady noise.

`handroll.music.alignment.unexplained_energy` estimates both. Levels are relative to the mean power of the recording, so foreign audio
in a pause counts as much as foreign audio during the music.
"""

from math import ceil

import numpy as np

BRIEF_SHARE = 0.1
"""Share of the spans of audio that `lasting_db` omits, 0..1: the spans with the most foreign audio. It may come from notes that the
transcription lacks. Measured `lasting_db`: below -70 dB in 39 of 41 clean recordings, -58 and -64 dB in the other two. With foreign audio
added at -20 dB, it was -33 to -55 dB in the recordings in which foreign audio was detected."""

MIN_COUNTED_SHARE = 0.22
"""Minimum share of the time, 0..1, that is far enough from onsets to measure steady noise. In denser music the noise is unknown: in a
recording from a reverberant room with a share of 0.20, reverberation was measured as noise of -14 dB."""

MIN_DB = -90.0
"""Level that is reported if there is no foreign audio or no noise, dB."""


def measure_purity(power, foreign, noise, counted):
    """Measure the level of foreign audio and of steady noise.

    Parameters
    ----------
    power, foreign, noise, counted : float array (span,)
        Fields of `handroll.music.alignment.unexplained_energy.UnexplainedEnergy`.

    Returns
    -------
    dict
        `foreign_db`: foreign power relative to the mean power of the recording, dB, at least `MIN_DB`. `lasting_db`: the same
        without the `BRIEF_SHARE` of the spans with the most foreign power. `noise_db`: power of steady noise relative to the mean
        power of the recording, dB; None below `MIN_COUNTED_SHARE`. Without audio the values are `MIN_DB`, `MIN_DB` and None.
    """
    power, foreign, noise, counted = (np.asarray(values, dtype=float) for values in (power, foreign, noise, counted))
    mean_power = float(np.sum(power * counted) / max(np.sum(counted), 1e-12))
    if mean_power <= 0.0:
        return {"foreign_db": MIN_DB, "lasting_db": MIN_DB, "noise_db": None}
    ordered = np.sort(foreign * counted)
    lasting = ordered[: len(ordered) - ceil(BRIEF_SHARE * len(ordered))]
    noise_power = np.sum(noise * counted) / counted.sum()
    return {
        "foreign_db": float(_relative_db(ordered.sum() / len(ordered), mean_power)),
        "lasting_db": float(_relative_db(lasting.sum() / len(ordered), mean_power)),
        "noise_db": float(_relative_db(noise_power, mean_power)) if counted.mean() >= MIN_COUNTED_SHARE else None,
    }


def _relative_db(power, mean_power):
    """Return a power relative to the mean power, dB, at least `MIN_DB`."""
    return max(10.0 * np.log10(power / mean_power + 1e-30), MIN_DB)
