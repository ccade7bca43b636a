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

# Partials are omitted above this frequency, and above this share of the sampling rate, to avoid aliasing.
_HIGHEST_HZ, _HIGHEST_SHARE = 16000.0, 0.45

# Position at which the hammer strikes, as a share of the string's length. Partials with a node there are weak.
_STRIKE_POINT = 1.0 / 8.0

# The amplitude of partial k is proportional to k to the power of -`_SLOPE`.
_SLOPE = 1.0

# In addition, the amplitude of partials decays exponentially with their distance from the fundamental. It falls to 1/e over a distance of
# the fundamental plus this value, Hz: the first value is for velocity 0, the second for velocity 127.
_BRIGHT_HZ = (900.0, 5000.0)

# Standard deviation of the random level of each partial of each key, dB. It imitates the resonances of the soundboard.
_UNEVEN_DB = 2.5

# The amplitude of a note is proportional to its velocity to this power.
_LOUDNESS_POWER = 1.7

# Tuning relative to equal temperament: cents at these distances from middle C, in octaves. The octaves of pianos are tuned wider than in
# equal temperament (Railsback 1938, doi:10.1121/1.1902089).
_TUNING_OCTAVES, _TUNING_CENTS = np.array([-3.0, -1.0, 2.0, 4.0]), np.array([-12.0, -2.0, 3.0, 20.0])

# Standard deviations, cents: of the tuning of a key, and of the tuning difference between the strings of a key.
_DETUNE_CENTS, _BEAT_CENTS = 1.5, 0.6

# Decay rate of partials: the rate of the fundamental of middle C (1/s), the number of octaves over which this rate doubles, and the term
# that is added per squared frequency (1/s per Hz^2).
_DECAY_HZ, _DECAY_OCTAVES, _DECAY_PER_HZ2 = 0.7, 1.6, 5e-8

# Decay rate of the slower string relative to the other string, and share of the amplitude of the slower string.
_SLOW_DECAY, _SLOW_SHARE = 0.25, 0.3

# Duration of the linear attack of a note, seconds.
_ATTACK_S = 0.0015


# Time constant of the damping of middle C, seconds; it decreases with the pitch.
_DAMPER_S = 0.045

# Lowest MIDI pitch without a damper.
_UNDAMPED_PITCH = 90

# Exponential decays are computed up to this many time constants.
_N_TIME_CONSTANTS = 7.0

# Maximum duration of a note, seconds.
_MAX_TONE_S = 8.0

# Hammer noise: time constant in seconds (multiplied by 0.3 when used), cutoff frequency of its low-pass in Hz, and level.
_HAMMER_S, _HAMMER_HZ, _HAMMER_LEVEL = 0.012, 1800.0, 0.05

# Duration of the computed hammer noise, seconds. At its end the noise has decayed to 1e-36.
_STRIKE_S = 0.3

# Reverberation of the room: time constant in seconds, and level.
_ROOM_S, _ROOM_LEVEL = 0.09, 0.05

# Resonance of the other strings while the pedal is down: time constant in seconds, and level.
_SYMPATHETIC_S, _SYMPATHETIC_LEVEL = 0.5, 0.03

# Standard deviation of the background noise, relative to full scale.
_FLOOR = 1e-5

# Peak of the result, relative to full scale.
_PEAK = 0.6

# Duration of the fade-out of a note, and of the fades at pedal presses and releases, seconds.
_FADE_S = 0.02


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
    """Synthesise one note (sample,) up to the end of its damping, at most `_MAX_TONE_S`."""
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
    """Return the sum (sample,) of amplitude * decay^n * sin(step_rad * n) over all sinusoids, computed by two-pole resonators."""
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
