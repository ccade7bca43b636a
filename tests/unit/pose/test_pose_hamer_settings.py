from pathlib import Path

import pytest
import yaml

from handroll.pose.hamer.settings import RELEASED, HamerError, read_settings
from toy_hamer import TOY, write_toy_checkpoint

TINY = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "tiny"


@pytest.fixture
def edited(tmp_path):
    """A function that writes the released settings, or a toy's, with values changed or (None) removed; gives the path."""

    def write(changes=(), settings=None):
        files = write_toy_checkpoint(tmp_path, settings=settings or TOY)
        config = yaml.safe_load(files.config.read_text(encoding="utf-8"))
        for key, value in dict(changes).items():
            *sections, last = key.split(".")
            place = config
            for section in sections:
                place = place.setdefault(section, {})
            if value is None:
                del place[last]
            else:
                place[last] = value
        files.config.write_text(yaml.safe_dump(config), encoding="utf-8")
        return files.config

    return write


# As the released file has it; writing its 2.7 GB checkpoint too would take too long.
RELEASED_YAML = """
MODEL:
  IMAGE_SIZE: 256
  IMAGE_MEAN: [0.485, 0.456, 0.406]
  IMAGE_STD: [0.229, 0.224, 0.225]
  BACKBONE: {TYPE: vit, PRETRAINED_WEIGHTS: /somewhere/vitpose_backbone.pth}
  MANO_HEAD:
    TYPE: transformer_decoder
    IN_CHANNELS: 2048
    TRANSFORMER_DECODER:
      {depth: 6, heads: 8, mlp_dim: 1024, dim_head: 64, dropout: 0.0, emb_dropout: 0.0, norm: layer, context_dim: 1280}
EXTRA: {FOCAL_LENGTH: 5000}
"""


def test_the_released_values(tmp_path):
    (tmp_path / "model_config.yaml").write_text(RELEASED_YAML, encoding="utf-8")
    settings = read_settings(tmp_path / "model_config.yaml")
    assert settings == RELEASED
    assert settings.backbone.mlp_dim == 5120
    assert settings.decoder.inner_dim == 512


def test_a_toy_states_its_sizes(edited):
    assert read_settings(edited()) == TOY


@pytest.mark.skipif(not TINY.exists(), reason="needs the shared fixtures")
def test_the_fixture():
    settings = read_settings(TINY / "model_config.yaml")
    assert (settings.backbone.dim, settings.backbone.depth, settings.backbone.heads) == (64, 2, 4)
    assert (settings.decoder.dim, settings.decoder.inner_dim) == (48, 16)


def test_defaults_may_be_spelt_out(edited):
    changes = {"MODEL.BBOX_SHAPE": [192, 256], "MODEL.MANO_HEAD.JOINT_REP": "6d", "MODEL.MANO_HEAD.IEF_ITERS": 1}
    assert read_settings(edited(changes)) == TOY


@pytest.mark.parametrize(
    ("key", "value", "expected", "found"),
    [
        ("EXTRA.FOCAL_LENGTH", 122, "expected 5000", "found 122"),
        ("EXTRA.FOCAL_LENGTH", None, "expected 5000", "found nothing"),
        ("MODEL.IMAGE_SIZE", "256", "expected 256", "found '256'"),
        ("MODEL.IMAGE_MEAN", [0.5, 0.5, 0.5], "expected [0.485, 0.456, 0.406]", "found [0.5, 0.5, 0.5]"),
        ("MODEL.IMAGE_STD", [0.229, 0.224, float("nan")], "expected [0.229", "nan"),
        ("MODEL.BACKBONE.TYPE", "resnet", "expected 'vit'", "found 'resnet'"),
        ("MODEL.BBOX_SHAPE", [256, 192], "expected [192, 256]", "found [256, 192]"),
        ("MODEL.MANO_HEAD.JOINT_REP", "aa", "expected '6d'", "found 'aa'"),
        ("MODEL.MANO_HEAD.IEF_ITERS", 3, "expected 1", "found 3"),
        ("MODEL.MANO_HEAD.IEF_ITERS", True, "expected 1", "found True"),
        ("MODEL.MANO_HEAD.TRANSFORMER_INPUT", "mean_shape", "expected 'zero'", "found 'mean_shape'"),
        ("MODEL.MANO_HEAD.TRANSFORMER_DECODER.norm", "batch", "expected 'layer'", "found 'batch'"),
        ("MODEL.MANO_HEAD.TRANSFORMER_DECODER.depth", 0, "expected an integer above 0", "found 0"),
        ("MODEL.MANO_HEAD.TRANSFORMER_DECODER.context_dim", 64, "expected the backbone's width, 48", "found 64"),
        ("MODEL.MANO_HEAD.TRANSFORMER_DECODER.tokens", 4, "expected no key of this name", "found 4"),
        ("MODEL.MANO_HEAD.TRANSFORMER_DECODER", None, "expected a section", "found nothing"),
        ("_PARITY.num_heads", 7, "expected a multiple of _PARITY.num_heads (7)", "found 48"),
        ("_PARITY.num_heads", None, "expected an integer above 0", "found nothing"),
    ],
)
def test_anything_off_is_an_error(edited, key, value, expected, found):
    path = edited({key: value})
    with pytest.raises(HamerError) as raised:
        read_settings(path)
    message = str(raised.value)
    assert str(path) in message
    assert key.removesuffix(".num_heads") in message
    assert expected in message
    assert found in message


def test_sizes_other_than_the_released_ones_without_a_toys_section(edited):
    with pytest.raises(HamerError) as raised:
        read_settings(edited({"_PARITY": None}))
    for key in ("depth", "heads", "mlp_dim", "dim_head", "dim", "context_dim"):
        assert f"TRANSFORMER_DECODER.{key}: expected" in str(raised.value)


def test_all_problems_at_once(edited):
    path = edited({"EXTRA.FOCAL_LENGTH": 122, "MODEL.BACKBONE.TYPE": "resnet", "MODEL.IMAGE_SIZE": 224})
    with pytest.raises(HamerError, match=r"(?s)IMAGE_SIZE.*BACKBONE.*FOCAL_LENGTH.*unedited"):
        read_settings(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<!DOCTYPE html><html><p>a: b: c</html>", "not YAML|instead of sections"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"", "instead of sections"),
        (b"- 1\n- 2\n", "instead of sections"),
        (b"a: !!python/object/apply:os.system ['touch pwned']", "not YAML"),
        (b"a: 2020-99-99", "not YAML"),
        (b"[" * 1000, "not YAML"),
    ],
)
def test_what_is_no_configuration(tmp_path, content, found):
    path = tmp_path / "model_config.yaml"
    path.write_bytes(content)
    with pytest.raises(HamerError, match=found) as raised:
        read_settings(path)
    assert str(path) in str(raised.value)
    assert not (tmp_path / "pwned").exists()


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(HamerError, match="found no file.*comes with the checkpoint"):
        read_settings(tmp_path / "model_config.yaml")
    with pytest.raises(HamerError, match="cannot be read"):
        read_settings(tmp_path)
