"""Audio of the synthetic piano: additive synthesis with inharmonic partials that beat and decay like those of piano strings.

Each note is a sum of damped sinusoids, two for each partial: the strings of a key are slightly out of tune, and one of them decays more
slowly (Weinreich 1977, doi:10.1121/1.381677). Hammer noise is added, the damper acts after the note's sounding end, and a small room
reverberates. Values without a source were chosen by listening and by the accuracy of transcription engines.
"""

import numpy as np
from numba import njit
from scipy.signal import fftconvolve

from handroll.music.strings import inharmonicity, partials_hz

N_PARTIALS = 24
"""Number of partials of a note."""

# Maximum frequency of a partial, Hz. Higher partials are omitted.
_HIGHEST_HZ = 16000.0

# Maximum frequency of a partial, as a share of the sampling rate. Higher partials are omitted to avoid aliasing.
_HIGHEST_SHARE = 0.45

# Position at which the hammer strikes, as a share of the string's length. Partials with a node there are weak.
_STRIKE_POINT = 1.0 / 8.0

# The amplitude of partial k is proportional to k to the power of -`_SLOPE`.
_SLOPE = 1.0

# In addition, the amplitude of partials decays exponentially with their distance from the fundamental, Hz. It falls to 1/e over a distance
# that is the sum of the fundamental and a value that increases with the velocity, from the first value here (velocity 0) to the second
# (velocity 127).
_BRIGHT_HZ = (900.0, 5000.0)

# Standard deviation of the random level of each partial of each key, dB. It imitates the resonances of the soundboard.
_UNEVEN_DB = 2.5

# The amplitude of a note is proportional to its velocity to this power.
_LOUDNESS_POWER = 1.7

# Distances from middle C, in octaves, at which `_TUNING_CENTS` gives the tuning.
_TUNING_OCTAVES = np.array([-3.0, -1.0, 2.0, 4.0])

# Tuning relative to equal temperament at `_TUNING_OCTAVES`, cents. The octaves of pianos are tuned wider than in equal temperament
# (Railsback 1938, doi:10.1121/1.1902089).
_TUNING_CENTS = np.array([-12.0, -2.0, 3.0, 20.0])

# Standard deviation of the tuning of a key, cents.
_DETUNE_CENTS = 1.5

# Standard deviation of the tuning difference between the two strings of a key, cents. The strings beat.
_BEAT_CENTS = 0.6

# Part of the decay rate of a partial that depends on the key: its value for middle C, 1/s.
_DECAY_HZ = 0.7

# Number of octaves over which the part of the decay rate that depends on the key doubles.
_DECAY_OCTAVES = 1.6

# Part of the decay rate of a partial that depends on its frequency, per squared frequency, 1/s per Hz^2.
_DECAY_PER_HZ2 = 5e-8

# Decay rate of the slower string of a key, as a share of that of the other string.
_SLOW_DECAY = 0.25

# Amplitude of the slower string of a key, as a share of the total amplitude.
_SLOW_SHARE = 0.3

# Duration of the linear attack of a note, seconds.
_ATTACK_S = 0.0015

# Time constant of the damping of middle C, seconds; it decreases with the pitch.
_DAMPER_S = 0.045

# Lowest MIDI pitch without a damper.
_UNDAMPED_PITCH = 90

# Number of time constants over which exponential decays are computed.
_N_TIME_CONSTANTS = 7.0

# Maximum duration of a note, seconds.
_MAX_TONE_S = 8.0

# The time constant of the hammer noise is 0.3 times this value, seconds.
_HAMMER_S = 0.012

# Cutoff frequency of the low-pass of the hammer noise, Hz.
_HAMMER_HZ = 1800.0

# Standard deviation of the hammer noise at its start, before its low-pass, for velocity 127. For this velocity, the norm of the amplitudes
# of the partials is 1. The noise is proportional to the squared velocity.
_HAMMER_LEVEL = 0.05

# Duration of the computed hammer noise, seconds. At its end the noise has decayed to 1e-36.
_STRIKE_S = 0.3

# Time constant of the reverberation of the room, seconds.
_ROOM_S = 0.09

# Level of the reverberation of the room: factor of the convolution with `_reverberation`.
_ROOM_LEVEL = 0.05

# Time constant of the resonance of the other strings while the pedal is down, seconds.
_SYMPATHETIC_S = 0.5

# Level of the resonance of the other strings while the pedal is down: factor of the convolution with `_reverberation`.
_SYMPATHETIC_LEVEL = 0.03

# Standard deviation of the background noise, relative to full scale.
_FLOOR = 1e-5

# Peak of the result, relative to full scale.
_PEAK = 0.6

# Duration of the fade-out of a note, and of the fades at pedal presses and releases, seconds.
_FADE_S = 0.02

# Number of samples that are convolved at once. Longer audio is summed in single precision, to save memory.
_BLOCK_SAMPLES = 1 << 25


def synthesise(notes, pedal, duration_s, seed, rate_hz=44100):
    """Synthesise the audio of notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`; a note is damped at its `sounding_offset_s`.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`; other strings resonate while the pedal is down.
    duration_s : float
        Duration of the result, s.
    seed : int
        Random seed of the tuning and of all noise.
    rate_hz : int

    Returns
    -------
    float32 array (sample,)
        Mono, peak 0.6, silence without notes; sample 0 is at time 0.
    """
    rng = np.random.default_rng([seed, 88])
    cents = np.interp((np.arange(128) - 60) / 12.0, _TUNING_OCTAVES, _TUNING_CENTS) + rng.normal(0.0, _DETUNE_CENTS, 128)
    uneven_db = rng.normal(0.0, _UNEVEN_DB, (128, N_PARTIALS))
    n_samples = int(round(duration_s * rate_hz))
    dry = np.zeros(n_samples, dtype=np.float64 if n_samples <= _BLOCK_SAMPLES else np.float32)
    keys = ("onset_s", "sounding_offset_s", "pitch", "velocity")
    for onset, offset, pitch, velocity in zip(*(np.asarray(notes[key], dtype=float) for key in keys), strict=True):
        tone = _tone(pitch, velocity, offset - onset, cents[int(pitch)], uneven_db[int(pitch)], rng, rate_hz)
        first = int(round(onset * rate_hz))
        tone = tone[: max(n_samples - first, 0)]
        dry[first : first + len(tone)] += tone
    samples = dry.copy()
    for block, wet in _convolved(dry, _reverberation(_ROOM_S, rng, rate_hz)):
        samples[block] += _ROOM_LEVEL * wet
    if len(pedal["onset_s"]):
        lifted = np.zeros_like(dry)
        for down, up in zip(pedal["onset_s"], pedal["offset_s"], strict=True):
            first, end = max(int(down * rate_hz) - 1, 0), min(int(up * rate_hz) + 2, n_samples)
            time = np.arange(first, end) / rate_hz
            during = slice(*np.searchsorted(time, (down, up)))
            rise = np.clip((time[during] - down) / _FADE_S, 0.0, 1.0) * np.clip((up - time[during]) / _FADE_S, 0.0, 1.0)
            lifted[first:end][during] += rise
        dry *= lifted
        for block, wet in _convolved(dry, _reverberation(_SYMPATHETIC_S, rng, rate_hz)):
            samples[block] += lifted[block] * _SYMPATHETIC_LEVEL * wet
    peak = max(samples.max(initial=0.0), -samples.min(initial=0.0))
    samples *= _PEAK / peak if peak > 0.0 else 0.0
    out = np.empty(n_samples, dtype=np.float32)
    for block in _blocks(n_samples):
        out[block] = samples[block] + _FLOOR * rng.standard_normal(block.stop - block.start) * (peak > 0.0)
    return out


def _blocks(n_samples):
    """List consecutive slices of at most `_BLOCK_SAMPLES` samples."""
    return [slice(first, min(first + _BLOCK_SAMPLES, n_samples)) for first in range(0, n_samples, _BLOCK_SAMPLES)]


def _convolved(signal, response):
    """Convolve a signal (sample,) with an impulse response, block by block. Yields each slice and its samples; the tail is cut off."""
    tail = np.zeros(len(response) - 1)
    for block in _blocks(len(signal)):
        wet = fftconvolve(signal[block].astype(np.float64, copy=False), response)
        if block.start:
            wet[: len(tail)] += tail[: len(wet)]
        tail = wet[block.stop - block.start :].copy()
        yield block, wet[: block.stop - block.start]


def _tone(pitch, velocity, held_s, cents, uneven_db, rng, rate_hz):
    """Synthesise the samples (sample,) of one note up to the end of its damping, at most `_MAX_TONE_S`.

    `held_s` is the time from the onset to the sounding end. `cents` is the tuning of the key relative to equal temperament. `uneven_db`
    (partial,) contains the levels of the partials, dB.
    """
    octaves = (pitch - 60.0) / 12.0
    hardness = velocity / 127.0
    fundamental = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0 + cents / 1200.0)
    k = np.arange(1, N_PARTIALS + 1)
    frequency = partials_hz(fundamental, inharmonicity(pitch), N_PARTIALS)
    kept = frequency < min(_HIGHEST_HZ, _HIGHEST_SHARE * rate_hz)
    k, frequency = k[kept], frequency[kept]

    bright = _BRIGHT_HZ[0] + (_BRIGHT_HZ[1] - _BRIGHT_HZ[0]) * hardness**2
    amplitude = np.exp(-(frequency - fundamental) / (bright + fundamental)) * (0.15 + np.abs(np.sin(np.pi * k * _STRIKE_POINT))) / k**_SLOPE
    # The soundboard radiates little below 100 Hz, so low strings sound mostly at their higher partials.
    amplitude *= 1.0 / (1.0 + (70.0 / frequency) ** 2)
    amplitude *= 10.0 ** (uneven_db[: len(k)] / 20.0)
    amplitude *= hardness**_LOUDNESS_POWER / np.sqrt(np.sum(amplitude**2))
    rate = _DECAY_HZ * 2.0 ** (octaves / _DECAY_OCTAVES) + _DECAY_PER_HZ2 * frequency**2

    beat = 2.0 ** (rng.normal(0.0, _BEAT_CENTS, len(k)) / 1200.0)
    frequency = np.concatenate([frequency, frequency * beat])
    amplitude = np.concatenate([(1.0 - _SLOW_SHARE) * amplitude, _SLOW_SHARE * amplitude])
    rate = np.concatenate([rate, _SLOW_DECAY * rate])
    damper = _DAMPER_S * 2.0 ** (-0.5 * octaves)
    duration_s = _MAX_TONE_S if pitch >= _UNDAMPED_PITCH else min(held_s + _N_TIME_CONSTANTS * damper, _MAX_TONE_S)
    duration_s = min(duration_s, _N_TIME_CONSTANTS / rate.min())
    tone = _damped_sines(2.0 * np.pi * frequency / rate_hz, amplitude, np.exp(-rate / rate_hz), int(duration_s * rate_hz))

    time = np.arange(len(tone)) / rate_hz
    noise, brief = rng.standard_normal(len(tone)), int(_STRIKE_S * rate_hz)
    strike = noise[:brief] * np.exp(-time[:brief] / (0.3 * _HAMMER_S)) * hardness
    tone[:brief] += _HAMMER_LEVEL * hardness * _low_passed(strike, _HAMMER_HZ, rate_hz)
    attack, released = np.searchsorted(time, (_ATTACK_S, held_s))
    tone[:attack] *= time[:attack] / _ATTACK_S
    if pitch < _UNDAMPED_PITCH:
        tone[released:] *= np.exp(-(time[released:] - held_s) / damper)
    fade = min(int(_FADE_S * rate_hz), len(tone))
    tone[len(tone) - fade :] *= np.linspace(1.0, 0.0, fade)
    return tone


@njit(cache=True, fastmath=True)
def _damped_sines(step_rad, amplitude, decay, n_samples):
    """Return the sum over all sinusoids of amplitude * decay^n * sin(step_rad * n), for the samples n, array (sample,).

    `step_rad`, `amplitude` and `decay` are arrays (sinusoid,). Two-pole resonators compute the sinusoids.
    """
    total = np.zeros(n_samples)
    now = np.zeros(len(step_rad))
    before = -amplitude * np.sin(step_rad) / decay
    twice_cos, square = 2.0 * decay * np.cos(step_rad), decay**2
    for n in range(n_samples):
        summed = 0.0
        for i in range(len(now)):
            summed += now[i]
            following = twice_cos[i] * now[i] - square[i] * before[i]
            before[i] = now[i]
            now[i] = following
        total[n] = summed
    return total


@njit(cache=True)
def _low_passed(signal, cutoff_hz, rate_hz):
    """Apply a first-order low-pass to a signal (sample,)."""
    share = 1.0 - np.exp(-2.0 * np.pi * cutoff_hz / rate_hz)
    out, state = np.empty_like(signal), 0.0
    for n in range(len(signal)):
        state += share * (signal[n] - state)
        out[n] = state
    return out


def _reverberation(time_constant_s, rng, rate_hz):
    """Return the impulse response (sample,) of a diffuse reverberation whose initial energy is 1 per 10 ms."""
    time = np.arange(int(_N_TIME_CONSTANTS * time_constant_s * rate_hz)) / rate_hz
    noise = rng.standard_normal(len(time)) * np.exp(-time / time_constant_s)
    return _low_passed(noise, 3000.0, rate_hz) / np.sqrt(0.01 * rate_hz)
