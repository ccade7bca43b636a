from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from handroll.generation.contact_problem import ContactProblem, Contacts
from handroll.generation.contacts import fit_contacts, make_playable
from handroll.generation.fingered_notes import FingeredNotes
from handroll.generation.pianist import perform
from handroll.generation.style import PLANNED
from handroll.hand.template import open_hand
from handroll.metrics.frame_press import calibrate_tip_radii, frame_press_scores
from handroll.metrics.height_press import Scored
from handroll.metrics.key_press import key_press_scores
from handroll.pose.differentiable_hand import exponential
from handroll.pose.hand_models import TemplateSkeleton
from handroll.rendering.scene import world_joints
from handroll.simulator.composition import compose_score


@pytest.fixture(scope="module")
def music():
    """The first seven seconds of a composed score."""
    score = compose_score(3, 20.0)
    kept = score.notes["onset_s"] < 6.5
    notes = {name: values[kept] for name, values in score.notes.items()}
    return FingeredNotes(duration_s=7.0, notes=notes, hand=score.hand[kept], finger=score.finger[kept], pedal=score.pedal)


@pytest.fixture(scope="module")
def played(music):
    return perform(music, 1, 30.0, style=PLANNED)


def corrected(performance, music):
    rotation, translation = fit_contacts(performance, music)
    return replace(performance, rotation_rad=rotation, translation_m=translation)


def f1(performance, music):
    return key_press_scores(music.notes, performance.time_s, 1e3 * world_joints(performance))["key_press_f1"]


def test_a_motion_that_plays_hardly_changes(played, music):
    before, after = (1e3 * world_joints(performance) for performance in (played, corrected(played, music)))
    assert np.sqrt(((after - before) ** 2).sum(-1).mean()) < 1.0


def test_a_motion_beside_the_keys_is_made_to_play(played, music):
    rng = np.random.default_rng(0)

    def slow(sigma, shape):
        noise = gaussian_filter1d(rng.normal(size=shape), 12.0, axis=0)
        return sigma * noise / noise.std()

    wrong = replace(
        played,
        rotation_rad=played.rotation_rad + slow(0.12, played.rotation_rad.shape),
        translation_m=played.translation_m + slow(0.015, played.translation_m.shape),
    )
    fitted = corrected(wrong, music)
    assert f1(wrong, music) < 0.5 and f1(fitted, music) > 0.9
    # The correction ends where nothing is played: the last second has no notes.
    still = played.time_s > 6.9
    difference = np.abs(world_joints(fitted) - world_joints(wrong))[still]
    assert np.median(difference) < 0.02


def test_fingertips_from_above_press_their_keys_to_the_bottom(played, music):
    raised = replace(played, translation_m=played.translation_m + np.array([0.0, 0.0, 0.02]))

    def scored(performance):
        return Scored(music.notes, performance.time_s, 1e3 * world_joints(performance))

    radii = np.tile(calibrate_tip_radii([scored(played)], [np.ones(2)]), (2, 1))
    before, after, true = (
        frame_press_scores(scored(motion), radii)["frame_press_f1"] for motion in (raised, corrected(raised, music), played)
    )
    assert before < 0.3 and after > true - 0.1


def test_a_trembling_motion_is_smoothed_and_plays(played, music):
    rng = np.random.default_rng(1)
    shaken = replace(
        played,
        rotation_rad=played.rotation_rad + rng.normal(0.0, 0.1, played.rotation_rad.shape),
        translation_m=played.translation_m + rng.normal(0.0, 0.01, played.translation_m.shape),
    )
    fitted, missed = make_playable(shaken, music.notes, music.pedal)
    acceleration = [np.abs(np.diff(world_joints(motion), 2, axis=0)).mean() for motion in (played, shaken, fitted)]
    assert acceleration[1] > 10.0 * acceleration[0] and acceleration[2] < 2.5 * acceleration[0]
    assert f1(shaken, music) < 0.6 and f1(fitted, music) > 0.9
    assert missed.mean() < 0.1 and len(fitted.note_finger) == len(fitted.notes["pitch"])


def test_the_gradient_is_that_of_the_cost_and_the_matrix_has_its_blocks():
    torch.manual_seed(0)
    frames, skeleton, template = 6, TemplateSkeleton(), open_hand()

    def double(values):
        return torch.tensor(np.asarray(values), dtype=torch.float64)

    given = exponential(0.2 * torch.randn(1, frames, 16, 3, dtype=torch.float64))[0], 0.01 * torch.randn(1, frames, 3, dtype=torch.float64)
    limits = template.limits_rad.copy()
    limits[0] = (-np.inf, np.inf)
    tips = skeleton.joints(given[0], None, 1.0)[..., -5:, :]
    contacts = Contacts(
        *given,
        rotation_sigma_rad=double(np.full(16, 0.2)),
        translation_sigma_m=double([0.02, 0.02, 0.01]),
        low_m=tips + 0.01,
        high_m=tips + 0.02,
        sigma_m=torch.full_like(tips, 1e-3),
        axes=double(template.axes),
        limits_rad=double(limits),
        limit_sigma_rad=0.05,
    )
    difference = double(np.tile(900.0 * np.array([1.0, -2.0, 1.0]), (1, frames - 2, 1)))
    problem = ContactProblem(contacts, lambda rotation: skeleton.joints(rotation, None, 1.0), difference, 1.0, 0.0)
    state = given[0] @ exponential(0.05 * torch.randn(1, frames, 16, 3, dtype=torch.float64))[0], given[1] + 0.003
    cost, gradient, weights, joints = problem.evaluate(state, 1.0)
    direction = torch.randn(1, frames, 51, dtype=torch.float64)
    step = 1e-6 * direction
    moved = state[0] @ exponential(step[..., :48].unflatten(-1, (16, 3)))[0], state[1] + step[..., 48:]
    assert float(problem.cost(moved, 1.0) - cost) == pytest.approx(1e-6 * float((gradient * direction).sum()), rel=1e-3)
    diagonal, lower1, lower2 = problem.matrix(state[0], joints, weights)
    assert diagonal.shape == (1, frames, 51, 51) and lower1.shape[1] == frames - 1 and lower2.shape[1] == frames - 2
    assert torch.linalg.eigvalsh(diagonal.double()).min() > -1e-3 * float(diagonal.abs().max())
