"""Unexplained energy: the part of a piano recording's power that its notes do not explain, over time.

Unexplained power comes from another sound or from a note that the list of notes lacks. It is called foreign power.

A struck string sounds only at its partials, is loudest at its onset, and decays. So each frequency of the spectrogram gets a power limit.
The limit rises only at onsets: at first at all frequencies (hammer, soundboard, room). Then it falls, slowly at the partials of a
sounding note and fast at other frequencies. Power above the limit is foreign power. Other sounds exceed the limit between the partials,
or at a partial whose power rises without an onset: bowed, blown and sung tones, speech, drums, passing noise. Steady noise is measured
separately, from the quiet moments between notes (minimum statistics: Martin 2001, doi:10.1109/89.928915). All measurements exclude the
moments close to onsets.

Constants without a source were chosen on mixtures of other sounds with synthetic, sampled and recorded pianos
(`evaluation/screen_sound.py`, set "tuning").

Two kinds of sounds are not detected. Notes of other instruments, in particular of plucked strings, may be transcribed as notes of the
piano. Quiet sounds are hidden by fast or dense music, which leaves few frequencies between partials and little time between onsets. A note
that the transcription lacks counts as foreign.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import fft, ndimage

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.strings import fundamental_hz, inharmonicity, partials_hz

RATE_HZ = 22_050
"""Sampling rate of the analysis. Frequencies above half of it are ignored."""

WINDOW = 2048
"""Length of a Hann window, samples: 93 ms."""

HOP = 512
"""Distance between successive windows, samples: 23 ms."""

SPAN_S = 2.0
"""Length of the spans over which foreign power is averaged, seconds."""

# Number of spans whose spectra are computed at a time; it limits the memory for long recordings.
_BLOCK_SPANS = 30

# Lowest frequency of the total power, Hz.
_LOWEST_HZ = 100.0

# Lowest frequency of foreign power and noise, Hz. Below it, the mechanical noise of keys and pedals lasts up to 0.3 s after the onset (in a
# recording of a keyboard in a room, 24 dB below the tone).
_LOWEST_FOREIGN_HZ = 350.0

# Number of partials of a string.
_PARTIALS = 60

# Candidates in `_fit_tuning` for the inharmonicity, as a factor on the typical one (`strings.inharmonicity`).
_STRETCHES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)

# Candidates in `_fit_tuning` for the tuning relative to A4 = 440 Hz, cents. Half a semitone to either side is enough, because transcription
# engines round to the nearest semitone.
_CENTS = np.arange(-48.0, 49.0, 8.0)

# Frequency range of the partials that `_fit_tuning` uses, Hz.
_FIT_HZ = (150.0, 3500.0)

# Maximum number of notes that `_fit_tuning` uses.
_FIT_NOTES = 200

# Time after a note's onset at which `_fit_tuning` uses the spectrum, seconds.
_FIT_AFTER_S = 0.08

# Constant part of half the width of a partial, Hz: the main lobe of the window (21.5 Hz) with a margin.
_HALF_HZ = 30.0

# Part of half the width of a partial that allows for detuning, as a share of the partial's frequency. It is added to `_HALF_HZ`.
_HALF_SHARE = 0.008

# Time before a note's onset from which frames count as close to the onset, seconds: half a window, and a margin.
_BEFORE_S = 0.07

# Time after a note's onset until which frames count as close to the onset, seconds: the rise of the power.
_AFTER_S = 0.09

# Time after the sounding end of a note in which its partials still count as held, seconds.
_RELEASE_S = 0.05

# Assumed minimum decay rate of a held note, dB a second: the power limit falls at this rate at its partials.
_HELD_DB_S = 3.0

# Assumed minimum decay rate of an ended note, dB a second: that of a room with 2.4 s of reverberation.
_ENDED_DB_S = 25.0

# Assumed minimum decay rate of the noise of an onset, dB a second.
_HAMMER_DB_S = 40.0

# Maximum power of the noise of an onset (hammer, action), relative to the mean explained power of the surrounding frequencies, dB.
_HAMMER_DB = 0.0

# Frequency above which partials are dense and their frequencies uncertain, Hz. So every onset raises the limit of all higher frequencies.
_DENSE_HZ = 1800.0

# Factor by which the power of a partial may exceed the decayed limit, because the strings of a key beat with each other.
_BEAT = 10.0

# Number of frequency bins (54 Hz) within which partials beat with each other, so the limit is the maximum over these bins.
_BEAT_BINS = 5

# Number of frequency bins (0.66 kHz) over which the noise and the spectral leakage of onsets are assumed constant.
_SURROUNDING_BINS = 61

# Spectral leakage relative to the power of the surrounding frequencies, dB.
_LEAK_DB = -45.0

# Weight of the mean power of all frequencies, dB. The weighted mean is added to the power of the surrounding frequencies.
_DISTANT_DB = -20.0

# Quantile of a frequency's power over time from which the mean power of the noise is computed, 0..1. The mean follows from the quantile,
# because the power of noise has an exponential distribution.
_QUIET_SHARE = 0.1

# Quantile of the total power over all frames that is an upper limit of the noise, 0..1.
_QUIETEST_SHARE = 0.02

# Multiple of the mean noise above which power counts as foreign. 2 % of the values of noise exceed it.
_NOISE_MARGIN = 4.0

# Minimum number of frames without notes that are needed to measure the noise of a frequency. For frequencies with fewer such frames, the
# noise is interpolated from the neighbouring frequencies.
_MIN_MOMENTS = 10

# Minimum power, in the samples' unit squared. It avoids divisions by 0 and logarithms of 0.
_FLOOR = 1e-14


@dataclass(frozen=True)
class UnexplainedEnergy:
    """Power of a recording that its notes do not explain, for each span of `SPAN_S`.

    Attributes
    ----------
    start_s : array (span,)
        Start of the span, seconds.
    counted : array (span,), 0..1
        Share of the span that is far enough from onsets. Only this share is measured.
    power : array (span,)
        Mean power of the audio above `_LOWEST_HZ` in the counted moments, in the samples' unit squared; 0 if nothing is counted.
    foreign : array (span,)
        Part of `power`, above `_LOWEST_FOREIGN_HZ`, that the notes do not explain.
    noise : array (span,)
        Part of `power`, above `_LOWEST_FOREIGN_HZ`, that is steady noise.
    """

    start_s: np.ndarray
    counted: np.ndarray
    power: np.ndarray
    foreign: np.ndarray
    noise: np.ndarray


def measure_unexplained_energy(samples, rate_hz, notes):
    """Measure the power of a recording that its notes do not explain.

    Parameters
    ----------
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`: transcribed from this audio, or from a MIDI file that matches the audio.

    Returns
    -------
    UnexplainedEnergy
        One value for each span that begins within the audio.
    """
    samples = np.asarray(samples, np.float32)
    if rate_hz != RATE_HZ and len(samples):
        samples = soxr.resample(samples, rate_hz, RATE_HZ)
    frames_per_span = round(SPAN_S * RATE_HZ / HOP)
    spans = -(-len(samples) // (frames_per_span * HOP))
    partials = {} if not spans else _partial_masks(notes, *_fit_tuning(samples, notes))
    limit = _PowerLimit()
    rows = []
    for first in range(0, spans, _BLOCK_SPANS):
        number = min(_BLOCK_SPANS, spans - first)
        frames = np.arange(first * frames_per_span, (first + number) * frames_per_span)
        power = _spectra(samples, frames)
        rising, held, onset = _note_masks(notes, partials, frames)
        within = (frames >= 2) & (frames * HOP + WINDOW // 2 < len(samples))
        noise = _noise(power, ~(held | onset) & within, within)
        foreign = np.maximum(limit.excess(power, rising, held, onset) - _NOISE_MARGIN * noise[:, None], 0.0)
        counted = (~onset & within).reshape(number, -1)
        counts = np.maximum(counted.sum(axis=1), 1)
        totals = (
            (values[band].sum(axis=0).reshape(number, -1) * counted).sum(axis=1) / counts
            for values, band in ((power, _POWER_BAND), (foreign, _FOREIGN_BAND))
        )
        steady = np.full(number, noise[_FOREIGN_BAND].sum()) * counted.any(axis=1)
        rows.append((counted.mean(axis=1), *totals, steady))
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 4
    return UnexplainedEnergy(np.arange(spans) * frames_per_span * HOP / RATE_HZ, *columns)


_HZ = np.fft.rfftfreq(WINDOW, 1.0 / RATE_HZ)
_POWER_BAND, _FOREIGN_BAND = _HZ > _LOWEST_HZ, _HZ > _LOWEST_FOREIGN_HZ
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_HANN /= np.sqrt(np.sum(_HANN**2) * WINDOW / 2.0)


def _spectra(samples, frames):
    """Return the power (frequency, frame) of windows centred on samples frame * HOP. Outside the audio, the samples are 0."""
    start, stop = frames[0] * HOP - WINDOW // 2, frames[-1] * HOP + WINDOW // 2
    padded = np.zeros(stop - start, np.float32)
    part = samples[max(start, 0) : stop]
    padded[max(-start, 0) :][: len(part)] = part
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.maximum(np.abs(fft.rfft(windows * _HANN, axis=1)).T ** 2, _FLOOR)


def _partial_hz(pitch, stretch, cents):
    """Return the frequencies (partial,) of a string's partials up to half the sampling rate, Hz.

    `stretch` and `cents` are explained at `_fit_tuning`.
    """
    hz = partials_hz(fundamental_hz(pitch, cents), inharmonicity(pitch, stretch), _PARTIALS)
    return hz[hz < _HZ[-1]]


def _fit_tuning(samples, notes):
    """Estimate the tuning of the piano. Return (stretch, cents).

    `stretch` is the inharmonicity of the strings, as a factor on the typical one (`strings.inharmonicity`). `cents` is the tuning relative
    to A4 = 440 Hz. All pairs of `_STRETCHES` and `_CENTS` are tried. Each pair gives frequencies for the partials of the notes. The result
    is the pair for which the mean level at these frequencies, just after the onsets, is highest above the surrounding spectrum.
    """
    at = np.asarray(notes["onset_s"]) + _FIT_AFTER_S
    inside = np.flatnonzero(at * RATE_HZ < len(samples))
    if not len(inside):
        return 1.0, 0.0
    inside = inside[np.unique(np.linspace(0, len(inside) - 1, _FIT_NOTES).astype(int))]
    frames = np.round(at[inside] * RATE_HZ / HOP).astype(int)
    level = np.stack([10.0 * np.log10(_spectra(samples, np.array([frame]))[:, 0]) for frame in frames])
    level -= ndimage.uniform_filter1d(level, 31, axis=1)
    pitches = np.asarray(notes["pitch"])[inside].astype(int)
    scores = {}
    for stretch in _STRETCHES:
        for cents in _CENTS:
            found = []
            for pitch in np.unique(pitches):
                hz = _partial_hz(pitch, stretch, cents)
                hz = hz[(hz > _FIT_HZ[0]) & (hz < _FIT_HZ[1])]
                found += [np.interp(hz, _HZ, row) for row in level[pitches == pitch]]
            scores[stretch, cents] = np.concatenate(found).mean() if any(map(len, found)) else 0.0
    # Among equal scores, prefer the smallest detuning, then the smallest stretch.
    return max(scores, key=lambda key: (scores[key], -abs(key[1]), -key[0]))


def _partial_masks(notes, stretch, cents):
    """Return a dict of pitch to bool array (frequency,): the frequencies that belong to a partial of this pitch.

    `stretch` and `cents` are results of `_fit_tuning`.
    """
    masks = {}
    for pitch in np.unique(np.clip(notes["pitch"], LOWEST_PITCH, HIGHEST_PITCH)).astype(int):
        hz = _partial_hz(pitch, stretch, cents)
        masks[pitch] = (np.abs(_HZ[:, None] - hz) < _HALF_HZ + _HALF_SHARE * hz).any(axis=1)
    return masks


def _note_masks(notes, partials, frames):
    """Return masks of the frequencies and frames that contain notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    partials : dict of int to bool array (frequency,)
        Result of `_partial_masks`.
    frames : int array (frame,)
        Numbers of the frames; frame n is centred on sample n * `HOP`.

    Returns
    -------
    rising : bool array (frequency, frame)
        The frequency belongs to a partial of a note whose onset is close to this frame. Above `_DENSE_HZ`, any close onset suffices.
    held : bool array (frequency, frame)
        The frequency belongs to a partial of a note that sounds in this frame.
    onset : bool array (frame,)
        The frame is close to an onset.
    """
    rising, held = (np.zeros((len(_HZ), len(frames)), bool) for _ in range(2))
    onset = np.zeros(len(frames), bool)
    time_s = frames * HOP / RATE_HZ
    begin_s, rise_s = np.asarray(notes["onset_s"]) - _BEFORE_S, np.asarray(notes["onset_s"]) + _AFTER_S
    end_s = np.maximum(np.asarray(notes["sounding_offset_s"]) + _RELEASE_S, rise_s)
    for note in np.flatnonzero((end_s > time_s[0]) & (begin_s <= time_s[-1])):
        near = partials[int(notes["pitch"][note])]
        begin, risen, end = np.searchsorted(time_s, (begin_s[note], rise_s[note], end_s[note]))
        rising[near, begin:risen] = True
        held[near, begin:end] = True
        onset[begin:risen] = True
    rising[np.ix_(_HZ > _DENSE_HZ, onset)] = True
    return rising, held, onset


def _noise(power, between, within):
    """Estimate the mean power (frequency,) of steady noise; 0 if there are too few moments between the notes.

    Parameters
    ----------
    power : array (frequency, frame)
    between : bool array (frequency, frame)
        True if no note sounds at this frequency, no onset is close, and the window is inside the audio.
    within : bool array (frame,)
        True if the window is inside the audio.
    """
    moments = between.sum(axis=1)
    measured = moments >= _MIN_MOMENTS
    if not measured.any():
        return np.zeros(len(power))
    ordered = np.sort(np.where(between, power, np.inf), axis=1)
    quiet = ordered[np.arange(len(power)), np.minimum((_QUIET_SHARE * moments).astype(int), power.shape[1] - 1)]
    mean = np.interp(_HZ, _HZ[measured], (quiet / -np.log1p(-_QUIET_SHARE))[measured])
    # In dense music, reverberation fills the pauses between notes and would be measured as noise. Steady noise is also present in the
    # quietest frames, so their power is an upper limit.
    quietest = np.quantile(power[_FOREIGN_BAND][:, within].sum(axis=0), _QUIETEST_SHARE)
    return mean * min(1.0, quietest / max(mean[_FOREIGN_BAND].sum(), _FLOOR))


class _PowerLimit:
    """Maximum power that the notes explain in the current frame, for each frequency: struck partials, and the noise of onsets."""

    def __init__(self):
        self.struck, self.hammer = np.zeros(len(_HZ)), np.zeros(len(_HZ))

    def excess(self, power, rising, held, onset):
        """Return the power (frequency, frame) above the limit in the next frames, and update the limit.

        `rising`, `held` and `onset` are the masks of `_note_masks`.
        """
        kept, ended, hammered = (10.0 ** (-rate * HOP / RATE_HZ / 10.0) for rate in (_HELD_DB_S, _ENDED_DB_S, _HAMMER_DB_S))
        leak, distant, loudest = (10.0 ** (level / 10.0) for level in (_LEAK_DB, _DISTANT_DB, _HAMMER_DB))
        foreign, dense = np.empty_like(power), _HZ > _DENSE_HZ
        for frame in range(power.shape[1]):
            now = power[:, frame]
            self.struck *= np.where(held[:, frame] | dense, kept, ended)
            np.maximum(self.struck, now, out=self.struck, where=rising[:, frame])
            explained = np.minimum(now, _BEAT * ndimage.maximum_filter1d(self.struck, _BEAT_BINS))
            around = ndimage.uniform_filter1d(explained, _SURROUNDING_BINS, mode="nearest") + distant * explained.mean()
            self.hammer *= hammered
            if onset[frame]:
                np.maximum(self.hammer, loudest * around, out=self.hammer)
            foreign[:, frame] = np.maximum(now - explained - self.hammer - leak * _SURROUNDING_BINS * around, 0.0)
        return foreign
