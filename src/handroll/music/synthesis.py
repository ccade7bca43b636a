"""Audio of the synthetic piano: additive synthesis with inharmonic partials that beat and decay like those of a string.

Each note is a sum of damped sinusoids, two for each partial: the strings of a key are slightly out of tune, and one of them decays
slower (Weinreich 1977, doi:10.1121/1.381677). The noise of the hammer is added, the damper acts after the note's sounding end, and a
small room reverberates. Numbers without a source are handroll's own choice, by ear and by the accuracy of transcription engines.
"""

import numpy as np
from numba import njit
from scipy.signal import fftconvolve

from handroll.music.strings import inharmonicity, partials_hz

N_PARTIALS = 24

# Partials above this frequency are omitted, and those above this share of the sampling rate, which would alias.
_HIGHEST_HZ, _HIGHEST_SHARE = 16000.0, 0.45

# Position of the hammer as a share of the string's length: partials with a node there are weak.
_STRIKE_POINT = 1.0 / 8.0

# Amplitude is proportional to the number of the partial to the power of minus this.
_SLOPE = 1.0

# Frequency above the fundamental at which the amplitude falls to 1/e in addition, for velocity 0 and 127.
_BRIGHT_HZ = (900.0, 5000.0)

# Standard deviation of a partial's level between keys, from the resonances of the soundboard.
_UNEVEN_DB = 2.5

# Amplitude is proportional to velocity to this power.
_LOUDNESS_POWER = 1.7

# Pianos are tuned wider than equal temperament (Railsback 1938, doi:10.1121/1.1902089): cents by octaves from middle C.
_TUNING_OCTAVES, _TUNING_CENTS = np.array([-3.0, -1.0, 2.0, 4.0]), np.array([-12.0, -2.0, 3.0, 20.0])

# Standard deviations of a key from its pitch, and of a key's strings from each other.
_DETUNE_CENTS, _BEAT_CENTS = 1.5, 0.6

# Decay rate (1/s) of the fundamental of middle C, octaves in which it doubles, and addition per squared frequency.
_DECAY_HZ, _DECAY_OCTAVES, _DECAY_PER_HZ2 = 0.7, 1.6, 5e-8

# Decay rate of the slower string relative to the other, and its share of the amplitude.
_SLOW_DECAY, _SLOW_SHARE = 0.25, 0.3

_ATTACK_S = 0.0015

# Time constant of the damping; from `_UNDAMPED_PITCH` on a piano has no dampers.
_DAMPER_S = 0.045

_UNDAMPED_PITCH = 90

# Decays are computed for this many time constants.
_N_TIME_CONSTANTS = 7.0

_MAX_TONE_S = 8.0
_HAMMER_S, _HAMMER_HZ, _HAMMER_LEVEL = 0.012, 1800.0, 0.05

# Duration of the hammer's noise; by then it has decayed to 1e-36.
_STRIKE_S = 0.3

# Time constant and level of the room's reverberation.
_ROOM_S, _ROOM_LEVEL = 0.09, 0.05

# Time constant and level of the other strings, which resonate while the pedal is down.
_SYMPATHETIC_S, _SYMPATHETIC_LEVEL = 0.5, 0.03

# Standard deviation of the recording's noise.
_FLOOR = 1e-5

_PEAK = 0.6
_FADE_S = 0.02


def synthesise(notes, pedal, duration_s, seed, rate_hz=44100):
    """Synthesise notes on the synthetic piano.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`; a note is damped at its `sounding_offset_s`.
    pedal : dict of str to array (press,)
        `tables.PEDAL`; the other strings resonate while it is down.
    duration_s : float
        Duration of the result.
    seed : int
        Of the tuning and all noise.
    rate_hz : int

    Returns
    -------
    array (sample,), float32, mono, peak 0.6 (silence without notes); sample 0 is at time 0
    """
    rng = np.random.default_rng([seed, 88])
    cents = np.interp((np.arange(128) - 60) / 12.0, _TUNING_OCTAVES, _TUNING_CENTS) + rng.normal(0.0, _DETUNE_CENTS, 128)
    uneven_db = rng.normal(0.0, _UNEVEN_DB, (128, N_PARTIALS))
    n_samples = int(round(duration_s * rate_hz))
    dry = np.zeros(n_samples)
    keys = ("onset_s", "sounding_offset_s", "pitch", "velocity")
    for onset, offset, pitch, velocity in zip(*(np.asarray(notes[key], dtype=float) for key in keys), strict=True):
        tone = _tone(pitch, velocity, offset - onset, cents[int(pitch)], uneven_db[int(pitch)], rng, rate_hz)
        first = int(round(onset * rate_hz))
        tone = tone[: max(n_samples - first, 0)]
        dry[first : first + len(tone)] += tone
    samples = dry + _ROOM_LEVEL * fftconvolve(dry, _reverberation(_ROOM_S, rng, rate_hz))[:n_samples]
    time = np.arange(n_samples) / rate_hz
    lifted = np.zeros(n_samples)
    for down, up in zip(pedal["onset_s"], pedal["offset_s"], strict=True):
        during = slice(*np.searchsorted(time, (down, up)))
        lifted[during] += np.clip((time[during] - down) / _FADE_S, 0.0, 1.0) * np.clip((up - time[during]) / _FADE_S, 0.0, 1.0)
    if len(pedal["onset_s"]):
        samples += lifted * _SYMPATHETIC_LEVEL * fftconvolve(dry * lifted, _reverberation(_SYMPATHETIC_S, rng, rate_hz))[:n_samples]
    peak = np.abs(samples).max(initial=0.0)
    samples *= _PEAK / peak if peak > 0.0 else 0.0
    return (samples + _FLOOR * rng.standard_normal(n_samples) * (peak > 0.0)).astype(np.float32)


def _tone(pitch, velocity, held_s, cents, uneven_db, rng, rate_hz):
    """Synthesise one note (sample,) up to the end of its damping, at most 8 s."""
    octaves = (pitch - 60.0) / 12.0
    hardness = velocity / 127.0
    fundamental = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0 + cents / 1200.0)
    k = np.arange(1, N_PARTIALS + 1)
    frequency = partials_hz(fundamental, inharmonicity(pitch), N_PARTIALS)
    kept = frequency < min(_HIGHEST_HZ, _HIGHEST_SHARE * rate_hz)
    k, frequency = k[kept], frequency[kept]

    bright = _BRIGHT_HZ[0] + (_BRIGHT_HZ[1] - _BRIGHT_HZ[0]) * hardness**2
    amplitude = np.exp(-(frequency - fundamental) / (bright + fundamental)) * (0.15 + np.abs(np.sin(np.pi * k * _STRIKE_POINT))) / k**_SLOPE
    # Low strings sound mostly at their higher partials: the soundboard radiates little below 100 Hz.
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
    """Sum (sample,) of amplitude * decay^n * sin(step_rad * n), by two-pole resonators excited at sample 0."""
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
    """First-order low-pass of a signal (sample,)."""
    share = 1.0 - np.exp(-2.0 * np.pi * cutoff_hz / rate_hz)
    out, state = np.empty_like(signal), 0.0
    for n in range(len(signal)):
        state += share * (signal[n] - state)
        out[n] = state
    return out


def _reverberation(time_constant_s, rng, rate_hz):
    """Impulse response (sample,) of a diffuse reverberation with an initial energy of 1 per 10 ms."""
    time = np.arange(int(_N_TIME_CONSTANTS * time_constant_s * rate_hz)) / rate_hz
    noise = rng.standard_normal(len(time)) * np.exp(-time / time_constant_s)
    return _low_passed(noise, 3000.0, rate_hz) / np.sqrt(0.01 * rate_hz)
