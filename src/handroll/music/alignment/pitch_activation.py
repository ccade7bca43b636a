"""Which pitches set in at a moment of the sound, and how strongly: spectra explained by notes, non-negatively.

What the spectrum gains from before a chord to after it is explained as a sum of the spectra of 88 notes by non-negative
least squares (Smaragdis & Brown 2003, doi:10.1109/ASPAA.2003.1285860, with given spectra of strings). Notes whose partials
fall together share them, so that a note which is not there is seldom given much; but an octave may be taken for a note's
own partials.
"""

import numpy as np
from scipy import fft
from scipy.optimize import nnls

from handroll.music.alignment.onset_detection import partials_hz
from handroll.music.notes import HIGHEST_PITCH, LOWEST_PITCH

WINDOW_S = 0.093
"""Length of the Hann windows before and after the onset."""
CHORD_S = 0.03
"""Onsets that follow one another within this are one moment."""

_LOWEST_HZ, _HIGHEST_HZ = 50.0, 4500.0
_PARTIALS = 12
_RADIATION_HZ = 70.0
# Below, a soundboard radiates little.
_BEFORE_S, _AFTER_S = 0.010, 0.005
# The windows keep this distance from the first and last onset of a moment.
_PARTIAL_STEPS = (12, 19, 24, 28, 31, 34, 36)
# Semitones from a note to its partials 2 to 8.
_QUIET = 0.1
# A moment whose loudest note is below this share of the median of all moments is measured against that share.


def strengths(samples, rate_hz, onset_s):
    """What sets in at each note's onset, pitch by pitch.

    Parameters
    ----------
    samples : float array (sample,)
        Mono.
    rate_hz : int
    onset_s : array (note,), s
        In order, on the sound's clock.

    Returns
    -------
    float32 array (note, pitch 88)
        Magnitude that each pitch, from A0 up, gains at the note's moment (notes of one chord have the same row), in the
        samples' unit times the norm of a note's spectrum; 0 outside the sound.
    """
    n_pitches = HIGHEST_PITCH - LOWEST_PITCH + 1
    size = round(WINDOW_S * rate_hz)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    window /= window.sum()
    length = fft.next_fast_len(2 * size, real=True)
    hz = np.fft.rfftfreq(length, 1.0 / rate_hz)
    heard = (hz > _LOWEST_HZ) & (hz < min(_HIGHEST_HZ, 0.45 * rate_hz))
    spectra = _note_spectra(hz[heard], rate_hz / size)
    gram = spectra.T @ spectra
    root = np.linalg.cholesky(gram + 1e-6 * np.eye(n_pitches)).T
    found = np.zeros((len(onset_s), n_pitches), np.float32)
    for moment in np.split(np.arange(len(onset_s)), np.flatnonzero(np.diff(onset_s) > CHORD_S) + 1):
        if not len(moment):
            continue
        before_s, after_s = onset_s[moment[0]] - _BEFORE_S - WINDOW_S, onset_s[moment[-1]] + _AFTER_S
        before, after = (_magnitudes(samples, round(start_s * rate_hz), window, length)[heard] for start_s in (before_s, after_s))
        gain = np.maximum(after - before, 0.0)
        # The same least squares with 88 rows instead of one a frequency: |R x - R^-T A' b| for A'A = R'R.
        found[moment] = nnls(root, np.linalg.solve(root.T, spectra.T @ gain))[0]
    return found


def _note_spectra(hz, resolution_hz):
    """Spectra (frequency, pitch 88) of norm 1 of ideal strings: partials fall with their number."""
    columns = []
    for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1):
        partials = partials_hz(pitch, hz[-1], count=_PARTIALS)
        amplitude = 1.0 / np.arange(1, len(partials) + 1) / (1.0 + (_RADIATION_HZ / partials) ** 2)
        # The main lobe of a Hann window, two bins to each side.
        lobe = np.cos(np.clip((hz[:, None] - partials) / (2.0 * resolution_hz), -1.0, 1.0) * np.pi / 2.0) ** 2
        columns.append(lobe @ amplitude)
    spectra = np.stack(columns, axis=1)
    return spectra / np.linalg.norm(spectra, axis=0)


def _magnitudes(samples, start, window, length):
    """Magnitudes (frequency,) of one window from a sample on, padded to a length; silence outside the sound."""
    padded = np.zeros(len(window), np.float32)
    part = samples[max(start, 0) : max(start + len(window), 0)]
    padded[max(-start, 0) :][: len(part)] = part
    return np.abs(fft.rfft(padded * window, length))


def shares(strength, pitch, semitones=0):
    """How strong each note is against the strongest pitch of its moment.

    Parameters
    ----------
    strength : array (note, pitch 88)
        Of `strengths`.
    pitch : array (note,)
        MIDI pitch.
    semitones : int
        Look so many semitones above.

    Returns
    -------
    array (note,), 0..1
        0 outside the keyboard.
    """
    place = np.asarray(pitch).astype(int) - LOWEST_PITCH + semitones
    inside = (place >= 0) & (place < strength.shape[1])
    strongest = strength.max(axis=1, initial=0.0)
    least = _QUIET * np.median(strongest) if len(strongest) else 0.0
    own = strength[np.arange(len(place)), np.clip(place, 0, strength.shape[1] - 1)]
    return np.where(inside, own / np.maximum(np.maximum(strongest, least), 1e-12), 0.0)


def masked(onset_s, pitch):
    """Which notes have their partials among those of a lower note of the same moment, so that they may not be seen.

    Parameters
    ----------
    onset_s : array (note,), s
        In order.
    pitch : array (note,)

    Returns
    -------
    bool array (note,)
    """
    hidden = np.zeros(len(onset_s), bool)
    for note, (since, until) in enumerate(zip(*(np.searchsorted(onset_s, onset_s + step) for step in (-CHORD_S, CHORD_S)), strict=True)):
        hidden[note] = np.isin(int(pitch[note]) - np.asarray(pitch[since:until], dtype=int), _PARTIAL_STEPS).any()
    return hidden
