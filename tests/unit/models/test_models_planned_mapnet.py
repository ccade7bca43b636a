"""MAPnet that starts from a plan: what an untrained network returns, and its checkpoint."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from handroll.models.checkpoint import Checkpoint, CheckpointError, save_checkpoint
from handroll.models.correction import MAPNETS, load_corrector
from handroll.models.fingertip_network import N_PLAN, PLAN
from handroll.models.planned_mapnet import PlannedMapnet, PlannedMapnetSettings
from handroll.training_data.windows import Scales

FRAMES, FINGERS = 40, 3


def network(every=1):
    torch.manual_seed(0)
    sizes = {"steps": 10, "width": 16, "layers": 1, "fusion_layers": 1, "heads": 2, "feedforward": 16, "dropout": 0.0}
    return PlannedMapnet(PlannedMapnetSettings(FINGERS + N_PLAN, FRAMES, every, **sizes)).eval()


def given(every=1, offset=5.0):
    """A plan of random movements, an input that differs from it by a constant, and the features."""
    rng = np.random.default_rng(0)
    plan = {
        name: torch.from_numpy(rng.normal(size=(2, FRAMES, channels)).cumsum(axis=1).astype(np.float32)) for name, channels in PLAN.items()
    }
    music = torch.cat([torch.zeros(2, FRAMES, FINGERS), *plan.values()], dim=-1)
    position, pose = plan["position"][:, ::every] + offset, plan["pose"][:, ::every] + 0.01 * offset
    observed = torch.ones(*position.shape[:2], 2, dtype=torch.bool)
    return plan, (position, pose, observed, torch.ones(2, 2), music)


@pytest.mark.parametrize("every", [1, 2])
def test_an_untrained_network_moves_the_plan_to_the_input(every):
    plan, (position, pose, observed, scale, music) = given(every)
    observed[0, 5:15, 1] = False
    position[0, 5:15, 3:], pose[0, 5:15, 48:] = 0.0, 0.0
    with torch.inference_mode():
        made = network(every)(position, pose, observed, scale, music)
    # The offset is constant, so that the frames of the gap and those between input frames follow the plan exactly.
    torch.testing.assert_close(made[0], plan["position"] + 5.0, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(made[1], plan["pose"] + 0.05, atol=1e-4, rtol=0.0)


def test_observed_frames_of_an_untrained_network_are_those_of_the_input():
    _, (position, pose, observed, scale, music) = given()
    position = position + torch.randn_like(position)
    with torch.inference_mode():
        made = network()(position, pose, observed, scale, music)
    torch.testing.assert_close(made[0], position, atol=1e-3, rtol=0.0)


def test_a_hand_that_is_never_observed_follows_the_plan():
    plan, (position, pose, observed, scale, music) = given()
    observed[:, :, 0] = False
    with torch.inference_mode():
        made = network()(position, pose, observed, scale, music)
    torch.testing.assert_close(made[0][..., :3], plan["position"][..., :3], atol=1e-3, rtol=0.0)


def test_its_checkpoint_loads_as_a_corrector_and_not_as_a_mapnet(tmp_path):
    model = network()
    scales = Scales((0.0,) * 6, (1.0,) * 6, (0.0,) * 96, (1.0,) * 96, 1.0)
    about = {"features": "planned", "encoder": "toy", "frame": "keyboard", "rate_hz": 30.0, "frames": FRAMES}
    path = tmp_path / "mapnet.safetensors"
    save_checkpoint(path, Checkpoint("planned_mapnet", asdict(model.settings), scales, about, model.state_dict()))
    loaded, found = load_corrector(path, MAPNETS)
    assert found == about and loaded.parameters == sum(value.numel() for value in model.parameters())
    with pytest.raises(CheckpointError, match="expected a mapnet model"):
        load_corrector(path, "mapnet")
