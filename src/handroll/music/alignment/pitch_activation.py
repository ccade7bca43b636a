"""Pitch activation: which pitches begin at a moment of the audio, and how strongly.

The increase of the spectrum from before a chord to after it is decomposed into the spectra of 88 notes by non-negative least squares
(Smaragdis & Brown 2003, doi:10.1109/ASPAA.2003.1285860; here the spectra of notes are those of ideal strings). Notes with common
partials share their energy, so a silent note rarely gets a large activation. But the partials of a note can be mistaken for the note one
octave above.
"""

import numpy as np
from scipy import fft
from scipy.optimize import nnls

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.strings import INHARMONICITY, fundamental_hz, partials_hz

WINDOW_S = 0.093
"""Length of the Hann windows before and after the onset, seconds."""

CHORD_S = 0.03
"""Successive onsets at most this far apart (seconds) form one chord."""

MIN_SOUNDING_ACTIVATION = 0.03
"""Minimum activation of a sounding note, as a share of the activation of the strongest pitch of its chord. Measured: 95 to 100 % of the
true notes of slow music reach it, 80 % in the fastest music, and 10 to 20 % of notes at random positions."""

# Frequency range of the spectra, Hz.
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 4500.0

# Number of partials of a note.
_PARTIALS = 12

# Cutoff frequency of the soundboard, Hz; the soundboard radiates little below it.
_RADIATION_HZ = 70.0

# Time from the end of the window before a chord to the first onset of the chord, seconds.
_BEFORE_S = 0.010

# Time from the last onset of a chord to the start of the window after the chord, seconds.
_AFTER_S = 0.005

# Intervals from a note to its partials 2 to 8, semitones.
_PARTIAL_STEPS = (12, 19, 24, 28, 31, 34, 36)

# Minimum of the divisor of relative activations, as a share of the median over all notes of the strongest activation of their chord. The
# divisor is the strongest activation of the chord. The minimum keeps the relative activations of very quiet chords small.
_QUIET = 0.1


def activations(samples, rate_hz, onset_s):
    """Measure the activation of each pitch at each note's onset.

    Parameters
    ----------
    samples : float array (sample,)
        Mono.
    rate_hz : int
    onset_s : array (note,), s
        Onsets in order, on the clock of the audio.

    Returns
    -------
    float32 array (note, pitch 88)
        Increase of the magnitude of each pitch, from A0 up, at the note's chord. Notes of one chord have equal rows. The unit is that
        of the samples times the norm of a note's spectrum. 0 outside the audio.
    """
    n_pitches = HIGHEST_PITCH - LOWEST_PITCH + 1
    size = round(WINDOW_S * rate_hz)
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    window /= window.sum()
    length = fft.next_fast_len(2 * size, real=True)
    hz = np.fft.rfftfreq(length, 1.0 / rate_hz)
    used = (hz > _LOWEST_HZ) & (hz < min(_HIGHEST_HZ, 0.45 * rate_hz))
    spectra = _note_spectra(hz[used], rate_hz / size)
    gram = spectra.T @ spectra
    root = np.linalg.cholesky(gram + 1e-6 * np.eye(n_pitches)).T
    activation = np.zeros((len(onset_s), n_pitches), np.float32)
    for chord in np.split(np.arange(len(onset_s)), np.flatnonzero(np.diff(onset_s) > CHORD_S) + 1):
        if not len(chord):
            continue
        before_s, after_s = onset_s[chord[0]] - _BEFORE_S - WINDOW_S, onset_s[chord[-1]] + _AFTER_S
        before, after = (_magnitudes(samples, round(start_s * rate_hz), window, length)[used] for start_s in (before_s, after_s))
        gain = np.maximum(after - before, 0.0)
        # Least squares with one row for each pitch instead of each frequency: |R x - R^-T A' b| has the same minimum as |A x - b|,
        # where A'A = R'R.
        activation[chord] = nnls(root, np.linalg.solve(root.T, spectra.T @ gain))[0]
    return activation


def _note_spectra(hz, resolution_hz):
    """Return the spectra (frequency, pitch 88) of ideal strings, each of norm 1, at the frequencies `hz`.

    The amplitude of partial k is proportional to 1 / k, with less radiation at low frequencies (`_RADIATION_HZ`). `resolution_hz` is the
    inverse of the window's length.
    """
    columns = []
    for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1):
        partials = partials_hz(fundamental_hz(pitch), INHARMONICITY, _PARTIALS)
        partials = partials[partials <= hz[-1]]
        amplitude = 1.0 / np.arange(1, len(partials) + 1) / (1.0 + (_RADIATION_HZ / partials) ** 2)
        # The main lobe of a Hann window, two bins to each side.
        lobe = np.cos(np.clip((hz[:, None] - partials) / (2.0 * resolution_hz), -1.0, 1.0) * np.pi / 2.0) ** 2
        columns.append(lobe @ amplitude)
    spectra = np.stack(columns, axis=1)
    return spectra / np.linalg.norm(spectra, axis=0)


def _magnitudes(samples, start, window, length):
    """Return the magnitudes (frequency,) of the window that begins at sample `start`, padded with zeros to `length` samples.

    Outside the audio, the samples are 0.
    """
    padded = np.zeros(len(window), np.float32)
    part = samples[max(start, 0) : max(start + len(window), 0)]
    padded[max(-start, 0) :][: len(part)] = part
    return np.abs(fft.rfft(padded * window, length))


def relative_activations(activation, pitch, semitones=0):
    """Return the activation of each note, divided by that of the strongest pitch of its chord.

    Parameters
    ----------
    activation : array (note, pitch 88)
        Result of `activations`.
    pitch : array (note,)
        MIDI pitch.
    semitones : int
        Transposition that is added to the pitches.

    Returns
    -------
    array (note,), 0..1
        0 for pitches outside the keyboard.
    """
    column = np.asarray(pitch).astype(int) - LOWEST_PITCH + semitones
    inside = (column >= 0) & (column < activation.shape[1])
    strongest = activation.max(axis=1, initial=0.0)
    minimum = _QUIET * np.median(strongest) if len(strongest) else 0.0
    own = activation[np.arange(len(column)), np.clip(column, 0, activation.shape[1] - 1)]
    return np.where(inside, own / np.maximum(np.maximum(strongest, minimum), 1e-12), 0.0)


def find_sounding_notes(activation, pitch):
    """Return a mask (note,) of the notes that sound in the audio: their relative activation is at least `MIN_SOUNDING_ACTIVATION`.

    Parameters
    ----------
    activation : array (note, pitch 88)
        A result of `activations`.
    pitch : array (note,)
        MIDI pitch.
    """
    return relative_activations(activation, pitch) >= MIN_SOUNDING_ACTIVATION


def masked_notes(onset_s, pitch):
    """Return which notes may be masked: their partials coincide with those of a lower note of the same chord.

    Parameters
    ----------
    onset_s : array (note,), s
        In order.
    pitch : array (note,)

    Returns
    -------
    bool array (note,)
    """
    masked = np.zeros(len(onset_s), bool)
    chords = zip(*(np.searchsorted(onset_s, onset_s + step) for step in (-CHORD_S, CHORD_S)), strict=True)
    for note, (start, stop) in enumerate(chords):
        masked[note] = np.isin(int(pitch[note]) - np.asarray(pitch[start:stop], dtype=int), _PARTIAL_STEPS).any()
    return masked
