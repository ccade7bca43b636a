"""Read HaMeR's `model_config.yaml`, compare it with the released file, and return the sizes of the network.

The released file does not contain the sizes of the backbone, which are those of ViT-H. Small checkpoints for tests and demos
(toy checkpoints, `toy_hamer`) have a section `_PARITY` with their `embed_dim`, `depth` and `num_heads`, and their decoder may have any
size. Without this section, every size must be the released one.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

PATCH_PX = 16
"""Side of a patch (px)."""

PATCH_ROWS, PATCH_COLUMNS = 16, 12
"""Number of rows and columns of patches in a crop of 256 x 192 pixels (height x width)."""

MLP_RATIO = 4
"""Ratio of the hidden width of the backbone's MLP to its width: a constant of ViT-H."""

CROP_PX = [192, 256]
"""Width and height of the network's input (px): the required value of `MODEL.BBOX_SHAPE` if that key is present."""


class HamerError(ValueError):
    """A file of HaMeR is missing, or is not the required one. The message states the file, what was expected and found, and what to do."""


@dataclass(frozen=True)
class BackboneSizes:
    """Sizes of the vision transformer: width, number of blocks, number of attention heads. Those of ViT-H by default."""

    dim: int = 1280
    depth: int = 32
    heads: int = 16

    @property
    def mlp_dim(self):
        """Hidden width of the MLP."""
        return MLP_RATIO * self.dim


@dataclass(frozen=True)
class DecoderSizes:
    """Sizes of the decoder; by default those of the released network. `context_dim` is the backbone's width."""

    dim: int = 1024
    depth: int = 6
    heads: int = 8
    dim_head: int = 64
    mlp_dim: int = 1024
    context_dim: int = 1280

    @property
    def inner_dim(self):
        """Total width of all attention heads."""
        return self.heads * self.dim_head


@dataclass(frozen=True)
class HamerSettings:
    """Sizes and constants of the network; by default those of the released network.

    `image_mean` and `image_std` are the mean and standard deviation of the training images, RGB, 0..1. `focal_length_px` is the focal
    length for a crop of `image_size_px` pixels. It is a convention of the training, not a calibrated value.
    """

    backbone: BackboneSizes = BackboneSizes()
    decoder: DecoderSizes = DecoderSizes()
    image_size_px: int = 256
    image_mean: tuple = (0.485, 0.456, 0.406)
    image_std: tuple = (0.229, 0.224, 0.225)
    focal_length_px: float = 5000.0


RELEASED = HamerSettings()
"""Settings of the released network."""

# Keys of the released file that determine the computation of the network, and their required values.
_REQUIRED = {
    "MODEL.IMAGE_SIZE": RELEASED.image_size_px,
    "MODEL.IMAGE_MEAN": list(RELEASED.image_mean),
    "MODEL.IMAGE_STD": list(RELEASED.image_std),
    "MODEL.BACKBONE.TYPE": "vit",
    "MODEL.MANO_HEAD.TYPE": "transformer_decoder",
    "EXTRA.FOCAL_LENGTH": RELEASED.focal_length_px,
}

# Keys that may be absent, because the released code has a default for them, and their required values if they are present.
_IF_PRESENT = {
    "MODEL.BBOX_SHAPE": CROP_PX,
    "MODEL.MANO_HEAD.JOINT_REP": "6d",
    "MODEL.MANO_HEAD.TRANSFORMER_INPUT": "zero",
    "MODEL.MANO_HEAD.IEF_ITERS": 1,
    "MANO.NUM_HAND_JOINTS": 15,
}

# Key of the decoder's section.
_DECODER = "MODEL.MANO_HEAD.TRANSFORMER_DECODER"

# Keys of the decoder's section that are not sizes, and their required values.
_DECODER_FIXED = {"dropout": 0.0, "emb_dropout": 0.0, "norm": "layer"}

# Keys of the decoder's section that are fields of `DecoderSizes`.
_DECODER_SIZES = ("depth", "heads", "mlp_dim", "dim_head", "dim", "context_dim")

# Result of `_get` for a key that the file does not have.
_ABSENT = object()


def settings_path(checkpoint):
    """Return the path of the model_config.yaml of a checkpoint. It is one folder above the folder of the checkpoint, as in the release."""
    return Path(checkpoint).parent.parent / "model_config.yaml"


def read_settings(path):
    """Read and check `model_config.yaml`.

    Keys without effect on the outputs of the network (training, data, paths on the authors' machines) are ignored.

    Parameters
    ----------
    path : path of the YAML file

    Returns
    -------
    HamerSettings

    Raises
    ------
    HamerError
        The file is missing, is not a model_config.yaml, or differs from the released one in a key that determines the outputs. The
        message lists all differences.
    """
    path = Path(path)
    config = _read_yaml(path)
    problems = []
    for key, expected in _REQUIRED.items():
        _check(config, key, expected, problems)
    for key, expected in _IF_PRESENT.items():
        if _get(config, key) is not _ABSENT:
            _check(config, key, expected, problems)
    backbone = _backbone_sizes(config, problems)
    decoder = _decoder_sizes(config, backbone, problems)
    if problems:
        raise HamerError(
            f"{path}: these settings are not those of the released network:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + "\nUse the unedited file that comes with the checkpoint"
        )
    return HamerSettings(backbone=backbone, decoder=decoder)


def _read_yaml(path):
    """Read the YAML file as nested dictionaries; raise HamerError if that is not possible."""
    advice = "it comes with the checkpoint, at hamer_ckpts/model_config.yaml of the release"
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HamerError(f"{path}: expected HaMeR's model_config.yaml, found no file; {advice}") from None
    except OSError as error:
        raise HamerError(f"{path}: expected HaMeR's model_config.yaml, found a file that cannot be read ({error}); {advice}") from error
    # YAMLError: syntax. ValueError: text that is not UTF-8, invalid dates. RecursionError: deeply nested lists.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise HamerError(f"{path}: expected HaMeR's model_config.yaml, found a file that is not YAML ({error}); {advice}") from error
    if not isinstance(config, dict):
        raise HamerError(f"{path}: expected HaMeR's model_config.yaml, found {_format_value(config)} instead of sections; {advice}")
    return config


def _backbone_sizes(config, problems):
    """Return the backbone's sizes: the released ones, or those in the section `_PARITY` of a toy checkpoint; None if one is invalid.

    A text for each problem is appended to `problems`.
    """
    if _get(config, "_PARITY") is _ABSENT:
        return BackboneSizes()
    keys = {"dim": "embed_dim", "depth": "depth", "heads": "num_heads"}
    sizes = {name: _positive_integer(config, f"_PARITY.{key}", problems) for name, key in keys.items()}
    if None in sizes.values():
        return None
    if sizes["dim"] % sizes["heads"]:
        problems.append(f"_PARITY.embed_dim: expected a multiple of _PARITY.num_heads ({sizes['heads']}), found {sizes['dim']}")
    return BackboneSizes(**sizes)


def _decoder_sizes(config, backbone, problems):
    """Return the decoder's sizes, or None if one is invalid. Only a toy checkpoint may have other sizes than the released ones.

    `backbone` are the backbone's sizes, or None. A text for each problem is appended to `problems`.
    """
    section = _get(config, _DECODER)
    if not isinstance(section, dict):
        problems.append(f"{_DECODER}: expected a section, found {_format_value(section)}")
        return None
    for key, expected in _DECODER_FIXED.items():
        _check(config, f"{_DECODER}.{key}", expected, problems)
    for key in sorted(set(map(str, section)) - {*_DECODER_FIXED, *_DECODER_SIZES}):
        problems.append(f"{_DECODER}.{key}: expected no key of this name, found {_format_value(section.get(key))}")
    toy = _get(config, "_PARITY") is not _ABSENT
    sizes = {}
    for key in _DECODER_SIZES:
        released = getattr(RELEASED.decoder, key)
        if key == "dim" and key not in section:
            # The released file does not have this key.
            sizes[key] = released
        elif toy:
            sizes[key] = _positive_integer(config, f"{_DECODER}.{key}", problems)
        elif _check(config, f"{_DECODER}.{key}", released, problems):
            sizes[key] = released
    if len(sizes) < len(_DECODER_SIZES) or None in sizes.values():
        return None
    if backbone is not None and sizes["context_dim"] != backbone.dim:
        problems.append(f"{_DECODER}.context_dim: expected the backbone's width, {backbone.dim}, found {sizes['context_dim']}")
    return DecoderSizes(**sizes)


def _get(config, key):
    """Return the value of a dotted key, such as "MODEL.IMAGE_SIZE"; `_ABSENT` if the file does not have it."""
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            return _ABSENT
        config = config[part]
    return config


def _check(config, key, expected, problems):
    """Return whether the value of a dotted key is the expected one. If it is not, append a text to `problems`."""
    found = _get(config, key)
    if _equals(found, expected):
        return True
    problems.append(f"{key}: expected {_format_value(expected)}, found {_format_value(found)}")
    return False


def _positive_integer(config, key, problems):
    """Return the positive integer at a dotted key. For any other value, append a text to `problems` and return None."""
    found = _get(config, key)
    if type(found) is int and found > 0:
        return found
    problems.append(f"{key}: expected an integer above 0, found {_format_value(found)}")
    return None


def _equals(found, expected):
    """Return whether two values are equal, including their types. An integer equals the same float; a boolean equals no number."""
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(_equals, found, expected))
    if isinstance(expected, str):
        return found == expected
    return type(found) in (int, float) and math.isclose(found, expected, rel_tol=1e-9)


def _format_value(value):
    """Format a value for a message, in at most 80 characters."""
    if value is _ABSENT:
        return "nothing"
    text = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return text if len(text) <= 80 else text[:77] + "..."
