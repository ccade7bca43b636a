import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder
from handroll.models.diffusion import diffusion_loss, sample
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.released import ReleasedError, load_autoencoder, load_gesture, load_position, released_names
from handroll.models.speech_encoder import new_speech_encoder

LISTING = Path(__file__).resolve().parents[4] / "shared" / "specs" / "pianomotion10m-state-dicts.txt"
needs_listing = pytest.mark.skipif(not LISTING.exists(), reason="needs the listing of the released tensors")


def assert_is(values, mean, mean_abs, first, last):
    """Compare with the released code's output, of which four numbers are known to six digits."""
    flat = values.detach().flatten()
    found = [flat.mean().item(), flat.abs().mean().item(), flat[0].item(), flat[-1].item()]
    assert found == pytest.approx([mean, mean_abs, first, last], abs=2e-6)


def listed_shapes(section):
    """Names and shapes of a section of the listing."""
    text = LISTING.read_text().split(f"\n## ({section}) ")[1].split("\n## ")[0]
    return {
        name: tuple(map(int, re.findall(r"\d+", shape))) for name, shape in re.findall(r"^([^#\s]\S*)\t\[(.*)\]$", text, flags=re.MULTILINE)
    }


def shapes_of(network):
    return {released: tuple(network.state_dict()[name].shape) for name, released in released_names(network).items()}


@pytest.fixture(scope="module")
def predictor(position_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("stage_one") / "piano2posi.ckpt"
    torch.save({"state_dict": position_state(), "hyper_parameters": Namespace(num_layer=2)}, path)
    return load_position(path).predictor


@pytest.fixture(scope="module")
def unet(gesture_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("stage_two") / "piano2pose.ckpt"
    # The networks were filled by their names without the prefix of the file.
    torch.save({"state_dict": gesture_state(), "hyper_parameters": {}}, path)
    return load_gesture(path).unet


@torch.no_grad()
def test_positions_of_a_clip_alone(predictor, arr):
    assert_is(predictor(arr(11, 1, 60, 768), released=True), 0.013260, 0.322892, -0.527871, 0.478883)


@torch.no_grad()
def test_positions_of_a_batch(predictor, arr):
    assert_is(predictor(arr(11, 2, 60, 768), released=True), 0.050566, 0.320767, 0.028931, 0.362860)


@torch.no_grad()
def test_a_clip_alone_differs_from_itself_in_a_batch_as_released_and_only_then(predictor, arr):
    clip = arr(11, 1, 60, 768)
    twice = predictor(clip.expand(2, -1, -1), released=True)[:1]
    assert (predictor(clip, released=True) - twice).abs().max().item() == pytest.approx(0.5800, abs=1e-4)
    assert torch.allclose(predictor(clip), twice, atol=1e-5)


@torch.no_grad()
def test_the_condition_of_gestures(unet, arr):
    condition = unet.encode_condition(arr(22, 2, 240, 64), released=True)
    assert condition.shape == (2, 64, 240)
    assert_is(condition, 0.007852, 0.796126, -1.313194, 0.862469)


@torch.no_grad()
def test_the_denoiser_and_its_loss(unet, arr):
    condition = unet.encode_condition(arr(22, 2, 240, 64), released=True)
    guide, step = arr(21, 2, 240, 6, scale=0.3).transpose(1, 2), torch.tensor([10, 700])
    assert_is(unet(arr(23, 2, 96, 240), step, condition, guide), 0.006765, 0.160088, -0.050671, 0.044369)

    def denoise(noisy, at):
        return unet(noisy, at, condition, guide)

    loss = diffusion_loss(denoise, arr(24, 2, 96, 240, scale=0.3), arr(25, 2, 96, 240), step)
    assert loss.item() == pytest.approx(0.5496198, abs=1e-6)


def test_features_of_the_auto_encoder(write, released_state):
    with torch.device("meta"):
        network = MotionAutoencoder(AutoencoderSettings())
    path = write({"pose_dim": 96, "gen_dict": released_state(network)})
    random = np.random.default_rng(20000)
    walk = (random.normal(0.0, 0.3, (1, 96)) + random.normal(0.0, 0.02, (240, 96)).cumsum(0)).astype(np.float32)
    features = load_autoencoder(path).features(torch.from_numpy(walk)[None])
    assert features.shape == (1, 256)
    assert_is(features, -0.013430, 0.160395, 0.186560, 0.036173)


@needs_listing
def test_base_sizes_of_stage_one():
    with torch.device("meta"):
        predictor, speech = PositionPredictor(PositionSettings(768, bounded=True)), new_speech_encoder("hubert", "base")
    unused = {"pos_feature_map.weight": (512, 6), "pos_feature_map.bias": (512,)}
    assert shapes_of(predictor) | unused == listed_shapes("a")
    numbers = sum(value.numel() for network in (predictor, speech) for value in network.parameters())
    assert numbers + 6 * 512 + 512 + 32 * 1024 + 32 == 117_996_326


@needs_listing
def test_base_sizes_of_stage_one_with_a_state_space():
    with torch.device("meta"):
        predictor = PositionPredictor(PositionSettings(768, decoder="ssm", state=16))
    assert shapes_of(predictor) | {"pos_feature_map.weight": (512, 6), "pos_feature_map.bias": (512,)} == listed_shapes("a2")


@needs_listing
def test_base_sizes_of_stage_two():
    with torch.device("meta"):
        unet = GestureUNet(GestureSettings(768))
    assert shapes_of(unet) == listed_shapes("b")
    assert sum(value.numel() for value in unet.parameters()) == 273_646_944


@needs_listing
def test_base_sizes_of_stage_two_with_a_state_space():
    with torch.device("meta"):
        unet = GestureUNet(GestureSettings(768, decoder="ssm", state=8))
    assert {name: shape for name, shape in shapes_of(unet).items() if name.startswith("mamba")} == listed_shapes("b2")
    assert sum(value.numel() for value in unet.parameters()) == 231_682_912


@needs_listing
def test_sizes_of_the_auto_encoder():
    with torch.device("meta"):
        network = MotionAutoencoder(AutoencoderSettings())
    assert shapes_of(network) == listed_shapes("c")
    assert sum(value.numel() for value in network.parameters()) == 2_426_368


def test_sizes_come_from_the_tensors(write, gesture_state, position_state):
    state = gesture_state(dim=16, multipliers=(1, 2), decoder="ssm", state=3)
    state |= {f"piano2posi.{name}": value for name, value in position_state(64, feedforward=40).items()}
    loaded = load_gesture(write({"state_dict": state}))
    assert loaded.unet.settings == GestureSettings(64, 64, dim=16, multipliers=(1, 2), decoder="ssm", state=3)
    assert loaded.position.predictor.settings == PositionSettings(64, 64, layers=2, feedforward=40, bounded=True)
    assert loaded.position.speech.network.config.num_hidden_layers == 1
    assert not any(network.training for network in (loaded.unet, loaded.position.predictor, loaded.position.speech))


@pytest.mark.parametrize("large", [False, True])
def test_the_speech_encoder_gives_the_features_of_the_saved_one(write, position_state, small_speech, released_state, large, arr):
    speech = small_speech(64, feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True) if large else small_speech(64)
    state = {name: value for name, value in position_state(64).items() if "audio_encoder" not in name} | released_state(speech)
    loaded = load_position(write({"state_dict": state})).speech
    assert loaded.network.config.do_stable_layer_norm is large
    speech.load_state_dict({name: state[released] for name, released in released_names(speech).items()}, assign=True)
    sound = arr(3, 2, 8000)
    assert torch.equal(loaded(sound, 15), speech(sound, 15))


def test_from_audio_to_gestures(write, gesture_state, arr):
    loaded = load_gesture(write({"state_dict": gesture_state(dim=16, multipliers=(1, 2))}))
    with torch.no_grad():
        features = loaded.position.speech(arr(5, 2, 8000), 16, released=True)
        positions, context = loaded.position.predictor(features, with_context=True, released=True)
        condition, guide = loaded.unet.encode_condition(context, released=True), positions.transpose(1, 2)
        generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        motion = sample(lambda noisy, step: loaded.unet(noisy, step, condition, guide), (2, 96, 16), "ddpm", 5, generators, clip_range=1.0)
    assert motion.shape == (2, 96, 16) and motion.abs().max() <= 1.0
    assert positions.abs().max() < 1.0


def test_the_older_spelling_of_the_weight_norm_is_the_same(write, position_state):
    state = position_state(64)
    older = {
        name.replace(".parametrizations.weight.original0", ".weight_g").replace(".parametrizations.weight.original1", ".weight_v"): value
        for name, value in state.items()
    }
    assert older.keys() != state.keys()
    one, other = (load_position(write({"state_dict": content})).speech.state_dict() for content in (state, older))
    assert all(torch.equal(one[name], other[name]) for name in one)


def message_of(load, path):
    with pytest.raises(ReleasedError) as raised:
        load(path)
    message = str(raised.value)
    assert str(path) in message and "expected" in message and "found" in message
    return message


def test_missing_unknown_and_misshapen_tensors_are_listed(write, position_state):
    state = position_state(64)
    del state["bs_map_r.0.bias"]
    state["bs_map_r.2.bias"] = torch.zeros(6)
    state["bs_map_r.1.bias"] = torch.zeros(3)
    message = message_of(load_position, write({"state_dict": state}))
    assert "bs_map_r.0.bias" in message and "bs_map_r.2.bias" in message and "bs_map_r.1.bias (3,) instead of (6,)" in message


def test_missing_tensors_that_determine_the_sizes(write, position_state):
    state = position_state(64)
    del state["audio_feature_map_cont.weight"]
    assert "audio_feature_map_cont.weight" in message_of(load_position, write({"state_dict": state}))


def test_inconsistent_sizes(write, position_state):
    state = position_state(64) | {"audio_feature_map_cont.weight": torch.zeros(510, 64)}
    assert "do not fit together" in message_of(load_position, write({"state_dict": state}))
    assert "do not fit together" in message_of(
        load_position, write({"state_dict": state | {"audio_feature_map_cont.weight": torch.zeros(5)}})
    )


@pytest.mark.parametrize("name", ["betas", "alphas_cumprod", "loss_weight"])
def test_another_diffusion_is_refused(write, gesture_state, name):
    state = gesture_state(dim=16, multipliers=(1,))
    assert name in message_of(load_gesture, write({"state_dict": state | {name: torch.linspace(1e-4, 0.02, 1000)}}))
    assert name in message_of(load_gesture, write({"state_dict": state | {name: state[name][:100]}}))


def test_code_in_a_file_is_not_run(write, tmp_path):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    assert "not run" in message_of(load_autoencoder, write({"gen_dict": Hostile()}))
    assert not (tmp_path / "run").exists()


def test_other_files_are_refused(write, tmp_path, position_state):
    assert "no file" in message_of(load_position, tmp_path / "absent.ckpt")
    (tmp_path / "page.ckpt").write_text("<html>")
    message_of(load_position, tmp_path / "page.ckpt")
    message_of(load_position, write({"gen_dict": {}}))
    message_of(load_autoencoder, write([1]))
    whole = write({"state_dict": position_state(64)})
    (tmp_path / "half.ckpt").write_bytes(whole.read_bytes()[:5000])
    message_of(load_position, tmp_path / "half.ckpt")
