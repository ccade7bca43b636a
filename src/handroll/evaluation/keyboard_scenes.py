"""Measure the accuracy of the keyboard registration in rendered scenes in which the keyboard is hard to detect.

Kind and random seed determine a scene. A few frames of a short performance are rendered. The input of the registration is their temporal
medians, and the true hand landmarks with the typical noise of a detector. No hand detector runs, so that a scene takes only seconds.
Therefore false detections, such as hands in a reflection, are not part of this measurement.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from handroll.evaluation.scene_kinds import KINDS
from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK
from handroll.keyboard.black_key_detection import OCTAVE_MM
from handroll.keyboard.geometry import playing_points_mm
from handroll.keyboard.registration import register_keyboard
from handroll.rendering.render import render_frames
from handroll.rendering.scene import Gloss, Lamp, Light, View, random_scene
from handroll.simulator.scenarios import subsample_frames
from handroll.simulator.score import random_score
from handroll.simulator.truth import build_truth

WIDTH, HEIGHT = 1280, 720
"""Size of the rendered frames (px)."""

SECONDS, FPS = 8, 10
"""Duration (s) and frame rate (Hz) of the simulated performance in a scene."""

N_FRAMES = 16
"""Approximate number of rendered frames in a scene."""

WINDOWS = 2
"""Number of groups into which the rendered frames are divided, in order of time. The temporal median of each group is an input of the
registration."""

GRID_MM = 5.0
"""Grid spacing of the rendered hand meshes (mm)."""

MAX_ALONG_MM = 3.0
"""Maximum error along the keyboard (x) of a correct registration, at any playing point in the frame (mm)."""

MAX_ACROSS_MM = 10.0
"""Maximum error across the keyboard (y) of a correct registration, at any playing point in the frame (mm)."""

LANDMARK_NOISE_HANDS = 0.02
"""Standard deviation of the noise of a landmark along each axis, as a multiple of the palm's length: about 2 mm."""

# Landmarks at the ends of the palm: wrist, and knuckle of the middle finger.
_PALM = (0, 9)


@dataclass(frozen=True)
class Filmed:
    """Input of the keyboard registration for a rendered scene, and the true camera view.

    Attributes
    ----------
    windows : list of uint8 array (height, width)
        Temporal medians in grey levels.
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    time_s : array (frame,)
        Times of the frames with landmarks.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        True landmarks with the noise of a detector; NaN for a hand with at most 60 % of its landmarks inside the frame.
    view : rendering.scene.View
        The true camera view.
    """

    windows: list
    notes: dict
    time_s: np.ndarray
    landmarks_px: np.ndarray
    view: View


def draw_scene(kind, seed, scene):
    """Create a random scene of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Random seed.
    scene : rendering.scene.Scene
        Scene from which the properties are copied that the kind does not determine.

    Returns
    -------
    rendering.scene.Scene

    Raises
    ------
    ValueError
        The kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"kind of scene: expected one of {', '.join(KINDS)}, found {kind!r}")
    rng = np.random.default_rng([seed, KINDS.index(kind), 61])
    tilt_deg, roll_deg, focal, k1 = rng.uniform(-12, 12), rng.uniform(-4, 4), rng.uniform(0.7, 1.0), rng.uniform(-0.04, 0.02)
    partial = kind == "partial" or (kind in ("reflection", "lamp") and rng.random() < 0.4)
    width_m, aside = (rng.uniform(0.7, 1.0), rng.uniform(-0.2, 0.2)) if partial else (rng.uniform(1.35, 1.5), rng.uniform(-0.02, 0.02))
    light, appearance, gloss, lamp = scene.light, scene.appearance, None, None
    if kind == "dark":
        light = Light(light.direction, light.ambient, float(rng.uniform(0.15, 0.4)))
        appearance = replace(appearance, noise_sigma=float(rng.uniform(3.0, 8.0)))
    if kind == "crooked":
        tilt_deg, roll_deg, k1 = rng.uniform(-24, 24), rng.uniform(-14, 14), rng.uniform(-0.12, 0.05)
    if kind == "zoomed":
        width_m, aside, focal, roll_deg = rng.uniform(0.5, 0.75), rng.uniform(-0.2, 0.2), rng.uniform(1.2, 2.2), rng.uniform(-8, 8)
    forward = rng.uniform(-0.05, 0.05)
    if kind == "reflection":
        # The camera is on the player's side, like a tripod behind the bench. It points at the keys, or at most at the fallboard.
        tilt_deg, forward = rng.uniform(2, 26), rng.uniform(-0.05, 0.2)
        gloss = Gloss(float(rng.uniform(0.15, 0.75)), float(rng.uniform(-5, 30)), float(rng.uniform(90, 350)))
        appearance = replace(appearance, wood_rgb=(0.05, 0.05, 0.055))
    if kind == "lamp":
        at = rng.uniform(0.1, 1.1, 2)
        lamp = Lamp(
            centre_m=(float(at[0]), float(rng.uniform(-0.1, 0.3))),
            reach_m=float(rng.uniform(0.25, 0.8)),
            dark=float(rng.uniform(0.1, 0.5)),
            glare=float(rng.uniform(0.3, 1.2)),
            glare_at_m=(float(at[1]), float(rng.uniform(0.0, 0.15))),
            glare_size_m=(float(rng.uniform(0.03, 0.15)), float(rng.uniform(0.02, 0.08))),
            seed=seed,
        )
        light = replace(light, gain=float(rng.uniform(0.8, 1.2)))
        gloss = Gloss(float(rng.uniform(0.1, 0.4)), 15.0, float(rng.uniform(90, 200))) if rng.random() < 0.5 else None
    tilt, roll = np.radians(tilt_deg), np.radians(roll_deg)
    aim = np.array([0.611 + aside, forward, 0.0])
    position = aim + width_m * focal * np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    view = View(tuple(position.tolist()), float(tilt), float(roll), float(focal), float(k1))
    return replace(scene, view=view, light=light, appearance=appearance, gloss=gloss, lamp=lamp, covers=())


def film(kind, seed):
    """Render a short performance in a random scene of a kind.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Random seed of scene, music and noise.

    Returns
    -------
    Filmed
    """
    scene = draw_scene(kind, seed, random_scene(seed))
    music = random_score(seed, SECONDS)
    performance = perform(music, seed, FPS, (scene.appearance.hand_size,) * len(HANDS))
    few = subsample_frames(performance, max(len(performance.time_s) // N_FRAMES, 1))
    drawn = render_frames(few, scene, WIDTH, HEIGHT, supersample=1, motion_blur=False, grid_mm=GRID_MM, seed=seed)
    grey = [cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in drawn]
    if kind == "zoomed":
        grey = [_digital_zoom(image, seed) for image in grey]
    windows = [np.median(part, axis=0).astype(np.uint8) for part in np.array_split(np.stack(grey), WINDOWS)]
    visible = np.ones((*performance.present.shape, len(JOINT_OF_LANDMARK)), bool)
    truth = build_truth(performance, scene, visible, WIDTH, HEIGHT, music.pedal, {})
    pixels = truth.joints_px[:, :, list(JOINT_OF_LANDMARK)]
    palm = np.linalg.norm(pixels[:, :, _PALM[1]] - pixels[:, :, _PALM[0]], axis=-1)[..., None, None]
    pixels = pixels + LANDMARK_NOISE_HANDS * palm * np.random.default_rng([seed, 62]).normal(size=pixels.shape)
    # It is assumed that a detector misses hands with at most 60 % of their landmarks inside the frame.
    inside = ((pixels > 0) & (pixels < [WIDTH, HEIGHT])).all(axis=-1).mean(axis=-1) > 0.6
    return Filmed(windows, performance.notes, truth.time_s, np.where(inside[..., None, None], pixels, np.nan), scene.view)


def measure_scene(kind, seed):
    """Register the keyboard in a random scene of a kind, and measure the error.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int

    Returns
    -------
    dict
        - `kind`, `seed`, `confidence`.
        - `problem`: name of the `Problem` that prevented the registration, or None.
        - `wrong`: whether the keyboard was registered with an error above `MAX_ALONG_MM` or `MAX_ACROSS_MM`.

        Only if the keyboard was registered:

        - `octave_source`: how the octave was determined.
        - `along_p95_mm`, `along_max_mm`, `across_p95_mm`, `across_max_mm`: 95th percentile and maximum of the errors at the playing points
          in the frame. If the octave was assumed, a shift by whole octaves is not an error.
    """
    filmed = film(kind, seed)
    found = register_keyboard(filmed.windows, WIDTH, filmed.notes, filmed.time_s, filmed.landmarks_px)
    row = {"kind": kind, "seed": seed, "problem": found.problem and str(found.problem), "confidence": found.confidence, "wrong": False}
    if found.problem:
        return row
    errors = errors_mm(found, filmed.view)
    wrong = errors["along_max_mm"] > MAX_ALONG_MM or errors["across_max_mm"] > MAX_ACROSS_MM
    return row | {"octave_source": found.octave_source, "wrong": wrong} | errors


def errors_mm(found, view):
    """Compute the errors of a registered keyboard at the playing points in the frame.

    Parameters
    ----------
    found : keyboard.registration.RegisteredKeyboard
    view : rendering.scene.View
        The true camera view.

    Returns
    -------
    dict of str to float
        `along_p95_mm`, `along_max_mm`, `across_p95_mm`, `across_max_mm`; see `measure_scene`.
    """
    points = playing_points_mm()
    size = np.array([found.view.width_px, found.view.height_px])
    pixels, inverse = view.project(points * 1e-3, *size)
    inside = (inverse > 0.0) & ((pixels > 5) & (pixels < size - 5)).all(axis=1)
    back = np.array([found.view.on_plane(pixel, z) for pixel, z in zip(pixels[inside], points[inside, 2], strict=True)])
    offset = back - points[inside, :2]
    if found.octave_source == "assumed":
        offset[:, 0] -= OCTAVE_MM * np.round(np.median(offset[:, 0]) / OCTAVE_MM)
    error = np.abs(offset)
    return {
        f"{name}_{statistic}_mm": float(value)
        for k, name in enumerate(("along", "across"))
        for statistic, value in (("p95", np.percentile(error[:, k], 95)), ("max", error[:, k].max()))
    }


def _digital_zoom(image, seed):
    """Simulate a digital zoom of a grey image (height, width): scale it down, compress it as JPEG, and scale it up to its size."""
    rng = np.random.default_rng([seed, 63])
    height, width = image.shape
    factor = rng.uniform(0.4, 0.7)
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    _, packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 70))])
    return cv2.resize(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), (width, height), interpolation=cv2.INTER_LINEAR)
