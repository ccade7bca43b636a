"""Measure whether the audio contains the piano alone: foreign sound, which the notes do not explain, and steady noise.

`handroll.music.alignment.unexplained_energy` estimates both. Levels are relative to the mean power of the recording, so that a sound
in a pause counts as much as one during the music.
"""

from math import ceil

import numpy as np

BRIEF_SHARE = 0.1
"""Share of the spans with the most foreign sound, which `lasting_db` leaves out: it may come from notes that the transcription lacks.
The rest lasts. It was below -70 dB in 39 of 41 clean recordings, and -58 and -64 dB in the others; with foreign sound at -20 dB it was
-33 to -55 dB, in the recordings where any was found."""

MIN_COUNTED_SHARE = 0.22
"""Steady noise is measured between notes. It is unknown where dense music leaves a smaller share of the time than this: in a dense
recording from a live room with a share of 0.20, reverberation measured as noise of -14 dB."""

MIN_DB = -90.0
"""Level without any foreign sound or noise, dB."""


def measure_purity(power, foreign, noise, counted):
    """Measure the level of foreign sound and of steady noise.

    Parameters
    ----------
    power, foreign, noise, counted : float array (span,)
        As in `handroll.music.alignment.unexplained_energy`.

    Returns
    -------
    dict
        `foreign_db`: foreign power relative to the power of the recording, dB, at least `MIN_DB`; `lasting_db`: the same without
        the tenth of the spans with the most foreign power; `noise_db`: steady noise relative to the recording, dB, or None where the
        music is too dense to measure it. Without audio `MIN_DB`, `MIN_DB` and None.
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
    return max(10.0 * np.log10(power / mean_power + 1e-30), MIN_DB)
