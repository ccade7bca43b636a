"""Music features that need no network: log-mel spectrograms and note rolls, both at the frame rate of the motion."""

import librosa
import numpy as np

from handroll.keyboard.geometry import LOWEST_PITCH, N_KEYS

HOP = 256
"""Number of audio samples between successive spectra."""

SPECTRA_A_FRAME = 2
"""Number of spectra per frame. With two, the time resolution of onsets is half a frame."""

N_FFT = 2048
"""Number of audio samples of a spectrum: 133 ms for motion at 30 Hz. It separates neighbouring semitones from C4 upwards."""

N_MELS = 128
"""Number of mel bands."""

LOWEST_HZ = 27.5
"""Lower limit of the lowest mel band (Hz): the pitch A0, the lowest key of a piano."""

# Added to mel energies before the logarithm, which is not defined for silence.
_FLOOR = 1e-5

# Offset that is subtracted from the natural logarithm of mel energies.
_LOG_MEAN = -4.0

# Divisor of the logarithm after the offset. With both, features of piano audio have a magnitude of about 1.
_LOG_SCALE = 4.0


def log_mel_rate_hz(rate_hz):
    """Return the audio sampling rate that `log_mel` expects for features at `rate_hz`: 15,360 Hz for 30 Hz."""
    return round(rate_hz * HOP * SPECTRA_A_FRAME)


def log_mel(samples, rate_hz, frames):
    """Compute a log-mel spectrogram at the frame rate of the motion.

    Parameters
    ----------
    samples : array (sample,)
        Mono audio at the sampling rate `log_mel_rate_hz(rate_hz)`. Sample 0 is at the time of the first frame.
    rate_hz : float
        Frame rate of the motion.
    frames : int
        Number of frames. Audio that is too short is padded with silence.

    Returns
    -------
    array (frame, 2 * 128), float32
        For each frame, the spectrum centred at the time of the frame, followed by the spectrum half a frame later.
    """
    energy = librosa.feature.melspectrogram(
        y=np.asarray(samples, dtype=np.float32), sr=log_mel_rate_hz(rate_hz), n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, fmin=LOWEST_HZ
    )
    spectra = (np.log(energy.T + _FLOOR) - _LOG_MEAN) / _LOG_SCALE
    short = SPECTRA_A_FRAME * frames - len(spectra)
    if short > 0:
        spectra = np.concatenate([spectra, np.full((short, N_MELS), (np.log(_FLOOR) - _LOG_MEAN) / _LOG_SCALE)])
    return spectra[: SPECTRA_A_FRAME * frames].reshape(frames, -1).astype(np.float32)


def note_roll(notes, pedal, rate_hz, frames, delay_s=0.0):
    """Convert notes and pedal to a note roll at the frame rate of the motion.

    Parameters
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`, in seconds since the first frame.
    rate_hz : float
        Frame rate of the motion.
    frames : int
        Number of frames.
    delay_s : float
        Delay of notes and pedal relative to the motion.

    Returns
    -------
    array (frame, 2 * 88 + 1), float32
        Channels 0 to 87 are note onsets by key: 0.5 + 0.5 velocity / 127, divided between the two nearest frames. Channels 88 to 175 are
        held keys, and channel 176 is the pedal: share of the frame's duration in which the key or pedal is down, 0..1.
    """
    roll = np.zeros((frames, 2 * N_KEYS + 1), dtype=np.float32)
    columns = (np.asarray(notes[name], dtype=np.float64) for name in ("onset_s", "key_offset_s", "pitch", "velocity"))
    for onset_s, release_s, pitch, velocity in zip(*columns, strict=True):
        key = int(pitch) - LOWEST_PITCH
        at = (onset_s - delay_s) * rate_hz
        before, level = int(np.floor(at)), 0.5 + 0.5 * velocity / 127.0
        for frame, share in ((before, before + 1 - at), (before + 1, at - before)):
            if 0 <= frame < frames:
                roll[frame, key] = max(roll[frame, key], level * share)
        roll[:, N_KEYS + key] = np.maximum(roll[:, N_KEYS + key], _held_share(at, (release_s - delay_s) * rate_hz, frames))
    for onset_s, offset_s in zip(pedal["onset_s"], pedal["offset_s"], strict=True):
        roll[:, -1] = np.maximum(roll[:, -1], _held_share((onset_s - delay_s) * rate_hz, (offset_s - delay_s) * rate_hz, frames))
    return roll


def _held_share(start, end, frames):
    """Compute the share (frame,), 0..1, of each frame's interval [k - 0.5, k + 0.5) that is inside [start, end). Times are in frames."""
    index = np.arange(frames)
    return np.clip(np.minimum(end, index + 0.5) - np.maximum(start, index - 0.5), 0.0, 1.0)
