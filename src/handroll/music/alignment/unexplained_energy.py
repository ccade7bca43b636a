"""Unexplained energy: the part of a piano recording's power that its notes do not explain, over time.

Unexplained power comes from another sound or from a missed note. A struck string sounds only at its partials, is loudest at its
onset, and decays. So each frequency of the spectrogram has a power limit. The limit may rise only at onsets, at first in all
frequencies (hammer, soundboard, room). From then on it falls: slowly at the partials of a sounding note, fast elsewhere. Power above
the limit is foreign. It is between the partials, or on them where it rises without an onset, as in bowed, blown and sung tones,
speech, drums and passing noise. Steady noise is measured separately, from the quiet moments between partials (minimum statistics:
Martin 2001, doi:10.1109/89.928915). Moments close to onsets are not counted.

Numbers without a source were chosen on mixtures of other sounds with synthetic, sampled and recorded pianos
(`evaluation/screen_sound.py`, its set "tuning").

Not detected: instruments whose notes are transcribed as the piano's own, above all plucked ones; quiet sounds behind fast or dense
music, which leaves little room between partials and between onsets. A note that the transcription misses counts as foreign.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import fft, ndimage

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.strings import fundamental_hz, inharmonicity, partials_hz

RATE_HZ = 22_050
"""Sampling rate of the analysis; frequencies above half of it are ignored."""

WINDOW, HOP = 2048, 512
"""Length of a Hann window and distance of successive windows, samples: 93 and 23 ms."""

SPAN_S = 2.0
"""Foreign power is averaged over spans of this length."""

# Spectra are computed for this many spans at a time, so that memory does not grow with the recording.
_BLOCK_SPANS = 30

# Lowest frequencies of the total power and of foreign power and noise. Between them, keys, pedals and actions thud up to 0.3 s after
# the onset (on a recording of a keyboard in a room, 24 dB below the tone).
_LOWEST_HZ, _LOWEST_FOREIGN_HZ = 100.0, 350.0

_PARTIALS = 60
_STRETCHES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)

# Candidates of the fit: factor of the inharmonicity, and tuning relative to A4 = 440 Hz. Transcription engines round to the nearest
# semitone.
_CENTS = np.arange(-48.0, 49.0, 8.0)

# The fit uses partials in this range, of at most this many notes, this long after their onsets.
_FIT_HZ, _FIT_NOTES, _FIT_AFTER_S = (150.0, 3500.0), 200, 0.08

# Half width of a partial: the window's main lobe (21.5 Hz), and some detuning as a share of the frequency.
_HALF_HZ, _HALF_SHARE = 30.0, 0.008

# Duration of a note's onset before and after its time: half a window, and the rise.
_BEFORE_S, _AFTER_S = 0.07, 0.09

# A note's partials count as held for this long after its damping.
_RELEASE_S = 0.05

# Minimum decay rates, dB a second: of a held note, of one that has ended (a room with 2.4 s of reverberation), of an onset's noise.
_HELD_DB_S, _ENDED_DB_S, _HAMMER_DB_S = 3.0, 25.0, 40.0

# Maximum power of an onset between the partials, relative to the mean of the surrounding frequencies.
_HAMMER_DB = 0.0

# Above this frequency the partials of all notes are dense and their frequencies uncertain: every onset may raise every frequency.
_DENSE_HZ = 1800.0

# Strings beat: power may return up to this factor.
_BEAT = 10.0

# Partials within this many frequency bins (54 Hz) beat with each other: the limit of one applies to its neighbours too.
_BEAT_BINS = 5

# An onset's noise and leakage are assumed constant over this many frequency bins (0.66 kHz).
_SURROUNDING_BINS = 61

# Leakage of a window relative to the surrounding power, and relative to the mean over all frequencies.
_LEAK_DB, _DISTANT_DB = -45.0, -20.0

# Noise is measured at this quantile of a frequency's power over time. The mean noise follows from the exponential distribution.
_QUIET_SHARE = 0.1

# Quantile of the power over all moments; it is an upper limit of the noise.
_QUIETEST_SHARE = 0.02

# Power counts where it exceeds the mean noise by this factor, which 2 % of noise does.
_NOISE_MARGIN = 4.0

# The noise of frequencies with fewer moments between the notes is interpolated from their neighbours.
_MIN_MOMENTS = 10

_FLOOR = 1e-14


@dataclass(frozen=True)
class UnexplainedEnergy:
    """Power of a recording that its notes do not explain, for each span (`SPAN_S`).

    Attributes
    ----------
    start_s : array (span,), s
    counted : array (span,), 0..1
        Share of the span that is far enough from onsets to be counted.
    power : array (span,)
        Mean power of the audio above 100 Hz in the counted moments, in the samples' unit squared; 0 where nothing is counted.
    foreign : array (span,)
        Part of this power, above 350 Hz, that the notes do not explain.
    noise : array (span,)
        Part of this power, above 350 Hz, that is steady noise.
    """

    start_s: np.ndarray
    counted: np.ndarray
    power: np.ndarray
    foreign: np.ndarray
    noise: np.ndarray


def measure_unexplained_energy(samples, rate_hz, notes):
    """Measure the power that notes leave unexplained.

    Parameters
    ----------
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    notes : dict of str to array (note,)
        `tables.NOTES`: transcribed from this audio, or given and checked against it.

    Returns
    -------
    UnexplainedEnergy
        Of all spans that begin within the audio; none without samples.
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
    """Power (frequency, frame) of windows centred on samples frame * HOP; silence outside the audio."""
    start, stop = frames[0] * HOP - WINDOW // 2, frames[-1] * HOP + WINDOW // 2
    padded = np.zeros(stop - start, np.float32)
    part = samples[max(start, 0) : stop]
    padded[max(-start, 0) :][: len(part)] = part
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.maximum(np.abs(fft.rfft(windows * _HANN, axis=1)).T ** 2, _FLOOR)


def _partial_hz(pitch, stretch, cents):
    """Frequencies (partial,) of a string's partials, up to half the sampling rate."""
    hz = partials_hz(fundamental_hz(pitch, cents), inharmonicity(pitch, stretch), _PARTIALS)
    return hz[hz < _HZ[-1]]


def _fit_tuning(samples, notes):
    """Fit (stretch, cents): the partials of the notes exceed the surrounding spectrum most, just after the onsets."""
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
    # Among equal scores, the one with the smallest detuning, then the smallest stretch.
    return max(scores, key=lambda key: (scores[key], -abs(key[1]), -key[0]))


def _partial_masks(notes, stretch, cents):
    """Masks (frequency,) of the partials of each pitch of the notes, by pitch."""
    masks = {}
    for pitch in np.unique(np.clip(notes["pitch"], LOWEST_PITCH, HIGHEST_PITCH)).astype(int):
        hz = _partial_hz(pitch, stretch, cents)
        masks[pitch] = (np.abs(_HZ[:, None] - hz) < _HALF_HZ + _HALF_SHARE * hz).any(axis=1)
    return masks


def _note_masks(notes, partials, frames):
    """Masks of rising and of held partials, bool (frequency, frame), and of frames near an onset, bool (frame,)."""
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
    """Estimate the mean power (frequency,) of steady noise; 0 without moments between the notes.

    Parameters
    ----------
    power : array (frequency, frame)
    between : bool array (frequency, frame)
        No note sounds at this frequency.
    within : bool array (frame,)
        The window is inside the audio.
    """
    moments = between.sum(axis=1)
    measured = moments >= _MIN_MOMENTS
    if not measured.any():
        return np.zeros(len(power))
    ordered = np.sort(np.where(between, power, np.inf), axis=1)
    quiet = ordered[np.arange(len(power)), np.minimum((_QUIET_SHARE * moments).astype(int), power.shape[1] - 1)]
    mean = np.interp(_HZ, _HZ[measured], (quiet / -np.log1p(-_QUIET_SHARE))[measured])
    # Reverberation of dense music fills the gaps between notes. Steady noise is present in the quietest moment too, which limits it.
    quietest = np.quantile(power[_FOREIGN_BAND][:, within].sum(axis=0), _QUIETEST_SHARE)
    return mean * min(1.0, quietest / max(mean[_FOREIGN_BAND].sum(), _FLOOR))


class _PowerLimit:
    """Power limit (frequency,) from the notes up to now: partials that were struck, and the noise of onsets."""

    def __init__(self):
        self.struck, self.hammer = np.zeros(len(_HZ)), np.zeros(len(_HZ))

    def excess(self, power, rising, held, onset):
        """Compute the power (frequency, frame) above the limit in the next frames, and update the limit."""
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
