from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from handroll.models.checkpoint import Checkpoint, save_checkpoint
from handroll.models.correction import Corrector, load_corrector
from handroll.models.correction_baselines import LstmCorrector, LstmSettings, interpolated, moving_average
from handroll.models.correction_input import correction_loss, fill_missing, input_frames
from handroll.models.mapnet import Mapnet, MapnetSettings
from handroll.training_data.windows import RELEASED_SCALES

FRAMES, FEATURES = 30, 5
TINY = MapnetSettings(FEATURES, FRAMES, every=3, steps=FRAMES, width=32, layers=2, fusion_layers=1, heads=4, feedforward=64, dropout=0.0)
SMALL_LSTM = LstmSettings(FEATURES, FRAMES, every=3, width=16, layers=1)


def batch(windows=4, frames=FRAMES, every=3, seed=0):
    """Smooth random motion, its observed frames, and random music."""
    generator = torch.Generator().manual_seed(seed)
    inputs = input_frames(frames, every)
    position = 600.0 + 3.0 * torch.randn(windows, frames, 6, generator=generator).cumsum(dim=1)
    pose = 0.03 * torch.randn(windows, frames, 96, generator=generator).cumsum(dim=1)
    observed = torch.rand(windows, inputs, 2, generator=generator) > 0.2
    return {
        "position": position,
        "pose": pose,
        "given": (position[:, ::every] + 3.0, pose[:, ::every], observed),
        "scale": torch.full((windows, 2), 1.05),
        "music": torch.randn(windows, frames, FEATURES, generator=generator),
    }


def parameters(settings):
    return sum(value.numel() for value in Mapnet(settings).parameters())


def test_size_is_that_of_the_paper():
    """The paper states the width 160, 150 steps and 12 + 2 layers (late fusion). The counts are stated in docs/measurements.md."""
    late = MapnetSettings(35, every=3)
    assert (late.width, late.steps, late.frames, late.layers, late.fusion_layers) == (160, 150, 150, 12, 2)
    layer = 4 * 160 * 161 + 2 * 160 * 640 + 640 + 160 + 4 * 160
    embeddings, norms = (112 + 1 + 35 + 1) * 160, 3 * 2 * 160
    rebalancing, head = (50 + 1) * 150 + (150 + 1) * 150, (300 + 1) * 150 + 161 * 160 + 161 * 102
    assert parameters(late) == 26 * layer + embeddings + norms + rebalancing + head == 8_183_712
    assert parameters(replace(late, layers=7, fusion_layers=7)) == 6_637_312
    assert parameters(replace(late, layers=2, fusion_layers=12)) == 5_090_912
    assert parameters(replace(late, music=False)) == 4_421_122


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("changes", [{}, {"rebalanced": False}, {"music": False}, {"steps": 20}])
def test_shapes(every, changes):
    made = batch(2, 31, every)
    network = Mapnet(replace(TINY, frames=31, every=every, **changes))
    position, pose = network(*made["given"], made["scale"], made["music"])
    assert position.shape == (2, 31, 6) and pose.shape == (2, 31, 96)
    # The untrained network returns the interpolated input.
    for values, wanted in zip((position, pose), interpolated(*made["given"], 31, every), strict=True):
        torch.testing.assert_close(values, wanted)


def test_missing_frames_are_interpolated_for_each_hand():
    values = torch.arange(8.0)[None, :, None].expand(1, 8, 2).clone() ** 2
    observed = torch.tensor([[0, 1, 0, 0, 1, 1, 0, 0], [0] * 8], dtype=torch.bool).T[None]
    values[~observed] = 1e6
    filled = fill_missing(values, observed)
    torch.testing.assert_close(filled[0, :, 0], torch.tensor([1.0, 1.0, 6.0, 11.0, 16.0, 25.0, 25.0, 25.0]))
    assert not filled[0, :, 1].any()


def trained_slightly(network):
    """Give the last layer random weights, so that the output depends on everything."""
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.weight, std=0.5)
    return network.eval()


@pytest.mark.parametrize("network", [Mapnet(TINY), LstmCorrector(SMALL_LSTM)], ids=["mapnet", "lstm"])
def test_frames_that_are_not_observed_have_no_influence(network):
    made, network = batch(), trained_slightly(network)
    position, pose, observed = made["given"]
    with torch.no_grad():
        before = network(position, pose, observed, made["scale"], made["music"])
        hidden = (~observed).repeat_interleave(3, dim=-1)
        after = network(position + 1e3 * hidden, pose, observed, made["scale"], made["music"])
        masked = network(position, pose, torch.zeros_like(observed), made["scale"], made["music"])
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    assert (before[0] - masked[0]).abs().max() > 1.0


@pytest.mark.parametrize("kind", [Mapnet, LstmCorrector])
@pytest.mark.parametrize("music", [True, False])
def test_music_is_used_only_if_it_is_part_of_the_settings(kind, music):
    made = batch()
    network = trained_slightly(kind(replace(TINY if kind is Mapnet else SMALL_LSTM, music=music)))
    with torch.no_grad():
        one, other = (network(*made["given"], made["scale"], values)[0] for values in (made["music"], 0.0 * made["music"]))
    assert torch.equal(one, other) != music


def test_hidden_hands_do_not_count_in_the_loss():
    made, visible = batch(), torch.ones(4, FRAMES, 2, dtype=torch.bool)
    truth = made["position"], made["pose"]
    wrong = truth[0].clone(), truth[1]
    wrong[0][:, 10:, 3:] += 30.0
    assert float(correction_loss(wrong, truth, made["scale"], visible)[1]) == pytest.approx(30.0 * 3**0.5 * 20 / 60, rel=1e-4)
    visible[:, 10:, 1] = False
    assert float(correction_loss(wrong, truth, made["scale"], visible)[0]) < 1e-3
    assert float(correction_loss(wrong, truth, made["scale"], torch.zeros_like(visible))[0]) == 0.0


def fit(network, made, steps, rate=3e-3):
    """Train on one batch. Return the MPJPE before and after, mm."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    visible = torch.ones(*made["position"].shape[:2], 2, dtype=torch.bool)
    errors = []
    for _ in range(steps):
        predicted = network(*made["given"], made["scale"], made["music"])
        loss, mpjpe = correction_loss(predicted, (made["position"], made["pose"]), made["scale"], visible)
        errors.append(float(mpjpe.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return errors[0], errors[-1]


def test_it_overfits_four_windows_to_less_than_a_millimetre():
    torch.manual_seed(0)
    before, after = fit(Mapnet(replace(TINY, width=64, feedforward=128)), batch(), 400)
    assert before > 5.0 and after < 1.0


def test_music_helps_and_silence_does_not():
    """The middle finger follows the music in frames between the observed ones, so that the pose alone does not contain its movement."""

    def played(seed):
        made = batch(12, seed=seed)
        made["pose"] *= 0.0
        made["pose"][..., 3 * 4 + 2] = 0.5 * made["music"][..., 0]
        made["pose"][:, ::3, 3 * 4 + 2] = 0.0
        made["position"][:] = 600.0
        made["given"] = made["position"][:, ::3], made["pose"][:, ::3], torch.ones(12, 10, 2, dtype=torch.bool)
        return made

    def error(made, **changes):
        torch.manual_seed(0)
        network = Mapnet(replace(TINY, **changes))
        fit(network, made, 80)
        test = played(1) | ({"music": 0.0 * made["music"]} if not made["music"].any() else {})
        with torch.no_grad():
            predicted = network.eval()(*test["given"], test["scale"], test["music"])
        visible = torch.ones(12, FRAMES, 2, dtype=torch.bool)
        return float(correction_loss(predicted, (test["position"], test["pose"]), test["scale"], visible)[1])

    made = played(0)
    with_music, without, silent = error(made), error(made, music=False), error(made | {"music": 0.0 * made["music"]})
    assert with_music < 0.7 * without
    assert silent > 0.95 * without


def test_comparison_methods_without_training():
    made = batch()
    constant = torch.ones_like(made["position"]), torch.ones_like(made["pose"])
    observed = made["given"][2]
    averaged = moving_average(constant[0][:, ::3], constant[1][:, ::3], observed, FRAMES, 3, 50.0)
    assert [part.shape for part in averaged] == [(4, FRAMES, 6), (4, FRAMES, 96)]
    known = observed.any(dim=1).repeat_interleave(3, dim=-1)[:, None].expand(4, FRAMES, 6)
    torch.testing.assert_close(averaged[0][known], constant[0][known])
    noisy = made["given"][1], moving_average(*made["given"], FRAMES, 3, 50.0)[1]
    assert noisy[1].diff(dim=1).abs().mean() < 0.3 * noisy[0].diff(dim=1).abs().mean()
    before, after = fit(LstmCorrector(SMALL_LSTM), made, 60, 1e-2)
    assert after < 0.8 * before


@pytest.mark.parametrize(("kind", "network"), [("mapnet", Mapnet(TINY)), ("lstm", LstmCorrector(SMALL_LSTM))])
def test_a_saved_model_gives_the_same_motion(kind, network, tmp_path):
    network, made = trained_slightly(network), batch()
    about = {"frame": "keyboard", "rate_hz": 50.0, "frames": FRAMES, "features": "notes", "encoder": "notes 1"}
    path = tmp_path / f"{kind}.safetensors"
    save_checkpoint(path, Checkpoint(kind, asdict(network.settings), RELEASED_SCALES, about, network.state_dict()))
    model, loaded = load_corrector(path, kind)
    assert loaded == about and model.rate_hz == 50.0 and model.parameters == sum(value.numel() for value in network.parameters())
    arguments = [values.numpy() for values in (*made["given"], made["scale"], made["music"])]
    for values, wanted in zip(model.correct_windows(*arguments), Corrector(network, 50.0).correct_windows(*arguments), strict=True):
        np.testing.assert_array_equal(values, wanted)


@pytest.mark.parametrize(("every", "frames"), [(1, 30), (2, 31), (3, 31)])
def test_a_long_motion_equals_its_only_window_and_is_blended_beyond(every, frames):
    model = Corrector(trained_slightly(Mapnet(replace(TINY, every=every, frames=frames))), 50.0)
    made = batch(1, 3 * frames, every)
    one = [values[0].numpy() for values in (*made["given"], made["scale"], made["music"])]
    position, pose = model.correct_long(*one)
    given = len(one[2])
    assert position.shape == (every * given, 6) and pose.shape == (every * given, 96)
    assert np.isfinite(position).all() and np.isfinite(pose).all()
    inputs = input_frames(frames, every)
    first = [values[None, :inputs] for values in one[:3]] + [one[3][None], one[4][None, :frames]]
    hop = every * (inputs // 2)
    np.testing.assert_allclose(position[:hop], model.correct_windows(*first)[0][0, :hop], rtol=1e-4)
