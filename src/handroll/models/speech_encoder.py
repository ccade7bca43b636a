"""Speech encoders, HuBERT and wav2vec 2.0, which turn a waveform into features at the frames of a motion.

W.-N. Hsu et al., "HuBERT", IEEE/ACM TASLP 29 (2021), doi:10.1109/TASLP.2021.3122291; A. Baevski et al., "wav2vec 2.0", NeurIPS
2020, arXiv:2006.11477. The networks are those of the package transformers. As in PianoMotion10M (Gan et al., ICLR 2025), the
output of the convolutions is interpolated to the motion's frames before the transformer, which then works at their rate.

Axis letters: B clip in batch; S audio sample; T frame; D width.
"""

import hashlib
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from handroll.safe_pickle import UnreadableError, load_torch
from handroll.state_dicts import listed, state_dict_at


@contextmanager
def _without_torchaudio():
    """Hide torchaudio from imports while the block runs, unless it is loaded already.

    It comes with another package and must match torch's build. If it does not, importing it fails, and importing transformers fails
    too. transformers needs it only to read audio files, which handroll does itself.
    """
    loaded = "torchaudio" in sys.modules
    if not loaded:
        sys.modules["torchaudio"] = None
    try:
        yield
    finally:
        if not loaded:
            del sys.modules["torchaudio"]


with _without_torchaudio():
    from transformers import AutoConfig, HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

VERSION = 1
"""Raised by hand when the same audio and weights give other features."""

RATE_HZ = 16_000
"""Sampling rate of the networks' input."""

RELEASED = ("hubert-base-ls960", "wav2vec2-base-960h", "wav2vec2-large-960h-lv60-self", "hubert-large-ls960-ft")
"""The encoders of PianoMotion10M, by their names at `PAGE_URL`."""

PAGE_URL = "https://huggingface.co/facebook"
"""Where the authors publish them."""

KINDS = {"hubert": (HubertConfig, HubertModel), "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model)}
"""Configuration and network classes of transformers, by `model_type`."""

LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
"""Settings of the large networks that differ from the base ones, besides their sizes."""

SIZES = {
    "tiny": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
    },
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096, **LARGE},
}
"""Settings of transformers' configurations, whose defaults are those of the base networks. Size tiny is for tests."""

VARIANCE_FLOOR = 1e-7
"""Added to the variance of a waveform; as in transformers' `Wav2Vec2FeatureExtractor`."""

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Names of the file of weights. If there are both, the first is read."""

_UNUSED = "masked_spec_embed"
"""A parameter that only the networks' own training uses. Some released files lack it."""

_HASH_DIGITS = 16
"""Hexadecimal digits of a hash in an identity: enough that two encoders never share them by chance."""


class SpeechEncoder(nn.Module):
    """Features of audio at a motion's frames.

    It stays in evaluation mode, so that nothing is dropped or masked, even while an enclosing network is trained. As released, its
    convolutions are never trained.

    Parameters
    ----------
    network : HubertModel or Wav2Vec2Model
    trainable : bool
        Train everything except the convolutions.

    Attributes
    ----------
    width : int
        D.
    """

    def __init__(self, network, trainable=False):
        super().__init__()
        self.network = network.requires_grad_(trainable)
        self.network.feature_extractor.requires_grad_(False)
        self.width = network.config.hidden_size
        self.eval()

    def train(self, mode=True):
        """Stay in evaluation mode, whatever `mode` is."""
        return super().train(False)

    @property
    def identity(self):
        """Type, width and the first digits of the SHA-256 of the weights, as a text.

        The hash covers names, types and values, so the same weights in another file format have the same identity.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            if name != _UNUSED:
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return f"{self.network.config.model_type} {self.width} wide, weights {digest.hexdigest()[:_HASH_DIGITS]}"

    def forward(self, audio, frames, released=False):
        """Encode audio.

        Parameters
        ----------
        audio : tensor (B, S)
            Mono at `RATE_HZ`, of any loudness.
        frames : int
            T, spread evenly over the audio.
        released : bool
            Normalise the whole batch to unit variance instead of each clip, as the released code does.

        Returns
        -------
        tensor (B, T, D)
        """
        axis = None if released else -1
        centred = audio - audio.mean(axis, keepdim=True)
        convolved = self.network.feature_extractor(centred / (audio.var(axis, correction=0, keepdim=True) + VARIANCE_FLOOR).sqrt())
        convolved = functional.interpolate(convolved, frames, mode="linear", align_corners=True)
        projected = self.network.feature_projection(convolved.transpose(1, 2))
        # Wav2vec 2.0 also returns the input of the projection.
        projected = projected[0] if isinstance(projected, tuple) else projected
        return self.network.encoder(projected).last_hidden_state


def load_speech_encoder(folder, trainable=False):
    """Load a speech encoder with released weights from a folder in transformers' layout. Nothing is downloaded.

    Parameters
    ----------
    folder : path
        With `config.json` and `model.safetensors` or `pytorch_model.bin`.
    trainable : bool
        As of `SpeechEncoder`.

    Returns
    -------
    SpeechEncoder

    Raises
    ------
    FileNotFoundError
        The folder or one of its files is missing.
    ValueError
        It is another kind of network, or its weights are damaged or incomplete.
    """
    folder = Path(folder)
    get = f"get its config.json and model.safetensors (or pytorch_model.bin) from {PAGE_URL} and put them there: {' or '.join(RELEASED)}"
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if not (folder / "config.json").is_file() or weights is None:
        found = listed(sorted(path.name for path in folder.iterdir())) or "an empty folder" if folder.is_dir() else "no folder"
        raise FileNotFoundError(f"{folder}: expected a speech encoder's config.json and model.safetensors, found {found}; {get}")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type not in KINDS:
        raise ValueError(f"{folder}: expected a network of type {' or '.join(KINDS)}, found {config.model_type!r}; {get}")
    try:
        state = load_file(weights) if weights.suffix == ".safetensors" else state_dict_at(load_torch(weights))
    except (UnreadableError, SafetensorError) as error:
        raise ValueError(f"{weights}: expected the weights of a speech encoder, found {error}; {get}") from error
    network, report = KINDS[config.model_type][1].from_pretrained(None, config=config, state_dict=state, output_loading_info=True)
    if missing := sorted(set(report["missing_keys"]) - {_UNUSED}):
        raise ValueError(f"{folder}: expected all weights of the network, found none for {len(missing)} ({listed(missing)}); {get}")
    return SpeechEncoder(network, trainable)


def new_speech_encoder(kind, size, trainable=False):
    """Return a speech encoder with random weights from torch's global generator.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    size : str
        One of `SIZES`.
    trainable : bool
        As of `SpeechEncoder`.

    Returns
    -------
    SpeechEncoder
    """
    config, network = KINDS[kind]
    return SpeechEncoder(network(config(**SIZES[size])), trainable)
