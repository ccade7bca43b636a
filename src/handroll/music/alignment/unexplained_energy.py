"""How much of a piano recording its notes explain: what is left over, moment by moment, is another sound or a missed note.

A struck string sounds at its partials alone, loudest at once, and dies away. So each frequency of the spectrogram is allowed
a power that may rise only at onsets, at first in all frequencies (hammer, soundboard, room), and from then on has to fall:
slowly at the partials of a note that sounds, fast elsewhere. Power above what is allowed is foreign: between the partials, or
upon them where it rises without an onset, as bowed, blown and sung tones, speech, drums and passing noise do. Steady
noise is measured by itself, as the quiet moments between partials (minimum statistics: Martin 2001,
doi:10.1109/89.928915). Close around onsets nothing is counted.

Numbers without a source were chosen on mixtures of other sounds into synthetic, sampled and recorded pianos
(`evaluation/screen_sound.py`, its set "tuning").

Not seen by this: instruments whose notes the transcriber takes for the piano's own, most of all plucked ones, and quiet sound
behind fast or dense music, where little lies between the partials and between the onsets. A note that the transcriber missed
counts as foreign.
"""

from dataclasses import dataclass

import numpy as np
import soxr
from scipy import fft, ndimage

from handroll.music.notes import HIGHEST_PITCH, LOWEST_PITCH

RATE_HZ = 22_050
"""Sound is looked at up to half this frequency."""
WINDOW, HOP = 2048, 512
"""Samples of a Hann window and from one to the next: 93 and 23 ms."""
SPAN_S = 2.0
"""Seconds over which foreign power is added up."""

_BLOCK_SPANS = 30
# Spectra are made for so many spans at a time, so that memory does not grow with the recording.
_LOWEST_HZ, _JUDGED_HZ = 100.0, 350.0
# Sound is heard from the first on; foreign sound and noise are looked for from the second on: keys, pedals and actions thud below it,
# up to 0.3 s after the onset (on a recording of a keyboard in a room, 24 dB below the sound).
_PARTIALS = 60
_INHARMONICITY, _INHARMONICITY_OCTAVES = 2e-4, 0.75
# Of middle C, and octaves in which it doubles above C3 (Fletcher 1964, doi:10.1121/1.1918971); times a factor fitted to each recording.
_STRETCHES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_CENTS = np.arange(-48.0, 49.0, 8.0)
# Fitted: inharmonicity against Fletcher's, and tuning against A4 = 440 Hz. Transcribers round to the nearest semitone.
_FIT_HZ, _FIT_NOTES, _FIT_AFTER_S = (150.0, 3500.0), 200, 0.08
# By partials in this range, of at most so many notes, so long after their onsets.
_HALF_HZ, _HALF_SHARE = 30.0, 0.008
# Half width of a partial: the window's main lobe (21.5 Hz) and some detuning.
_BEFORE_S, _AFTER_S = 0.07, 0.09
# A note sets in within these around its time: half a window, and the rise.
_RELEASE_S = 0.05
# A note's partials count as held for so long after its damping.
_HELD_DB_S, _ENDED_DB_S, _HAMMER_DB_S = 3.0, 25.0, 40.0
# Least rates of decay: of a held note, of one that has ended (a room with 2.4 s of reverberation), of an onset's noise.
_HAMMER_DB = 0.0
# What an onset may bring between the partials, against the mean around.
_DENSE_HZ = 1800.0
# Above, partials of all notes lie side by side and their places are uncertain: every onset may raise every frequency.
_BEAT = 10.0
# Strings beat: power may come back up to this factor.
_BESIDE = 5
# Partials so many frequencies wide (54 Hz) beat with one another: what one of them allows, its neighbours may take.
_AROUND = 61
# Frequencies (0.66 kHz) over which an onset's noise and leakage are taken to be alike.
_LEAK_DB, _DISTANT_DB = -45.0, -20.0
# Leakage of a window against the power around it, and against the mean of all.
_QUIET_SHARE = 0.1
# Noise is seen in this quietest share of a frequency's moments; its mean is larger by the exponential distribution's quantile.
_QUIETEST_SHARE = 0.02
# Of all moments; their power bounds the noise.
_NOISE_MARGIN = 4.0
# Power has to be so many times the mean noise to count: 2 % of noise is.
_LEAST_MOMENTS = 10
# Noise of frequencies with fewer moments between the notes is taken from their neighbours.
_FLOOR = 1e-14


@dataclass(frozen=True)
class Explained:
    """What a recording's notes explain, span by span (`SPAN_S`).

    Attributes
    ----------
    start_s : array (span,), s
    counted : array (span,), 0..1
        Share of the span that is far enough from onsets to be counted.
    power : array (span,)
        Mean power of the sound above 100 Hz while it is counted, in the samples' unit squared; 0 where nothing is counted.
    foreign : array (span,)
        Of this, above 350 Hz, what the notes do not explain.
    noise : array (span,)
        Of this, above 350 Hz, steady noise.
    """

    start_s: np.ndarray
    counted: np.ndarray
    power: np.ndarray
    foreign: np.ndarray
    noise: np.ndarray


def explain(samples, rate_hz, notes):
    """Measure what notes leave unexplained.

    Parameters
    ----------
    samples : float array (sample,)
        Mono; sample 0 is time 0.
    rate_hz : int
    notes : dict of str to array (note,)
        `tables.NOTES`: transcribed from this sound, or given and known to be its own.

    Returns
    -------
    Explained
        Spans that begin within the sound; without samples there is none.
    """
    samples = np.asarray(samples, np.float32)
    if rate_hz != RATE_HZ and len(samples):
        samples = soxr.resample(samples, rate_hz, RATE_HZ)
    frames_a_span = round(SPAN_S * RATE_HZ / HOP)
    spans = -(-len(samples) // (frames_a_span * HOP))
    partials = {} if not spans else _partials_of(notes, *_fit(samples, notes))
    allowed = _Allowed()
    rows = []
    for first in range(0, spans, _BLOCK_SPANS):
        number = min(_BLOCK_SPANS, spans - first)
        frames = np.arange(first * frames_a_span, (first + number) * frames_a_span)
        power = _spectra(samples, frames)
        rising, held, onset = _played(notes, partials, frames)
        within = (frames >= 2) & (frames * HOP + WINDOW // 2 < len(samples))
        noise = _noise(power, ~(held | onset) & within, within)
        foreign = np.maximum(allowed.exceeded(power, rising, held, onset) - _NOISE_MARGIN * noise[:, None], 0.0)
        free = (~onset & within).reshape(number, -1)
        counts = np.maximum(free.sum(axis=1), 1)
        totals = (
            (values[judged].sum(axis=0).reshape(number, -1) * free).sum(axis=1) / counts
            for values, judged in ((power, _HEARD), (foreign, _JUDGED))
        )
        steady = np.full(number, noise[_JUDGED].sum()) * free.any(axis=1)
        rows.append((free.mean(axis=1), *totals, steady))
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)] if rows else [np.zeros(0)] * 4
    return Explained(np.arange(spans) * frames_a_span * HOP / RATE_HZ, *columns)


_HZ = np.fft.rfftfreq(WINDOW, 1.0 / RATE_HZ)
_HEARD, _JUDGED = _HZ > _LOWEST_HZ, _HZ > _JUDGED_HZ
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_HANN /= np.sqrt(np.sum(_HANN**2) * WINDOW / 2.0)


def _spectra(samples, frames):
    """Power (frequency, frame) of windows whose middles are at samples frame * HOP; silence around the sound."""
    start, stop = frames[0] * HOP - WINDOW // 2, frames[-1] * HOP + WINDOW // 2
    padded = np.zeros(stop - start, np.float32)
    part = samples[max(start, 0) : stop]
    padded[max(-start, 0) :][: len(part)] = part
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.maximum(np.abs(fft.rfft(windows * _HANN, axis=1)).T ** 2, _FLOOR)


def _partial_hz(pitch, stretch, cents):
    """Frequencies (partial,) of a string, up to the highest that is looked at."""
    number = np.arange(1, _PARTIALS + 1)
    stiff = stretch * _INHARMONICITY * 2.0 ** (max((pitch - 60) / 12.0, -1.0) / _INHARMONICITY_OCTAVES)
    hz = 440.0 * 2.0 ** ((pitch - 69 + cents / 100.0) / 12.0) * number * np.sqrt((1.0 + stiff * number**2) / (1.0 + stiff))
    return hz[hz < _HZ[-1]]


def _fit(samples, notes):
    """(stretch, cents) at which the partials of the notes stand out most from around them, just after the onsets."""
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
    # Of equals the least stretched and detuned.
    return max(scores, key=lambda key: (scores[key], -abs(key[1]), -key[0]))


def _partials_of(notes, stretch, cents):
    """Which frequencies (frequency,) belong to each pitch that is played."""
    found = {}
    for pitch in np.unique(np.clip(notes["pitch"], LOWEST_PITCH, HIGHEST_PITCH)).astype(int):
        hz = _partial_hz(pitch, stretch, cents)
        found[pitch] = (np.abs(_HZ[:, None] - hz) < _HALF_HZ + _HALF_SHARE * hz).any(axis=1)
    return found


def _played(notes, partials, frames):
    """Where partials set in and are held, bool (frequency, frame), and which frames are near an onset, bool (frame,)."""
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
    """Mean power (frequency,) of steady noise, seen between the notes (bool, frequency by frame) within the sound; 0 where nowhere."""
    moments = between.sum(axis=1)
    seen = moments >= _LEAST_MOMENTS
    if not seen.any():
        return np.zeros(len(power))
    ordered = np.sort(np.where(between, power, np.inf), axis=1)
    quiet = ordered[np.arange(len(power)), np.minimum((_QUIET_SHARE * moments).astype(int), power.shape[1] - 1)]
    mean = np.interp(_HZ, _HZ[seen], (quiet / -np.log1p(-_QUIET_SHARE))[seen])
    # Behind dense music, reverberation fills the gaps. Noise is there all the time, so the quietest moment has no less of it.
    least = np.quantile(power[_JUDGED][:, within].sum(axis=0), _QUIETEST_SHARE)
    return mean * min(1.0, least / max(mean[_JUDGED].sum(), _FLOOR))


class _Allowed:
    """The power (frequency,) that the notes up to now allow: at partials that were struck, and from the noise of onsets."""

    def __init__(self):
        self.struck, self.hammer = np.zeros(len(_HZ)), np.zeros(len(_HZ))

    def exceeded(self, power, rising, held, onset):
        """What exceeds it, (frequency, frame), of the next frames."""
        kept, ended, hammered = (10.0 ** (-rate * HOP / RATE_HZ / 10.0) for rate in (_HELD_DB_S, _ENDED_DB_S, _HAMMER_DB_S))
        leak, distant, loudest = (10.0 ** (level / 10.0) for level in (_LEAK_DB, _DISTANT_DB, _HAMMER_DB))
        foreign, dense = np.empty_like(power), _HZ > _DENSE_HZ
        for frame in range(power.shape[1]):
            now = power[:, frame]
            self.struck *= np.where(held[:, frame] | dense, kept, ended)
            np.maximum(self.struck, now, out=self.struck, where=rising[:, frame])
            explained = np.minimum(now, _BEAT * ndimage.maximum_filter1d(self.struck, _BESIDE))
            around = ndimage.uniform_filter1d(explained, _AROUND, mode="nearest") + distant * explained.mean()
            self.hammer *= hammered
            if onset[frame]:
                np.maximum(self.hammer, loudest * around, out=self.hammer)
            foreign[:, frame] = np.maximum(now - explained - self.hammer - leak * _AROUND * around, 0.0)
        return foreign
