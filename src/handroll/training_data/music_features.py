"""Music features that need no network: log-mel spectrograms, audio descriptors and note rolls, all at the frame rate of the motion."""

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


N_MFCC = 20
"""Number of mel-frequency cepstral coefficients of the audio descriptors."""

N_DESCRIPTORS = 1 + N_MFCC + 12 + 1 + 1
"""Number of audio descriptors of a frame (35): onset strength, MFCC, chroma, onset peak, RMS."""

DESCRIPTOR_HOP = 512
"""Number of audio samples between successive frames of the audio descriptors."""

# Divisors that give the audio descriptors of piano music a magnitude of about 1: onset strength, MFCC, RMS.
_ONSET_SCALE, _MFCC_SCALE, _RMS_SCALE = 5.0, 100.0, 0.1


def descriptor_rate_hz(rate_hz):
    """Return the audio sampling rate that `audio_descriptors` expects for features at `rate_hz`: 25,600 Hz for 50 Hz."""
    return round(rate_hz * DESCRIPTOR_HOP)


def audio_descriptors(samples, rate_hz, frames):
    """Compute the audio features of MAPnet (Shrestha et al., "AIMusicGuru: Music Assisted Human Pose Correction") with librosa.

    Parameters
    ----------
    samples : array (sample,)
        Mono audio at the sampling rate `descriptor_rate_hz(rate_hz)`. Sample 0 is at the time of the first frame.
    rate_hz : float
        Frame rate of the motion.
    frames : int
        Number of frames. Audio that is too short is padded with silence.

    Returns
    -------
    array (frame, 35), float32
        Onset strength, 20 MFCC, 12 values of the chroma CENS, 1 at the peaks of the onset strength, and RMS; scaled to about 1.
    """
    rate, samples = descriptor_rate_hz(rate_hz), np.asarray(samples, dtype=np.float32)
    samples = np.pad(samples, (0, max(0, frames * DESCRIPTOR_HOP - len(samples))))[: frames * DESCRIPTOR_HOP]
    strength = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=DESCRIPTOR_HOP)
    peaks = np.zeros_like(strength)
    peaks[librosa.onset.onset_detect(onset_envelope=strength, sr=rate, hop_length=DESCRIPTOR_HOP)] = 1.0
    rows = (
        strength[None] / _ONSET_SCALE,
        librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=N_MFCC, hop_length=DESCRIPTOR_HOP) / _MFCC_SCALE,
        librosa.feature.chroma_cens(y=samples, sr=rate, hop_length=DESCRIPTOR_HOP),
        peaks[None],
        librosa.feature.rms(y=samples, hop_length=DESCRIPTOR_HOP) / _RMS_SCALE,
    )
    return np.concatenate([row[:, :frames] for row in rows]).T.astype(np.float32)


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
