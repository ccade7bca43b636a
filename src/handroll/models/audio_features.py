"""Feature encoders for the audio or the notes of clips. An encoder is selected by the name of its features.

Torch and speech encoders are imported only when they are used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handroll.dataset.clip_content import read_audio
from handroll.device import torch_device
from handroll.training_data.music_features import audio_descriptors, descriptor_rate_hz, log_mel, log_mel_rate_hz, note_roll

VERSION = 1
"""Version of the features. Increase it manually when the same audio or notes give different features."""

SPAN = ("start_s", "end_s", "audio_delay_s")
"""Columns of `tables.SHARD` with the start and end of a clip in its video, and the delay of its audio."""


# Features that are computed from audio without a network: function, function of its sampling rate, and name in the version.
_SPECTRAL = {
    "logmel": (log_mel, log_mel_rate_hz, "log-mel"),
    "descriptors": (audio_descriptors, descriptor_rate_hz, "audio descriptors"),
}


@dataclass(frozen=True)
class FeatureEncoder:
    """Encoder of a clip's audio or notes.

    Attributes
    ----------
    encode : callable (dict of str to value) -> array (frame, feature)
        Function that computes the features of a clip from columns of its row in `tables.SHARD`.
    columns : tuple of str
        Names of the columns that `encode` needs.
    version : str
        Name and version of the encoder. For a speech encoder it is `SpeechEncoder.identity`, which contains a hash of the weights.
    dtype : str
        NumPy type in which the features are stored.
    """

    encode: Callable
    columns: tuple[str, ...]
    version: str
    dtype: str = "<f2"


def feature_encoder(name, rate_hz, folder="", device="cpu"):
    """Create the encoder that computes the features with a given name.

    Parameters
    ----------
    name : {"logmel", "descriptors", "notes", "hubert", "wav2vec2", "hubert_tuned", "wav2vec2_tuned"}
        Name of the features.
    rate_hz : float
        Frame rate of the features, Hz.
    folder : path
        Folder with the weights of a speech encoder, in the layout of the package transformers. Not used for logmel, descriptors and notes.
    device : str
        Device of a speech encoder.

    Returns
    -------
    FeatureEncoder
        Its features are aligned with the frames of the motion, because the clip's audio delay is removed.
    """
    if name in _SPECTRAL:
        compute, rate = _SPECTRAL[name][0], _SPECTRAL[name][1](rate_hz)
        return FeatureEncoder(
            lambda row: compute(read_audio(row["audio"], rate, row["audio_delay_s"]), rate_hz, clip_frames(row, rate_hz)),
            ("audio", *SPAN),
            f"handroll {_SPECTRAL[name][2]} {VERSION}",
        )
    if name == "notes":
        return FeatureEncoder(lambda row: _note_roll(row, rate_hz), ("notes", "pedal", *SPAN), f"handroll notes {VERSION}")
    return _speech_features(folder, rate_hz, device)


def clip_frames(row, rate_hz):
    """Return the number of frames of a clip at a frame rate."""
    return round((row["end_s"] - row["start_s"]) * rate_hz)


def _note_roll(row, rate_hz):
    """Compute the note roll (frame, channel) of a clip from its row; see `music_features.note_roll`."""
    notes, pedal = (
        {name: np.array([item[name] for item in row[table]]) for name in names}
        for table, names in (("notes", ("onset_s", "key_offset_s", "pitch", "velocity")), ("pedal", ("onset_s", "offset_s")))
    )
    return note_roll(notes, pedal, rate_hz, clip_frames(row, rate_hz), row["audio_delay_s"])


def _speech_features(folder, rate_hz, device):
    """Return a `FeatureEncoder` that runs a frozen speech encoder over the whole clip. For the arguments, see `feature_encoder`."""
    import torch

    from handroll.models.speech_encoder import RATE_HZ, load_speech_encoder

    device = torch_device(device)
    network = load_speech_encoder(folder).to(device)

    @torch.inference_mode()
    def encode(row):
        frames = clip_frames(row, rate_hz)
        samples = round(frames / rate_hz * RATE_HZ)
        audio = read_audio(row["audio"], RATE_HZ, row["audio_delay_s"])
        # The audio of a clip may end early. The encoder spreads the frames evenly over its input, so the input must last as long as the
        # clip.
        audio = np.pad(audio, (0, max(0, samples - len(audio))))[:samples]
        return network(torch.from_numpy(audio)[None].to(device), frames)[0].float().cpu().numpy()

    return FeatureEncoder(encode, ("audio", *SPAN), network.identity)
