import dataclasses

import numpy as np
import pytest
import torch

from handroll.models.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from handroll.models.diffusion import diffusion_loss, schedule
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.s2c import FUSIONS, HandDenoiser, S2CDenoisers, S2CPositions, S2CSettings
from handroll.models.s2c_fusion import AsymmetricAttention, CrossAttention
from handroll.models.two_stage import S2C_KINDS, TwoStage, load_two_stage
from handroll.training_data.windows import RELEASED_SCALES

FEATURES, FRAMES = 5, 32
SMALL = S2CSettings(FEATURES, 16, context_layers=1, layers=1, feedforward=16, dim=8, multipliers=(1, 2, 2), dropout=0.0)
POSITION = PositionSettings(FEATURES, 16, 1, 16, layers=1, feedforward=16)


def perturbed(network):
    """The network with other weights for each hand; both hands start from the same."""
    with torch.no_grad():
        for value in network.parameters():
            value += 0.1 * torch.randn(value.shape)
    return network


@pytest.fixture(params=FUSIONS)
def denoisers(request):
    torch.manual_seed(0)
    return perturbed(S2CDenoisers(dataclasses.replace(SMALL, fusion=request.param))).eval()


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(1)
    return perturbed(S2CPositions(POSITION)).eval(), perturbed(S2CDenoisers(SMALL)).eval()


@pytest.fixture
def inputs(arr):
    """Noisy motion, steps, features and a guide of some clips."""
    return lambda clips: (arr(1, clips, 96, 16), 300 * torch.arange(clips), arr(2, clips, 16, FEATURES), arr(3, clips, 6, 16))


def run(denoisers, noisy, step, features, guide):
    return denoisers(noisy, step, denoisers.encode_condition(features), guide)


def test_gradients_of_a_hand_reach_both_hands(denoisers, inputs):
    for hand in (slice(0, 48), slice(48, 96)):
        denoisers.zero_grad()
        run(denoisers, *inputs(2))[:, hand].square().sum().backward()
        own, other = (denoisers.right, denoisers.left) if hand.start == 0 else (denoisers.left, denoisers.right)
        assert all(value.grad is not None and value.grad.abs().max() > 0.0 for value in own.parameters())
        assert other.downs[0][0].block1.proj.weight.grad.abs().max() > 0.0
        assert other.project_motion.weight.grad.abs().max() > 0.0
        # The way up of the other hand does not contribute.
        assert other.final_conv.weight.grad is None or other.final_conv.weight.grad.abs().max() == 0.0


def test_hands_are_the_same_function_until_they_are_trained(inputs):
    torch.manual_seed(2)
    denoisers = S2CDenoisers(SMALL)
    noisy, step, features, guide = inputs(2)
    straight = run(denoisers, noisy, step, features, guide)
    crossed = run(denoisers, noisy.roll(48, dims=1), step, features, guide.roll(3, dims=1))
    assert torch.allclose(crossed.roll(48, dims=1), straight, atol=1e-5)


@pytest.mark.parametrize("changed", range(4))
def test_every_input_has_an_effect_on_both_hands(denoisers, inputs, changed):
    values = list(inputs(1))
    before = run(denoisers, *values)
    values[changed] = values[changed] + 1
    for hand in (run(denoisers, *values) - before).chunk(2, dim=1):
        assert hand.abs().max() > 1e-4


def test_a_clip_is_the_same_in_any_batch(denoisers, inputs):
    values = inputs(3)
    assert torch.allclose(run(denoisers, *values)[1:2], run(denoisers, *(value[1:2] for value in values)), atol=1e-5)


def test_unknown_fusion_modes_are_refused():
    with pytest.raises(ValueError, match="expected a fusion mode from 0 to 4, found 5"):
        HandDenoiser(dataclasses.replace(SMALL, fusion=5))


def test_only_the_causal_switch_hides_later_frames(arr):
    torch.manual_seed(3)
    own, other = arr(4, 1, 16, 30), arr(5, 1, 16, 30)
    for causal in (False, True):
        attention = AsymmetricAttention(16, causal)
        for changed in (0, 1):
            frames = [own.clone(), other.clone()]
            frames[changed][..., 20:] += 1.0
            difference = (attention(*frames) - attention(own, other)).abs().amax(dim=1)[0]
            assert (difference[:20].max() < 1e-6) == causal and difference[20:].min() > 1e-4


def test_asymmetric_attention_cancels_what_both_hands_share(arr):
    """With the same weights for both hands and lambda 1, the difference of equal frames is zero."""
    attention = AsymmetricAttention(16)
    with torch.no_grad():
        for name in ("query", "key", "value"):
            getattr(attention, f"{name}_other").weight.copy_(getattr(attention, f"{name}_own").weight)
        attention.lambda_query_own.fill_(0.0)
        attention.lambda_query_other.fill_(0.0)
        assert attention.other_weight() == pytest.approx(0.1)
        attention.lambda_query_own.fill_(1.0)
        attention.lambda_key_own.fill_(np.log(1.9) / 2)
        assert attention.other_weight().item() == pytest.approx(1.0, abs=1e-6)
        frames = arr(6, 2, 16, 10)
        constant = attention.mlp(attention.out(attention.norm(torch.zeros(16))))
        assert torch.allclose(attention(frames, frames), constant[None, :, None].expand(2, 16, 10), atol=1e-3)


def test_cross_attention_is_to_all_frames_of_the_other_hand(arr):
    torch.manual_seed(4)
    attention, own, other = CrossAttention(16), arr(7, 1, 16, 10), arr(8, 1, 16, 10)
    shuffled = torch.randperm(10)
    assert torch.allclose(attention(own, other[..., shuffled]), attention(own, other), atol=1e-5)
    assert torch.allclose(attention(own[..., shuffled], other), attention(own, other)[..., shuffled], atol=1e-5)


def test_predictors_are_independent(arr):
    torch.manual_seed(5)
    positions = S2CPositions(POSITION)
    features = arr(9, 2, 12, FEATURES)
    found, context = positions(features, with_context=True)
    assert found.shape == (2, 12, 6) and context.shape == (2, 12, 32)
    found[..., :3].sum().backward()
    assert positions.left.project.weight.grad.abs().max() == 0.0 and positions.right.project.weight.grad.abs().max() > 0.0
    positions.eval()
    alone = PositionPredictor(POSITION, 3).eval()
    alone.load_state_dict(positions.left.state_dict())
    assert torch.equal(positions(features)[..., 3:], alone(features))


def test_each_hand_can_have_its_own_features(arr):
    torch.manual_seed(6)
    shared, own = S2CPositions(POSITION).eval(), S2CPositions(POSITION, own_features=True).eval()
    own.load_state_dict(shared.state_dict())
    right, left = arr(10, 1, 12, FEATURES), arr(11, 1, 12, FEATURES)
    expected = torch.cat([shared(right)[..., :3], shared(left)[..., 3:]], dim=-1)
    assert torch.equal(own(torch.cat([right, left], dim=-1)), expected)


def test_dead_parameters_are_not_built():
    with torch.device("meta"):
        names = [
            {name.split(".")[0] for name, _ in HandDenoiser(dataclasses.replace(SMALL, fusion=mode)).named_parameters()} for mode in FUSIONS
        ]
    assert ["cross_attention" in found for found in names] == [False, False, True, True, False]
    assert ["hcaa" in found for found in names] == [False, False, False, False, True]


def test_the_loss_adds_errors_of_changes(arr):
    clean, noise, step = 0.3 * arr(12, 2, 96, 16), arr(13, 2, 96, 16), torch.tensor([10, 700])
    share = schedule().alphas_cumprod[step][:, None, None]
    noisy = schedule().add_noise(clean, noise, step)
    guess = arr(14, 2, 96, 16)
    # The v that says that the clean motion is the guess.
    v = (share.sqrt() * noisy - guess) / (1.0 - share).sqrt()
    plain, whole = (diffusion_loss(lambda *_: v, clean, noise, step, change_weights=weights) for weights in ((0.0, 0.0), (0.3, 0.7)))
    first = (share * (guess - clean).diff(dim=-1).square()).mean()
    second = (share * (guess - clean).diff(dim=-1).diff(dim=-1).square()).mean()
    assert whole.item() == pytest.approx((plain + 0.3 * first + 0.7 * second).item(), rel=1e-4)


def test_errors_of_changes_ignore_hidden_frames(arr):
    clean, noise, step = 0.3 * arr(15, 1, 96, 16), arr(16, 1, 96, 16), torch.tensor([100])
    visible = torch.ones(1, 16, 2, dtype=torch.bool)
    visible[0, 8, 1] = False
    error = torch.zeros(1, 96, 16)
    error[0, 48:, 8] = 5.0
    losses = [
        diffusion_loss(lambda noisy, at, e=e: noisy + e, clean, noise, step, visible, (1.0, 1.0)) for e in (torch.zeros(1, 96, 16), error)
    ]
    assert losses[0] == losses[1]


def test_a_motion_does_not_depend_on_its_batch(pair):
    model = TwoStage(*pair, RELEASED_SCALES, FRAMES)
    features = np.random.default_rng(0).normal(size=(3, FRAMES, FEATURES))
    together = model.generate(features, "ddpm", 3, [1, 2, 3])
    alone = model.generate(features[1:2], "ddpm", 3, [2])
    for whole, single in zip(together, alone, strict=True):
        np.testing.assert_allclose(whole[1], single[0], atol=1e-4)
    long = model.generate_long(features[1], "ddpm", 3, 2)
    np.testing.assert_allclose(long[1], alone[1][0], atol=1e-4)
    assert model.generate_long(np.concatenate(features), "ddpm", 2, 2)[1].shape == (3 * FRAMES, 96)


def test_only_the_switch_gives_both_hands_the_same_initial_noise(pair):
    starts = []

    class Recorded(S2CDenoisers):
        def forward(self, noisy, *rest):
            starts.append(noisy.clone())
            return super().forward(noisy, *rest)

    denoisers = Recorded(SMALL)
    for shared in (False, True):
        model = TwoStage(pair[0], denoisers, RELEASED_SCALES, FRAMES)
        model.generate(np.zeros((2, FRAMES, FEATURES)), "ddpm", 2, [0, 1], shared_noise=shared)
    independent, later, shared, later_shared = (part.chunk(2, dim=1) for part in starts)
    assert torch.equal(*shared) and torch.equal(independent[0], shared[0]) and not torch.allclose(*independent)
    assert not torch.allclose(*later) and not torch.allclose(*later_shared)


def test_checkpoints_come_back(pair, tmp_path):
    about = {"frame": "keyboard", "rate_hz": 30.0, "frames": FRAMES, "features": "notes", "encoder": "notes 1", "history": []}
    paths = [tmp_path / f"{kind}.safetensors" for kind in S2C_KINDS]
    for kind, path, network in zip(S2C_KINDS, paths, pair, strict=True):
        save_checkpoint(path, Checkpoint(kind, dataclasses.asdict(network.settings), RELEASED_SCALES, about, network.state_dict()))
        state = load_checkpoint(path, kind).network().state_dict()
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    model, found = load_two_stage(*paths, kinds=S2C_KINDS)
    features = np.random.default_rng(1).normal(size=(1, FRAMES, FEATURES))
    expected = TwoStage(*pair, RELEASED_SCALES, FRAMES).generate(features, "dpmsolver++", 2, [5])
    assert found == about
    for ours, theirs in zip(model.generate(features, "dpmsolver++", 2, [5]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(CheckpointError, match="expected a gesture model .* found a s2c_gesture model"):
        load_checkpoint(paths[1], "gesture")
    with pytest.raises(CheckpointError, match="expected an s2c_gesture model .* found a s2c_position model"):
        load_checkpoint(paths[0], "s2c_gesture")


def test_a_checkpoint_of_fusion_0_comes_back(tmp_path):
    denoisers = S2CDenoisers(dataclasses.replace(SMALL, fusion=0))
    about = {"frame": "keyboard", "rate_hz": 30.0, "frames": FRAMES, "features": "notes", "encoder": "notes 1"}
    checkpoint = Checkpoint("s2c_gesture", dataclasses.asdict(denoisers.settings), RELEASED_SCALES, about, denoisers.state_dict())
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    assert load_checkpoint(tmp_path / "a.safetensors", "s2c_gesture").network().settings.fusion == 0
    save_checkpoint(tmp_path / "b.safetensors", dataclasses.replace(checkpoint, settings=checkpoint.settings | {"fusion": 7}))
    with pytest.raises(CheckpointError, match="expected a fusion mode from 0 to 4, found 7"):
        load_checkpoint(tmp_path / "b.safetensors", "s2c_gesture")
    save_checkpoint(tmp_path / "c.safetensors", dataclasses.replace(checkpoint, about=about | {"frames": 30}))
    with pytest.raises(CheckpointError, match="windows of 30 frames"):
        load_checkpoint(tmp_path / "c.safetensors", "s2c_gesture")
