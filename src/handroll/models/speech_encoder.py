"""Speech encoders, HuBERT and wav2vec 2.0, which turn a waveform into features at the frames of a motion.

W.-N. Hsu et al., "HuBERT", IEEE/ACM TASLP 29 (2021), doi:10.1109/TASLP.2021.3122291; A. Baevski et al., "wav2vec 2.0", NeurIPS
2020, arXiv:2006.11477. The networks are those of the package transformers. As in PianoMotion10M (Gan et al., ICLR 2025), the
output of the convolutions is interpolated to the motion's frames before the transformer. The transformer then works at the motion's
frame rate.

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
    """Hide the package torchaudio from imports while the block runs, unless torchaudio is loaded already.

    torchaudio may be installed as a dependency of another package. If it does not match the build of torch, importing it fails, and so
    does importing transformers. transformers needs torchaudio only to read audio files, which handroll does itself.
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
"""Version of the speech features. Increase it manually when the same audio and weights give different features."""

RATE_HZ = 16_000
"""Sampling rate of the networks' input (Hz)."""

RELEASED = ("hubert-base-ls960", "wav2vec2-base-960h", "wav2vec2-large-960h-lv60-self", "hubert-large-ls960-ft")
"""Names of the encoders that PianoMotion10M uses, as published at `PAGE_URL`."""

PAGE_URL = "https://huggingface.co/facebook"
"""Web page on which the authors publish the weights of the encoders in `RELEASED`."""

KINDS = {"hubert": (HubertConfig, HubertModel), "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model)}
"""Configuration class and network class of the package transformers, by `model_type`."""

LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
"""Settings in which the large networks differ from the base networks, besides their sizes."""

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
"""Arguments of the configuration class for each size of network. The defaults of transformers are the base networks; tiny is for tests."""

VARIANCE_FLOOR = 1e-7
"""Constant that is added to the variance of a waveform before normalisation, as in transformers' `Wav2Vec2FeatureExtractor`."""

# Possible names of the file of weights. If both files exist, the first is read.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# Name of a parameter that is used only in the self-supervised training of the networks. Some released files do not contain it.
_UNUSED = "masked_spec_embed"

# Number of hexadecimal digits of a hash in `SpeechEncoder.identity`. A collision by chance is practically impossible.
_HASH_DIGITS = 16


class SpeechEncoder(nn.Module):
    """Network that computes features of audio at the frames of a motion.

    The network stays in evaluation mode, without dropout and masking, even while an enclosing network is trained. Its convolutions are
    never trained, as in the released code.

    Parameters
    ----------
    network : HubertModel or Wav2Vec2Model
    trainable : bool
        Whether to train all parameters except those of the convolutions.

    Attributes
    ----------
    width : int
        Number of features of a frame (D).
    """

    def __init__(self, network, trainable=False):
        super().__init__()
        self.network = network.requires_grad_(trainable)
        self.network.feature_extractor.requires_grad_(False)
        self.width = network.config.hidden_size
        self.eval()

    def train(self, mode=True):
        """Keep the network in evaluation mode; `mode` is ignored."""
        return super().train(False)

    @property
    def identity(self):
        """Text that identifies the encoder: type, width, and the first digits of a SHA-256 of its weights.

        The hash is computed from the names, types and values of the weights, so it does not depend on the file format.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            if name != _UNUSED:
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return f"{self.network.config.model_type} {self.width} wide, weights {digest.hexdigest()[:_HASH_DIGITS]}"

    def forward(self, audio, frames, released=False):
        """Compute features of audio.

        Parameters
        ----------
        audio : tensor (B, S)
            Mono audio at `RATE_HZ`. The level does not matter, because audio is normalised.
        frames : int
            Number of frames (T). They are spread evenly over the audio.
        released : bool
            Whether to normalise audio over the whole batch, as the released code does. Otherwise each clip is normalised separately.

        Returns
        -------
        tensor (B, T, D)
        """
        axis = None if released else -1
        centred = audio - audio.mean(axis, keepdim=True)
        convolved = self.network.feature_extractor(centred / (audio.var(axis, correction=0, keepdim=True) + VARIANCE_FLOOR).sqrt())
        convolved = functional.interpolate(convolved, frames, mode="linear", align_corners=True)
        projected = self.network.feature_projection(convolved.transpose(1, 2))
        # For wav2vec 2.0, the projection returns a tuple: its output and its input.
        projected = projected[0] if isinstance(projected, tuple) else projected
        return self.network.encoder(projected).last_hidden_state


def load_speech_encoder(folder, trainable=False):
    """Load a speech encoder from a folder in the layout of the package transformers. Nothing is downloaded.

    Parameters
    ----------
    folder : path
        Folder with `config.json`, and `model.safetensors` or `pytorch_model.bin`.
    trainable : bool
        See `SpeechEncoder`.

    Returns
    -------
    SpeechEncoder

    Raises
    ------
    FileNotFoundError
        The folder or one of its files is missing.
    ValueError
        The folder contains another kind of network, or its weights are damaged or incomplete.
    """
    folder = Path(folder)
    get = f"download config.json and model.safetensors (or pytorch_model.bin) of {' or '.join(RELEASED)} from {PAGE_URL} into this folder"
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
        raise ValueError(
            f"{folder}: expected the weights of all parameters, found none for {len(missing)} of them ({listed(missing)}); {get}"
        )
    return SpeechEncoder(network, trainable)


def new_speech_encoder(kind, size, trainable=False):
    """Create a speech encoder with random weights. They depend on the seed of torch's global generator.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    size : str
        One of `SIZES`.
    trainable : bool
        See `SpeechEncoder`.

    Returns
    -------
    SpeechEncoder
    """
    config, network = KINDS[kind]
    return SpeechEncoder(network(config(**SIZES[size])), trainable)
