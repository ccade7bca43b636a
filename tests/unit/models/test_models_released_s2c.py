import re
from pathlib import Path

import numpy as np
import pytest
import torch

from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.released import ReleasedError, load_gesture, load_s2c_gesture, load_s2c_position, released_names
from handroll.models.s2c import FUSIONS, HandDenoiser, S2CSettings
from handroll.models.s2c_fusion import AsymmetricAttention, CrossAttention
from handroll.models.speech_encoder import new_speech_encoder
from handroll.models.two_stage import TwoStage
from handroll.training_data.windows import RELEASED_SCALES

LISTING = Path(__file__).resolve().parents[4] / "shared" / "specs" / "pianomotion10m-state-dicts.txt"
needs_listing = pytest.mark.skipif(not LISTING.exists(), reason="needs the listing of the released tensors")

UNUSED_POSITION = 512 * 6 + 512 + 32 * 1024 + 32
"""Number of parameters of the layers in the first stage that the released code never calls."""

# Mean, mean absolute value, first and last value of the left hand's v, by fusion mode: outputs of the released code.
LEFT = {
    0: (0.004572, 0.161047, -0.296093, -0.012783),
    1: (0.004530, 0.160985, -0.294446, -0.021465),
    2: (0.004686, 0.161070, -0.294380, -0.016245),
    3: (0.004614, 0.161109, -0.293856, -0.016656),
    4: (0.004600, 0.161227, -0.292582, -0.015930),
}


def assert_is(values, numbers):
    """Compare with an output of the released code, of which four numbers are known to six digits."""
    flat = values.detach().flatten()
    assert [flat.mean().item(), flat.abs().mean().item(), flat[0].item(), flat[-1].item()] == pytest.approx(numbers, abs=2e-6)


def hand_of_size(fusion):
    """The denoiser of a hand with the released sizes, without memory, and its number of parameters with the dead ones."""
    with torch.device("meta"):
        hand, unused = HandDenoiser(S2CSettings(1024, 1024, channels=48, fusion=fusion)), CrossAttention(2048)
    dead = sum(value.numel() for value in unused.parameters()) if fusion in (1, 4) else 0
    return hand, sum(value.numel() for value in hand.parameters()) + dead


def listed_shapes(section):
    """Names and shapes of a section of the listing that begins with a text."""
    text = next(part for part in LISTING.read_text().split("\n## ") if part.startswith(section))
    return {
        name: tuple(map(int, re.findall(r"\d+", shape))) for name, shape in re.findall(r"^([^#\s]\S*)\t\[(.*)\]$", text, flags=re.MULTILINE)
    }


def shapes_of(network):
    state = network.state_dict()
    return {released: tuple(state[name].shape) for name, released in released_names(network).items()}


@pytest.fixture
def files(write, s2c_state):
    """The files of both hands, of a few channels."""

    def make(fusion=4, right=None, left=None, **settings):
        state = s2c_state(fusion, **settings)
        return [write({"state_dict": state | (hand or {})}, f"{name}.ckpt") for name, hand in (("right", right), ("left", left))]

    return make


@pytest.mark.parametrize("fusion", FUSIONS)
@torch.no_grad()
def test_the_denoisers_are_those_of_the_released_code(files, arr, fusion):
    loaded = load_s2c_gesture(*files(fusion), fusion)
    features = torch.cat([arr(34, 2, 240, 64), arr(33, 2, 240, 64)], dim=-1)
    guide = torch.cat([arr(32, 2, 240, 3, scale=0.3), arr(31, 2, 240, 3, scale=0.3)], dim=-1).transpose(1, 2)
    noisy, step = torch.cat([arr(36, 2, 48, 240), arr(35, 2, 48, 240)], dim=1), torch.tensor([10, 700])
    v = loaded.denoisers(noisy, step, loaded.denoisers.encode_condition(features, released=True), guide)
    assert v.shape == (2, 96, 240)
    assert_is(v[:, 48:], LEFT[fusion])


def test_the_asymmetric_attention_is_that_of_the_released_code(arr, filled):
    with torch.device("meta"):
        hand = HandDenoiser(S2CSettings(16, 16, layers=1, dim=8, channels=48))
    names = {own: released for own, released in released_names(hand).items() if own.startswith("hcaa.")}
    attention = AsymmetricAttention(64, causal=True)

    short = {own.removeprefix("hcaa."): released.removeprefix("diff_attn.") for own, released in names.items()}
    attention.load_state_dict({own: filled(released, attention.state_dict()[own].shape) for own, released in short.items()})
    fused = attention(arr(41, 2, 64, 30), arr(42, 2, 64, 30))
    assert fused.shape == (2, 64, 30)
    assert_is(fused, (0.012256, 0.069888, -0.035015, 0.103234))


def test_released_sizes():
    with torch.device("meta"):
        predictor, speech = PositionPredictor(PositionSettings(1024, 1024), 3), new_speech_encoder("hubert", "large")
    position = sum(value.numel() for network in (predictor, speech) for value in network.parameters()) + UNUSED_POSITION
    hand, numbers = hand_of_size(4)
    assert position == 339_194_019 and numbers == 384_159_280
    assert 2 * (position + numbers) == 1_446_706_598
    assert sum(value.numel() for value in hand.hcaa.parameters()) == 46_148_608
    condition = sum(value.numel() for value in hand.decoder.parameters())
    assert condition == 75_608_064
    without_condition = {fusion: hand_of_size(fusion)[1] - condition for fusion in (0, 1, 2, 3)}
    assert without_condition == {0: 249_803_312, 1: 283_376_176, 2: 262_402_608, 3: 262_402_608}


@needs_listing
def test_released_names():
    with torch.device("meta"):
        predictor = PositionPredictor(PositionSettings(1024, 1024), 3)
        unused = {
            f"cross_attn.{name.replace('attention.', 'cross_attn.')}": value for name, value in CrossAttention(2048).state_dict().items()
        }
    dead = {name: tuple(value.shape) for name, value in unused.items()}
    assert shapes_of(predictor) | {"pos_feature_map.weight": (512, 6), "pos_feature_map.bias": (512,)} == listed_shapes("(d1)")
    assert shapes_of(hand_of_size(4)[0]) | dead == listed_shapes("(d2)")
    for fusion in (0, 1, 2, 3):
        shapes = shapes_of(hand_of_size(fusion)[0]) | (dead if fusion == 1 else {})
        middle = {name: shape for name, shape in shapes.items() if name.startswith(("mid_", "cross_attn."))}
        assert middle == listed_shapes(f"(d3) fusion={fusion}")


def test_from_audio_to_gestures(files, arr):
    paths = files(dim=16, multipliers=(1, 2))
    loaded = load_s2c_gesture(*paths)
    assert loaded.denoisers.settings == S2CSettings(64, 64, layers=2, dim=16, multipliers=(1, 2), causal=True)
    assert not any(network.training for network in (loaded.denoisers, loaded.denoisers.left, loaded.position.predictors.right))
    with torch.no_grad():
        features = loaded.position.features(arr(5, 2, 8000), 16, released=True)
    assert features.shape == (2, 16, 128)
    model = TwoStage(loaded.position.predictors, loaded.denoisers, RELEASED_SCALES, 16, released=True)
    position, pose = model.generate(features.numpy(), "ddpm", 3, [0, 1], shared_noise=True)
    assert position.shape == (2, 16, 6) and pose.shape == (2, 16, 96) and np.abs(pose).max() <= np.pi + 1e-5
    single = model.generate(features[:1].numpy(), "ddpm", 3, [0], shared_noise=True)[1]
    # The released code masks attention at batch size 1 only.
    assert np.abs(single[0] - pose[0]).max() > 1e-3


def test_the_files_of_stage_one(write, position_state):
    right, left = (position_state(64, positions=3) for _ in range(2))
    left["bs_map_r.1.bias"] = left["bs_map_r.1.bias"] + 1.0
    loaded = load_s2c_position(write({"state_dict": right}, "right.ckpt"), write({"state_dict": left}, "left.ckpt"))
    difference = loaded.predictors.left.head[1].bias - loaded.predictors.right.head[1].bias
    assert torch.allclose(difference, torch.ones(3))


def message_of(load, *arguments):
    with pytest.raises(ReleasedError) as raised:
        load(*arguments)
    message = str(raised.value)
    assert "expected" in message and "found" in message and "github.com/monkek123King/S2C" in message
    return message


def test_missing_unknown_and_misshapen_tensors_are_listed(files, s2c_state, write):
    state = s2c_state(dim=16, multipliers=(1, 2))
    path = write({"state_dict": state})
    for name in ("diff_attn.subln.bias", "cross_attn.mlp.0.weight"):
        short = write({"state_dict": {key: value for key, value in state.items() if key != f"model.{name}"}}, "short.ckpt")
        message = message_of(load_s2c_gesture, path, short)
        assert f"without {name}" in message and str(short) in message and "denoiser of the left hand with fusion mode 4" in message
    long = write({"state_dict": state | {"model.diff_attn.more": torch.zeros(1)}}, "long.ckpt")
    assert "unknown diff_attn.more" in message_of(load_s2c_gesture, long, path)
    wrong = write({"state_dict": state | {"model.cross_attn.norm.bias": torch.zeros(3)}}, "wrong.ckpt")
    assert "cross_attn.norm.bias (3,) instead of (32,)" in message_of(load_s2c_gesture, wrong, path)
    wrong = write({"state_dict": state | {"betas": torch.linspace(1e-4, 0.02, 1000)}}, "wrong.ckpt")
    assert "betas" in message_of(load_s2c_gesture, path, wrong)


def test_another_fusion_mode_is_refused(files):
    paths = files(2, dim=16, multipliers=(1, 2))
    assert "without diff_attn." in message_of(load_s2c_gesture, *paths)
    with pytest.raises(ReleasedError, match="expected a fusion mode from 0 to 4, found 9"):
        load_s2c_gesture(*paths, 9)


def test_files_of_other_models_are_refused(write, files, gesture_state, s2c_state, position_state):
    path = write({"state_dict": gesture_state(dim=16, multipliers=(1, 2))})
    assert "without diff_attn." in message_of(load_s2c_gesture, path, path)
    right = files(dim=16, multipliers=(1, 2))[0]
    with pytest.raises(ReleasedError, match="with unknown"):
        load_gesture(right)
    small = write({"state_dict": s2c_state(dim=8, multipliers=(1, 2))}, "small.ckpt")
    assert "other sizes" in message_of(load_s2c_gesture, right, small)
    both = write({"state_dict": position_state(64)}, "both.ckpt")
    assert "bs_map_r.1.bias (6,) instead of (3,)" in message_of(load_s2c_position, both, both)
