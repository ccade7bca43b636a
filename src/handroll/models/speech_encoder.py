"""Speech encoders, HuBERT and wav2vec 2.0, which turn a waveform into features of the frames of a motion.

W.-N. Hsu et al., "HuBERT", IEEE/ACM TASLP 29 (2021), doi:10.1109/TASLP.2021.3122291; A. Baevski et al., "wav2vec 2.0", NeurIPS
2020, arXiv:2006.11477. The networks are those of the package transformers. As in PianoMotion10M (Gan et al., ICLR 2025), what
its convolutions hear is interpolated to the motion's frames before the transformer, which then works at their rate.

Axis letters: B clip in batch; S sample of sound; T frame; D width.
"""

import hashlib
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional


@contextmanager
def _without_torchaudio():
    """While the block runs, torchaudio passes for not installed, unless it is loaded already.

    It comes with another package and has to match torch's build; one that does not match can't be imported, and transformers
    then neither. What it would do for transformers, reading sound files, is done elsewhere here.
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
    from transformers import AutoConfig, AutoModel, HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2Model

VERSION = 1
"""Raised by hand when the same sound and weights give other features."""

RATE_HZ = 16_000
"""What the networks hear."""

RELEASED = ("hubert-base-ls960", "wav2vec2-base-960h", "wav2vec2-large-960h-lv60-self", "hubert-large-ls960-ft")
"""The encoders of PianoMotion10M, by their names at `PAGE_URL`."""

PAGE_URL = "https://huggingface.co/facebook"
"""Where the authors publish them."""

KINDS = {"hubert": (HubertConfig, HubertModel), "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model)}
"""Configuration and network of transformers, by its `model_type`."""

LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
"""How the large networks differ from the base ones, beside their sizes."""

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
"""Settings of transformers' configurations, whose defaults are those of the base networks; tiny is for tests."""

VARIANCE_FLOOR = 1e-7
"""Added to the variance of a waveform; as in transformers' `Wav2Vec2FeatureExtractor`."""

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# The second is read by transformers with `weights_only`.
_UNUSED = "masked_spec_embed"
# For the networks' own training; some released files lack it.
_LISTED = 4
# Most names that a message lists.
_DIGITS = 16
# Of a hash, in hexadecimal: two encoders of a laboratory never share so many by chance.


class SpeechEncoder(nn.Module):
    """Features of sound, at a motion's frames.

    It stays in evaluation mode, so that nothing is dropped or masked, also while a network around it is trained. Its convolutions
    are never trained, as released.

    Parameters
    ----------
    network : HubertModel or Wav2Vec2Model
    trainable : bool
        Let all but the convolutions be trained.

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
        """Stay in evaluation mode, whichever is asked for."""
        return super().train(False)

    @property
    def identity(self):
        """The identity of this encoder: its type, its width, and the first digits of the SHA-256 of its weights.

        The weights count by name, type and value, so the same weights in another kind of file have the same identity.
        """
        digest = hashlib.sha256()
        for name, tensor in sorted(self.network.state_dict().items()):
            if name != _UNUSED:
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        return f"{self.network.config.model_type} {self.width} wide, weights {digest.hexdigest()[:_DIGITS]}"

    def forward(self, sound, frames, released=False):
        """Encode sound.

        Parameters
        ----------
        sound : tensor (B, S)
            Mono at `RATE_HZ`; of any loudness.
        frames : int
            T, spread evenly over the sound.
        released : bool
            Bring the whole batch to unit variance instead of each clip, as the released code does.

        Returns
        -------
        tensor (B, T, D)
        """
        over = None if released else -1
        centred = sound - sound.mean(over, keepdim=True)
        heard = self.network.feature_extractor(centred / (sound.var(over, correction=0, keepdim=True) + VARIANCE_FLOOR).sqrt())
        heard = functional.interpolate(heard, frames, mode="linear", align_corners=True)
        projected = self.network.feature_projection(heard.transpose(1, 2))
        # Wav2vec 2.0 gives what it projects, too.
        projected = projected[0] if isinstance(projected, tuple) else projected
        return self.network.encoder(projected).last_hidden_state


def load_speech_encoder(folder, trainable=False):
    """A speech encoder with released weights, from a folder in transformers' layout. Nothing is downloaded.

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
        It is another kind of network, or its weights are not complete.
    """
    folder = Path(folder)
    get = f"get its config.json and model.safetensors (or pytorch_model.bin) from {PAGE_URL} and put them there: {' or '.join(RELEASED)}"
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in _WEIGHTS):
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:_LISTED]) or "an empty folder" if folder.is_dir() else "no folder"
        raise FileNotFoundError(f"{folder}: expected a speech encoder's config.json and model.safetensors, found {found}; {get}")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type not in KINDS:
        raise ValueError(f"{folder}: expected a network of type {' or '.join(KINDS)}, found {config.model_type!r}; {get}")
    network, report = AutoModel.from_pretrained(folder, config=config, local_files_only=True, output_loading_info=True)
    if missing := sorted(set(report["missing_keys"]) - {_UNUSED}):
        listed = ", ".join(missing[:_LISTED]) + ", ..." * (len(missing) > _LISTED)
        raise ValueError(f"{folder}: expected all weights of the network, found none for {len(missing)} ({listed}); {get}")
    return SpeechEncoder(network, trainable)


def new_speech_encoder(kind, size, trainable=False):
    """A speech encoder with random weights, of torch's global generator.

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
