"""Fine-tuning of a speech encoder with the first stage behind it, as PianoMotion10M's released code does (Gan et al., ICLR 2025).

What is kept is the encoder: its features of every clip are then computed once, and both stages are trained on them.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from handroll.models.position import PositionPredictor, PositionSettings, position_loss
from handroll.models.speech_encoder import RATE_HZ, load_speech_encoder
from handroll.provenance import file_sha256
from handroll.training.loop import train
from handroll.training.setup import fingerprint, set_up, write_told

VERSION = 2
"""Raised by hand when the same settings and data give another encoder."""

WEIGHTS = "model.safetensors"
"""Of an encoder's folder, in transformers' layout."""


class EncoderObjective(nn.Module):
    """The first stage's loss of a batch of sound.

    Parameters
    ----------
    speech : SpeechEncoder
        Trainable.
    network : PositionPredictor
    scales : dataset.windows.Scales
    velocity_weight : float
    """

    def __init__(self, speech, network, scales, velocity_weight):
        super().__init__()
        self.speech, self.network, self.scales, self.velocity_weight = speech, network, scales, velocity_weight

    def places(self, batch):
        """Scaled places (B, T, 6)."""
        return self.network(self.speech(batch["audio"], batch["place"].shape[1]))

    def forward(self, batch):
        """Loss, and nothing else to log."""
        target = self.scales.scaled("place", batch["place"])
        return position_loss(self.places(batch), target, batch["visible"], velocity_weight=self.velocity_weight), {}


def tune_encoder(source, training_path, encoder, model, velocity_weight, settings, folder, path):
    """Tune an encoder and save it in transformers' layout.

    Parameters
    ----------
    source, training_path, velocity_weight, settings, folder
        As of `training.position.train_position`; features are not used.
    encoder : path
        The folder of the encoder to begin with.
    model : dict
        As of `training.position.train_position`; no convolutions stand between encoder and decoder.
    path : path
        Of the weights, `model.safetensors`; the configuration is written beside it.
    """
    source = replace(source, features=None, audio_rate_hz=RATE_HZ)
    setup = set_up(source, training_path, settings)
    torch.manual_seed(settings["seed"])
    speech = load_speech_encoder(encoder, trainable=True)
    sizes = PositionSettings(features=speech.width, **{**model, "context_layers": 0, "context_width": speech.width})
    objective = EncoderObjective(speech, PositionPredictor(sizes), setup.scales, velocity_weight)
    known = [file_sha256(weights) for weights in sorted(Path(encoder).iterdir()) if weights.is_file()]
    print_of = fingerprint(source, training_path, VERSION, asdict(sizes), velocity_weight, settings, known)
    trained = train(objective, setup.batches, setup.loop, folder, print_of, setup.device, lambda tuned: _validate(tuned, setup))
    if trained is not None:
        prefix = "speech.network."
        speech.network.load_state_dict({name.removeprefix(prefix): w for name, w in trained.state_dict.items() if name.startswith(prefix)})
        speech.network.cpu().save_pretrained(Path(path).parent)
        write_told(Path(path).with_name("training.json"), setup, trained)


def _validate(objective, setup):
    """Mean distance of the hands from their true places, in the frame's unit."""
    error, count = 0.0, 0
    for batch in setup.valid_batches():
        off = setup.scales.unscaled("place", objective.places(batch)) - batch["place"]
        error += float(off.unflatten(-1, (2, 3)).norm(dim=-1)[batch["visible"]].sum())
        count += int(batch["visible"].sum())
    return {"error": error / max(count, 1)}
