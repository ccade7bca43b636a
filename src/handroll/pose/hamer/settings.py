"""Read HaMeR's `model_config.yaml` and compare it with the released one; sizes of the network.

The released file does not contain the sizes of the backbone, which are those of ViT-H. Toy checkpoints for tests and demos
(`toy_hamer`) have a section `_PARITY` with their `embed_dim`, `depth` and `num_heads`, and their decoder may have any size. Without
this section every size must be the released one.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

PATCH_PX = 16
PATCH_ROWS, PATCH_COLUMNS = 16, 12
"""Patches of a crop, 256 x 192 pixels (height x width)."""

MLP_RATIO = 4
"""Ratio of the hidden width of the backbone's MLP to its width: a constant of ViT-H."""

CROP_PX = [192, 256]
"""Width and height of the network's input (px), the value of `MODEL.BBOX_SHAPE` if it is present."""


class HamerError(ValueError):
    """A file of HaMeR is not the required one. The message says what was expected, what was found, where, and what to do."""


@dataclass(frozen=True)
class BackboneSizes:
    """Sizes of the vision transformer; the released ones (ViT-H) by default."""

    dim: int = 1280
    depth: int = 32
    heads: int = 16

    @property
    def mlp_dim(self):
        """Hidden width of the MLP."""
        return MLP_RATIO * self.dim


@dataclass(frozen=True)
class DecoderSizes:
    """Sizes of the decoder; the released ones by default. `context_dim` is the backbone's width."""

    dim: int = 1024
    depth: int = 6
    heads: int = 8
    dim_head: int = 64
    mlp_dim: int = 1024
    context_dim: int = 1280

    @property
    def inner_dim(self):
        """Width of all attention heads together."""
        return self.heads * self.dim_head


@dataclass(frozen=True)
class HamerSettings:
    """Sizes and constants of the network; the released values by default.

    `image_mean` and `image_std` are those of the training images, RGB, 0..1. `focal_length_px` is for a crop of `image_size_px`
    pixels. It is a convention of the training, not a calibration.
    """

    backbone: BackboneSizes = BackboneSizes()
    decoder: DecoderSizes = DecoderSizes()
    image_size_px: int = 256
    image_mean: tuple = (0.485, 0.456, 0.406)
    image_std: tuple = (0.229, 0.224, 0.225)
    focal_length_px: float = 5000.0


RELEASED = HamerSettings()

# Keys of the released file that determine the network's computation, and their values.
_REQUIRED = {
    "MODEL.IMAGE_SIZE": RELEASED.image_size_px,
    "MODEL.IMAGE_MEAN": list(RELEASED.image_mean),
    "MODEL.IMAGE_STD": list(RELEASED.image_std),
    "MODEL.BACKBONE.TYPE": "vit",
    "MODEL.MANO_HEAD.TYPE": "transformer_decoder",
    "EXTRA.FOCAL_LENGTH": RELEASED.focal_length_px,
}

# Keys that may be absent because the released code has a default for them, and their only allowed values.
_IF_PRESENT = {
    "MODEL.BBOX_SHAPE": CROP_PX,
    "MODEL.MANO_HEAD.JOINT_REP": "6d",
    "MODEL.MANO_HEAD.TRANSFORMER_INPUT": "zero",
    "MODEL.MANO_HEAD.IEF_ITERS": 1,
    "MANO.NUM_HAND_JOINTS": 15,
}

_DECODER = "MODEL.MANO_HEAD.TRANSFORMER_DECODER"
_DECODER_FIXED = {"dropout": 0.0, "emb_dropout": 0.0, "norm": "layer"}
_DECODER_SIZES = ("depth", "heads", "mlp_dim", "dim_head", "dim", "context_dim")
_ABSENT = object()


def settings_path(checkpoint):
    """Return the path of a checkpoint's model_config.yaml: one folder above the checkpoint's own, as in the released archive."""
    return Path(checkpoint).parent.parent / "model_config.yaml"


def read_settings(path):
    """Read and check `model_config.yaml`.

    Keys that have no effect on the network's numbers (training, data, paths of the authors' machines) are ignored.

    Parameters
    ----------
    path : path of the YAML file

    Returns
    -------
    HamerSettings

    Raises
    ------
    HamerError
        The file is missing, is no such file, or differs from the released one in a key that matters. The message lists all differences.
    """
    path = Path(path)
    config = _read(path)
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


def _read(path):
    """Read the file as nested dictionaries."""
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
        raise HamerError(f"{path}: expected HaMeR's model_config.yaml, found {_shown(config)} instead of sections; {advice}")
    return config


def _backbone_sizes(config, problems):
    """Return the released sizes, or those in the section of a toy checkpoint."""
    if _get(config, "_PARITY") is _ABSENT:
        return BackboneSizes()
    keys = {"dim": "embed_dim", "depth": "depth", "heads": "num_heads"}
    sizes = {name: _size(config, f"_PARITY.{key}", problems) for name, key in keys.items()}
    if None in sizes.values():
        return None
    if sizes["dim"] % sizes["heads"]:
        problems.append(f"_PARITY.embed_dim: expected a multiple of _PARITY.num_heads ({sizes['heads']}), found {sizes['dim']}")
    return BackboneSizes(**sizes)


def _decoder_sizes(config, backbone, problems):
    """Return the decoder's sizes: the released ones, or any if the checkpoint is a toy."""
    section = _get(config, _DECODER)
    if not isinstance(section, dict):
        problems.append(f"{_DECODER}: expected a section, found {_shown(section)}")
        return None
    for key, expected in _DECODER_FIXED.items():
        _check(config, f"{_DECODER}.{key}", expected, problems)
    for key in sorted(set(map(str, section)) - {*_DECODER_FIXED, *_DECODER_SIZES}):
        problems.append(f"{_DECODER}.{key}: expected no such key, found {_shown(section.get(key))}")
    toy = _get(config, "_PARITY") is not _ABSENT
    sizes = {}
    for key in _DECODER_SIZES:
        released = getattr(RELEASED.decoder, key)
        if key == "dim" and key not in section:
            # Absent from the released file.
            sizes[key] = released
        elif toy:
            sizes[key] = _size(config, f"{_DECODER}.{key}", problems)
        elif _check(config, f"{_DECODER}.{key}", released, problems):
            sizes[key] = released
    if len(sizes) < len(_DECODER_SIZES) or None in sizes.values():
        return None
    if backbone is not None and sizes["context_dim"] != backbone.dim:
        problems.append(f"{_DECODER}.context_dim: expected the backbone's width, {backbone.dim}, found {sizes['context_dim']}")
    return DecoderSizes(**sizes)


def _get(config, key):
    """Return the value at a dotted key, or _ABSENT."""
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            return _ABSENT
        config = config[part]
    return config


def _check(config, key, expected, problems):
    """Return whether the value at a key is the expected one; append a problem if not."""
    found = _get(config, key)
    if _same(found, expected):
        return True
    problems.append(f"{key}: expected {_shown(expected)}, found {_shown(found)}")
    return False


def _size(config, key, problems):
    """Return the positive integer at a key; append a problem and return None if it is another value."""
    found = _get(config, key)
    if type(found) is int and found > 0:
        return found
    problems.append(f"{key}: expected an integer above 0, found {_shown(found)}")
    return None


def _same(found, expected):
    """Return whether type and value are equal. An integer equals the same float; a boolean equals no number."""
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, str):
        return found == expected
    return type(found) in (int, float) and math.isclose(found, expected, rel_tol=1e-9)


def _shown(value):
    """Format a value for messages, shortened."""
    if value is _ABSENT:
        return "nothing"
    text = repr(int(value) if isinstance(value, float) and value.is_integer() else value)
    return text if len(text) <= 80 else text[:77] + "..."
