"""What encodes the sound of clips: one encoder a kind of features, by name. Heavy networks are imported by those that need them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handroll.dataset.clip_content import read_audio
from handroll.device import torch_device
from handroll.training_data.music_features import log_mel, log_mel_rate_hz, note_roll

VERSION = 1
"""Raised by hand when the same sound gives other features."""

_SPAN = ("start_s", "end_s", "audio_delay_s")


@dataclass(frozen=True)
class FeatureEncoder:
    """Gives features of a clip.

    Attributes
    ----------
    encode : callable (dict of str to value) -> array (frame, feature)
        Of the columns of a row of `tables.SHARD`.
    columns : tuple of str
        The columns that it needs.
    version : str
        What made the features; for a speech encoder it contains the hash of its weights (`SpeechEncoder.identity`).
    """

    encode: Callable
    columns: tuple[str, ...]
    version: str


def feature_encoder(name, rate_hz, folder="", device="cpu"):
    """An encoder by the name of its features.

    Parameters
    ----------
    name : {"logmel", "notes", "hubert", "wav2vec2"}
    rate_hz : float
        Frames a second of the features.
    folder : path
        Of a speech encoder's weights, in transformers' layout.
    device : str
        Where a speech encoder runs.

    Returns
    -------
    FeatureEncoder
        Features are at the moments of the motion's frames: the sound's own delay is taken back.
    """
    if name == "logmel":
        rate = log_mel_rate_hz(rate_hz)
        return FeatureEncoder(
            lambda row: log_mel(read_audio(row["audio"], rate, row["audio_delay_s"]), rate_hz, _frames(row, rate_hz)),
            ("audio", *_SPAN),
            f"handroll log-mel {VERSION}",
        )
    if name == "notes":
        return FeatureEncoder(lambda row: _note_roll(row, rate_hz), ("notes", "pedal", *_SPAN), f"handroll notes {VERSION}")
    return _speech(folder, rate_hz, device)


def _frames(row, rate_hz):
    """Frames of a clip."""
    return round((row["end_s"] - row["start_s"]) * rate_hz)


def _note_roll(row, rate_hz):
    """Roll of a clip's notes."""
    notes, pedal = (
        {name: np.array([item[name] for item in row[table]]) for name in names}
        for table, names in (("notes", ("onset_s", "key_offset_s", "pitch", "velocity")), ("pedal", ("onset_s", "offset_s")))
    )
    return note_roll(notes, pedal, rate_hz, _frames(row, rate_hz), row["audio_delay_s"])


def _speech(folder, rate_hz, device):
    """Features of a frozen speech encoder, over the whole clip."""
    import torch

    from handroll.models.speech_encoder import RATE_HZ, load_speech_encoder

    where = torch_device(device)
    network = load_speech_encoder(folder).to(where)

    @torch.inference_mode()
    def encode(row):
        frames = _frames(row, rate_hz)
        sound = read_audio(row["audio"], RATE_HZ, row["audio_delay_s"])
        # A clip's sound may end early: its frames are spread over its length all the same.
        sound = np.pad(sound, (0, max(0, round(frames / rate_hz * RATE_HZ) - len(sound))))[: round(frames / rate_hz * RATE_HZ)]
        return network(torch.from_numpy(sound)[None].to(where), frames)[0].float().cpu().numpy()

    return FeatureEncoder(encode, ("audio", *_SPAN), network.identity)
