"""Where a synthetic pianist is filmed from and what everything looks like; and the truth as that camera has it.

World frame: `performance`. Camera frame: OpenCV's (x right, y down, z forward), metres.
"""

from dataclasses import dataclass, field

import numpy as np

from handroll.camera import Camera
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.rotations import compose, matrix_from_rotvec, rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.hand.template import open_hand

_KEYBOARD_CENTRE_M = (0.611, 0.0)

SKIN_TONES = ((0.93, 0.76, 0.66), (0.86, 0.66, 0.55), (0.78, 0.57, 0.45), (0.64, 0.44, 0.33), (0.47, 0.32, 0.24), (0.36, 0.25, 0.19))
"""From pale to dark, RGB 0..1; hands in each are found by MediaPipe."""


@dataclass(frozen=True)
class View:
    """A camera.

    Attributes
    ----------
    position_m : (x, y, z), world
    tilt_rad : float
        0 looks straight down; positive looks from the player's side towards the fallboard.
    roll_rad : float
        Turn about the optical axis; positive turns the scene clockwise in the picture.
    focal_widths : float
        Focal length in picture widths.
    k1 : float
        First coefficient of radial distortion (OpenCV's); the keyboard bulges where it is negative.
    """

    position_m: tuple[float, float, float] = (0.611, -0.06, 0.975)
    tilt_rad: float = 0.0
    roll_rad: float = 0.0
    focal_widths: float = 0.78125
    k1: float = 0.0

    @property
    def rotation(self):
        """Matrix (3, 3) from world to camera directions."""
        sine, cosine = np.sin(self.tilt_rad), np.cos(self.tilt_rad)
        tilted = np.array([[1.0, 0.0, 0.0], [0.0, -cosine, -sine], [0.0, sine, -cosine]])
        sine, cosine = np.sin(self.roll_rad), np.cos(self.roll_rad)
        return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ tilted

    def to_camera(self, points_m):
        """World points (..., 3) in the camera frame, metres."""
        return (np.asarray(points_m) - np.array(self.position_m)) @ self.rotation.T

    def project(self, points_m, width_px, height_px):
        """Where world points are seen.

        Parameters
        ----------
        points_m : array (..., 3)
        width_px, height_px : int

        Returns
        -------
        points_px : array (..., 2)
            x, y; meaningless where the inverse depth is not above 0.
        inverse_depth : array (...,)
            1 / metres along the optical axis; 0 for points less than 10 mm before the camera or behind it.
        """
        seen = self.to_camera(points_m)
        inverse = np.where(seen[..., 2] > 0.01, 1.0 / np.where(seen[..., 2] > 0.01, seen[..., 2], 1.0), 0.0)
        flat = seen[..., :2] * inverse[..., None]
        if self.k1:
            flat = flat * (1.0 + self.k1 * np.einsum("...i,...i->...", flat, flat))[..., None]
        return flat * (self.focal_widths * width_px) + np.array([width_px / 2.0, height_px / 2.0]), inverse


@dataclass(frozen=True)
class Light:
    """The lamp and the camera's exposure.

    Attributes
    ----------
    direction : (x, y, z)
        Towards the lamp, world; z above 0, any length.
    ambient : float
        Share of the light that comes from all sides, 0..1.
    gain : float
        Brightness of the picture, 1 = as painted.
    drift : float
        The gain goes up and down by this share, as when a cloud passes.
    swing_rad : float
        The lamp goes to and fro about the vertical by this angle.
    period_s : float
        Of both.
    """

    direction: tuple[float, float, float] = (-0.35, 0.45, 1.0)
    ambient: float = 0.45
    gain: float = 1.0
    drift: float = 0.0
    swing_rad: float = 0.0
    period_s: float = 20.0

    def at(self, time_s):
        """(unit vector towards the lamp (3,), gain) at a time."""
        phase = np.sin(2.0 * np.pi * time_s / self.period_s)
        turn = matrix_from_rotvec(np.array([0.0, 0.0, self.swing_rad * phase]))
        direction = turn @ np.array(self.direction)
        return direction / np.linalg.norm(direction), self.gain * (1.0 + self.drift * phase)


@dataclass(frozen=True)
class Look:
    """Colours (RGB, 0..1) and what else a picture's look depends on.

    Attributes
    ----------
    skin_rgb : colour of the skin
    sleeve_rgb : colour of the sleeves; None for bare arms
    wood_rgb, floor_rgb : the instrument; what is below it
    first_key, last_key : int
        Keys 0..87 that the instrument has; both white.
    hand_size : float
        Size of the pianist's hands relative to the template: for whoever makes the `Performance`, whose `bone_scale` is
        what is drawn.
    noise_sigma : float
        Standard deviation of the sensor's noise, of 255.
    """

    skin_rgb: tuple[float, float, float] = (0.86, 0.66, 0.55)
    sleeve_rgb: tuple[float, float, float] | None = (0.13, 0.17, 0.33)
    wood_rgb: tuple[float, float, float] = (0.075, 0.072, 0.075)
    floor_rgb: tuple[float, float, float] = (0.165, 0.175, 0.19)
    first_key: int = 0
    last_key: int = 87
    hand_size: float = 1.0
    noise_sigma: float = 2.0


@dataclass(frozen=True)
class Cover:
    """A flat opaque thing, such as a sheet of paper, that slides over a hand and away again.

    Attributes
    ----------
    start_s, end_s : float
        It moves in from `start_s`, and is gone at `end_s`.
    slide_s : float
        How long it takes to move in, and to move out; between, it lies still at its place.
    centre_m : (x, y, z), world
        Its place; z above the hands.
    size_m : (width, length)
    yaw_rad : float
        Turn about the vertical.
    away_m : (x, y)
        Where it comes from and goes to, relative to its place.
    rgb : colour, 0..1
    """

    start_s: float
    end_s: float
    centre_m: tuple[float, float, float]
    size_m: tuple[float, float] = (0.30, 0.30)
    slide_s: float = 0.4
    yaw_rad: float = 0.1
    away_m: tuple[float, float] = (0.0, 0.9)
    rgb: tuple[float, float, float] = (0.88, 0.87, 0.83)

    def corners_at(self, time_s):
        """Corners (4, 3), world, metres, counter-clockwise from above; None while it is gone."""
        if not self.start_s <= time_s <= self.end_s:
            return None
        near = np.clip(min(time_s - self.start_s, self.end_s - time_s) / self.slide_s, 0.0, 1.0)
        off = 1.0 - near * near * (3.0 - 2.0 * near)
        half = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.array(self.size_m) / 2.0
        sine, cosine = np.sin(self.yaw_rad), np.cos(self.yaw_rad)
        flat = half @ np.array([[cosine, sine], [-sine, cosine]]) + np.array(self.centre_m[:2]) + off * np.array(self.away_m)
        return np.column_stack([flat, np.full(4, self.centre_m[2])])


@dataclass(frozen=True)
class Gloss:
    """A polished fallboard, which mirrors the keys and the hands.

    Attributes
    ----------
    share : float
        Of the light that it mirrors, 0..1: lacquer seen at a grazing angle has 0.1 to 0.5.
    lean_mm, height_mm : float
        How far it leans back, and how high it is; with the panel above it, as of an upright piano.
    """

    share: float = 0.3
    lean_mm: float = 10.0
    height_mm: float = 180.0


@dataclass(frozen=True)
class Lamp:
    """A lamp near the keys.

    Attributes
    ----------
    centre_m : (x, y), world
        Where its light is brightest.
    reach_m : float
        Distance at which half of it is left.
    dark : float
        Brightness far away from it, 0..1.
    glare : float
        Brightness of its mirror image on the keys, 0..1; 1 saturates.
    glare_at_m : (x, y), world
        The middle of that image.
    glare_size_m : (x, y)
        Its standard deviations.
    seed : int
        Of how much of it each key mirrors.
    """

    centre_m: tuple[float, float] = (0.4, 0.1)
    reach_m: float = 0.5
    dark: float = 0.3
    glare: float = 0.7
    glare_at_m: tuple[float, float] = (0.4, 0.08)
    glare_size_m: tuple[float, float] = (0.08, 0.05)
    seed: int = 0


@dataclass(frozen=True)
class Scene:
    """Everything about a picture but the performance."""

    view: View = field(default_factory=View)
    light: Light = field(default_factory=Light)
    look: Look = field(default_factory=Look)
    covers: tuple[Cover, ...] = ()
    gloss: Gloss | None = None
    lamp: Lamp | None = None

    def camera(self, width_px, height_px):
        """The pinhole camera of pictures of this size (distortion, where there is any, is not part of it)."""
        return Camera(width_px, height_px, self.view.focal_widths * width_px, "truth")


def random_scene(seed, closer=None):
    """A scene drawn at random: anything a home video from above may be.

    Parameters
    ----------
    seed : int
    closer : bool, optional
        True films from nearer, with a part of the keyboard; False the whole of it; by default one scene in three is nearer.

    Returns
    -------
    Scene, without covers
    """
    rng = np.random.default_rng(seed)
    drawn = rng.random() < 1 / 3
    closer = drawn if closer is None else closer
    tilt, roll = np.radians(rng.uniform(-12.0, 12.0)), np.radians(rng.uniform(-4.0, 4.0))
    focal = rng.uniform(0.72, 0.90)
    # Width seen at the keyboard, metres; wide enough for all keys, even rolled.
    seen = rng.uniform(0.80, 1.0) if closer else rng.uniform(1.32, 1.46)
    distance = seen * focal
    aim = np.array([_KEYBOARD_CENTRE_M[0] + rng.uniform(-0.02, 0.02), rng.uniform(-0.07, -0.02), 0.0])
    position = aim + distance * np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    k1 = rng.uniform(-0.04, 0.02) if rng.random() < 0.4 else 0.0
    view = View(tuple(position.tolist()), float(tilt), float(roll), float(focal), float(k1))

    azimuth, slope = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.25, 0.75)
    light = Light(
        direction=(float(slope * np.cos(azimuth)), float(slope * np.sin(azimuth)), 1.0),
        ambient=float(rng.uniform(0.40, 0.60)),
        gain=float(rng.uniform(0.88, 1.10)),
        drift=float(rng.uniform(0.0, 0.06)),
        swing_rad=float(rng.uniform(0.0, 0.3)),
        period_s=float(rng.uniform(10.0, 40.0)),
    )
    place = rng.uniform(0.0, len(SKIN_TONES) - 1.001)
    lower, share = int(place), place % 1.0
    skin = (1 - share) * np.array(SKIN_TONES[lower]) + share * np.array(SKIN_TONES[lower + 1])
    sleeves = (
        (0.13, 0.17, 0.33),
        (0.08, 0.08, 0.09),
        (0.55, 0.56, 0.58),
        (0.36, 0.10, 0.13),
        (0.80, 0.80, 0.78),
        (0.16, 0.27, 0.20),
        None,
        None,
    )
    woods = ((0.075, 0.072, 0.075), (0.055, 0.055, 0.06), (0.24, 0.14, 0.085), (0.16, 0.095, 0.06))
    floors = ((0.165, 0.175, 0.19), (0.30, 0.22, 0.16), (0.42, 0.40, 0.38), (0.10, 0.10, 0.12), (0.25, 0.28, 0.24))
    look = Look(
        skin_rgb=tuple(skin.tolist()),
        sleeve_rgb=sleeves[rng.integers(len(sleeves))],
        wood_rgb=woods[rng.integers(len(woods))],
        floor_rgb=floors[rng.integers(len(floors))],
        hand_size=float(rng.uniform(0.94, 1.06)),
        noise_sigma=float(rng.uniform(1.0, 5.0)),
    )
    return Scene(view, light, look)


def cover_hand(performance, hand, start_s, end_s, **look):
    """A `Cover` that lies over a hand where it is between two times.

    Parameters
    ----------
    performance : Performance
    hand : {"left", "right"}
    start_s, end_s : float
        As of `Cover`.
    **look
        Other fields of `Cover`.

    Raises
    ------
    ValueError
        The hand is in no frame of that interval.
    """
    side = HANDS.index(hand)
    during = (performance.time_s >= start_s) & (performance.time_s <= end_s) & performance.present[:, side]
    if not during.any():
        raise ValueError(f"expected the {hand} hand in the scene between {start_s} and {end_s} s, found no frame with it")
    joints = world_joints(performance)[during, side]
    middle = (joints[:, :, :2].min(axis=(0, 1)) + joints[:, :, :2].max(axis=(0, 1))) / 2.0
    height = float(joints[..., 2].max()) + 0.05
    return Cover(start_s, end_s, (float(middle[0]), float(middle[1]), height), **look)


def world_joints(performance):
    """Joints (frame, hand 2, joint 21, 3) of a performance in the world frame, metres; also of hands that are not present."""
    return np.stack(
        [
            hand_joints(
                performance.rotation_rad[:, side].reshape(-1, 3 * N_ROTATIONS),
                performance.translation_m[:, side],
                performance.bone_scale[side],
                hand,
            )
            for side, hand in enumerate(HANDS)
        ],
        axis=1,
    )


def to_camera(performance, scene):
    """The performance's poses as the camera has them: `kinematics.hand_joints` of them gives joints in the camera frame.

    MANO turns a hand about its wrist, which lies at s J0 + t. So with R, T from world to camera,
    t' = R (s J0 + t) + T - s J0.

    Returns
    -------
    rotation_rad : array (frame, hand 2, joint 16, 3)
        Continuous in time.
    translation_m : array (frame, hand 2, 3)
    """
    view = scene.view
    rotation = np.array(performance.rotation_rad, dtype=np.float64)
    rotation[:, :, 0] = unwrap_rotvec(compose(rotvec_from_matrix(view.rotation), rotation[:, :, 0]))
    wrist = np.stack([open_hand().joints_m[0] * MIRROR, open_hand().joints_m[0]]) * np.asarray(performance.bone_scale)[:, None]
    return rotation, view.to_camera(performance.translation_m + wrist) - wrist
