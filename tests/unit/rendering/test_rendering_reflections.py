"""A polished fallboard mirrors keys and hands; a lamp adds light and glare; without them nothing changes."""

import numpy as np
import pytest

from handroll.evaluation.keyboard_scenes import draw_scene, errors_mm, film, measure_scene
from handroll.evaluation.scene_kinds import KINDS
from handroll.keyboard.geometry import STANDARD, black_centres_mm
from handroll.keyboard.registration import register_keyboard
from handroll.keyboard.registration_check import Problem
from handroll.rendering.piano import FALLBOARD_FOOT_MM
from handroll.rendering.raster import BLACK_KEY, PIANO
from handroll.rendering.reflections import LampMap
from handroll.rendering.render import Renderer
from handroll.rendering.scene import Appearance, Gloss, Lamp, Light, Scene, View, random_scene

WIDTH, HEIGHT = 640, 360
TILTED = View((0.611, -0.40, 0.95), 0.38)
STEEP = Gloss(share=0.5, lean_mm=0.0, height_mm=300.0)


def background(**parts):
    scene = Scene(TILTED, Light(), Appearance(noise_sigma=0.0), **parts)
    return Renderer(scene, WIDTH, HEIGHT, 1, grid_mm=8.0).background.astype(int), scene


@pytest.fixture(scope="module")
def polished():
    return background(gloss=STEEP)[0]


def at(points_mm):
    pixels, _ = TILTED.project(np.asarray(points_mm) * 1e-3, WIDTH, HEIGHT)
    return tuple(pixels.astype(int)[..., ::-1].T)


def test_the_mirror_image_of_a_key_is_as_far_behind_the_fallboard(polished):
    """An upright fallboard: black keys dark, white keys light between them, at the mirrored y."""
    y = 2.0 * FALLBOARD_FOOT_MM - (STANDARD.black_front_mm + 25.0)
    blacks = np.array([[x, y, STANDARD.black_height_mm] for x in black_centres_mm()[6:30]])
    heads = np.array([[23.5 * (k + 0.5), 2.0 * FALLBOARD_FOOT_MM - 30.0, 0.0] for k in range(10, 42)])
    assert polished[at(blacks)].mean(axis=-1).max() + 40 < polished[at(heads)].mean(axis=-1).min()


def test_a_dull_fallboard_shows_nothing_there(polished):
    dull, _ = background()
    heads = np.array([[23.5 * (k + 0.5), 2.0 * FALLBOARD_FOOT_MM - 30.0, 0.0] for k in range(10, 42)])
    assert dull[at(heads)].mean() + 50 < polished[at(heads)].mean()
    keys = np.array([[23.5 * (k + 0.5), 20.0, 0.0] for k in range(10, 42)])
    np.testing.assert_array_equal(dull[at(keys)], polished[at(keys)])


def test_the_mirror_shows_the_hands_and_is_restored():
    scene = Scene(TILTED, Light(), Appearance(noise_sigma=0.0), gloss=STEEP)
    renderer = Renderer(scene, WIDTH, HEIGHT, 1, grid_mm=8.0)
    body = renderer.hand_meshes[1]
    hand = body.vertices_m - body.vertices_m.mean(axis=0) + np.array([0.6, 0.08, 0.06], np.float32)
    hand = np.ascontiguousarray(hand, np.float32)
    picture = renderer.background.copy()
    rest = renderer.work.colour.copy()
    renderer.draw(picture, [None, (hand, body.normals)], np.zeros(88), 0.0)
    renderer.restore()
    changed = np.abs(picture.astype(int) - renderer.background).sum(axis=-1) > 20
    mirrored = 2.0 * FALLBOARD_FOOT_MM * 1e-3 - 0.08
    image, _ = TILTED.project(np.array([0.6, mirrored, 0.06]), WIDTH, HEIGHT)
    x, y = image.astype(int)
    assert changed[y - 12 : y + 12, x - 12 : x + 12].mean() > 0.3
    np.testing.assert_array_equal(renderer.work.colour, rest)


def test_a_lamp_is_dim_far_away_and_its_glare_is_on_keys_only():
    lamp = Lamp(centre_m=(0.2, 0.1), reach_m=0.3, dark=0.2, glare=1.0, glare_at_m=(0.9, 0.05), glare_size_m=(0.05, 0.05))
    light = LampMap(lamp, TILTED, WIDTH, HEIGHT)
    keys, wood = (np.full((HEIGHT, WIDTH, 3), 100, np.uint8) for _ in range(2))
    light.apply(keys, np.full((HEIGHT, WIDTH), BLACK_KEY, np.uint8))
    light.apply(wood, np.full((HEIGHT, WIDTH), PIANO, np.uint8))
    near, far, glare = at([[200.0, 100.0, 0.0]]), at([[1150.0, 20.0, 0.0]]), at([[900.0, 50.0, 0.0]])
    assert wood[near].mean() > 95 and wood[far].mean() < 40 and keys[near].mean() == pytest.approx(wood[near].mean())
    assert keys[glare].mean() > wood[glare].mean() + 80


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_of_a_kind_follow_their_seed(kind):
    scene = random_scene(3)
    assert draw_scene(kind, 3, scene) == draw_scene(kind, 3, scene) != draw_scene(kind, 4, scene)
    assert (draw_scene(kind, 3, scene).gloss is not None) >= (kind == "reflection")
    assert (draw_scene(kind, 3, scene).lamp is not None) == (kind == "lamp")
    assert scene.gloss is None and scene.lamp is None


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="expected one of plain, partial"):
        draw_scene("foggy", 0, random_scene(0))


@pytest.fixture(scope="module")
def doubled():
    """Seed 122: by the edges alone the reflection wins, 248 mm behind the keys."""
    return film("reflection", 122)


def register(filmed, landmarks_px):
    return register_keyboard(filmed.windows, 1280, filmed.notes, filmed.time_s, landmarks_px)


def test_the_hands_decide_between_the_keys_and_their_reflection(doubled):
    found = register(doubled, doubled.landmarks_px)
    errors = errors_mm(found, doubled.view)
    assert found.problem is None and errors["along_max_mm"] < 3.0 and errors["across_max_mm"] < 10.0


def test_without_hands_a_reflection_is_refused(doubled):
    assert register(doubled, np.full_like(doubled.landmarks_px, np.nan)).problem == Problem.AMBIGUOUS


def test_a_scene_is_measured():
    row = measure_scene("plain", 1)
    assert (row["kind"], row["seed"], row["problem"], row["wrong"]) == ("plain", 1, None, False)
    assert 0.0 < row["along_p95_mm"] <= row["along_max_mm"] < 3.0 and 0.0 < row["across_p95_mm"] <= row["across_max_mm"] < 10.0


def test_what_is_filmed(doubled):
    assert [window.shape for window in doubled.windows] == [(720, 1280)] * 2 and doubled.landmarks_px.shape[1:] == (2, 21, 2)
    assert len(doubled.time_s) == len(doubled.landmarks_px) and len(doubled.notes["pitch"])
