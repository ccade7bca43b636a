"""Fine-tuning of a speech encoder together with the first stage, as in PianoMotion10M's released code (Gan et al., ICLR 2025).

Only the encoder is saved. Afterwards the features of every clip are computed once with this encoder, and both stages are trained on these
features.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from handroll.models.position import PositionPredictor, PositionSettings, position_loss
from handroll.models.speech_encoder import RATE_HZ, load_speech_encoder
from handroll.provenance import file_sha256
from handroll.training.loop import train
from handroll.training.training_run import fingerprint, set_up, write_training_log

VERSION = 2
"""Version of the training. Increase it manually when the same settings and data give a different encoder."""

WEIGHTS = "model.safetensors"
"""File name of the weights in an encoder's folder, in the layout of the package transformers."""


class EncoderObjective(nn.Module):
    """Training objective of the fine-tuning: computes the loss of the first stage for a batch of audio.

    Parameters
    ----------
    speech : SpeechEncoder
        Encoder that is fine-tuned.
    network : PositionPredictor
        First stage.
    scales : training_data.windows.Scales
    velocity_weight : float
        See `training.position.PositionObjective`.
    """

    def __init__(self, speech, network, scales, velocity_weight):
        super().__init__()
        self.speech, self.network, self.scales, self.velocity_weight = speech, network, scales, velocity_weight

    def positions(self, batch):
        """Predict the scaled positions (B, T, 6) of a batch from its audio."""
        return self.network(self.speech(batch["audio"], batch["position"].shape[1]))

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict, because there are no other values to log."""
        target = self.scales.scaled("position", batch["position"])
        return position_loss(self.positions(batch), target, batch["visible"], velocity_weight=self.velocity_weight), {}


def tune_encoder(source, training_path, encoder, model, velocity_weight, settings, folder, path):
    """Fine-tune an encoder and save it in the layout of the package transformers.

    Parameters
    ----------
    source, training_path, velocity_weight, settings, folder
        Same as in `training.position.train_position`. Features are not used.
    encoder : path
        Folder of the pretrained encoder.
    model : dict
        Same as in `training.position.train_position`. Its context settings are ignored, because the first stage has no context layers
        when it is trained with a speech encoder.
    path : path
        File of weights to write, `model.safetensors`. The encoder's configuration is written to the same folder.
    """
    source = replace(source, features=None, audio_rate_hz=RATE_HZ)
    setup = set_up(source, training_path, settings)
    torch.manual_seed(settings["seed"])
    speech = load_speech_encoder(encoder, trainable=True)
    sizes = PositionSettings(features=speech.width, **{**model, "context_layers": 0, "context_width": speech.width})
    objective = EncoderObjective(speech, PositionPredictor(sizes), setup.scales, velocity_weight)
    known = [file_sha256(weights) for weights in sorted(Path(encoder).iterdir()) if weights.is_file()]
    run_id = fingerprint(source, training_path, VERSION, asdict(sizes), velocity_weight, settings, known)
    trained = train(objective, setup.batches, setup.loop, folder, run_id, setup.device, lambda tuned: _validate(tuned, setup))
    if trained is not None:
        prefix = "speech.network."
        speech.network.load_state_dict({name.removeprefix(prefix): w for name, w in trained.state_dict.items() if name.startswith(prefix)})
        speech.network.cpu().save_pretrained(Path(path).parent)
        write_training_log(Path(path).with_name("training.json"), setup, trained)


def _validate(objective, setup):
    """Compute the mean distance of the predicted positions from the ground truth, in the coordinate frame's unit."""
    error, count = 0.0, 0
    for batch in setup.valid_batches():
        offset = setup.scales.unscaled("position", objective.positions(batch)) - batch["position"]
        error += float(offset.unflatten(-1, (2, 3)).norm(dim=-1)[batch["visible"]].sum())
        count += int(batch["visible"].sum())
    return {"error": error / max(count, 1)}
