"""Scenes for rendered videos (camera, light, colours, objects), and the transform of performances to the camera frame.

The world frame is defined in `generation.performance`. Camera frame: OpenCV convention (x right, y down, z forward), metres.
"""

from dataclasses import dataclass, field

import numpy as np

from handroll.camera import Camera
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.rotations import compose, matrix_from_rotvec, rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.hand.template import open_hand

# x and y of the middle of the front edge of the keyboard, world frame.
_KEYBOARD_CENTRE_M = (0.611, 0.0)

SKIN_TONES = ((0.93, 0.76, 0.66), (0.86, 0.66, 0.55), (0.78, 0.57, 0.45), (0.64, 0.44, 0.33), (0.47, 0.32, 0.24), (0.36, 0.25, 0.19))
"""Skin tones from pale to dark, RGB 0..1. MediaPipe detects hands in each of them."""


@dataclass(frozen=True)
class View:
    """Position, orientation and lens of the camera.

    Attributes
    ----------
    position_m : (x, y, z)
        World frame.
    tilt_rad : float
        Angle between the optical axis and straight down. Positive: the camera points away from the player, towards the fallboard.
    roll_rad : float
        Rotation about the optical axis; positive rotates the scene clockwise in the image.
    focal_widths : float
        Focal length as a multiple of the image width.
    k1 : float
        First coefficient of radial distortion (OpenCV). Negative values give barrel distortion.
    """

    position_m: tuple[float, float, float] = (0.611, -0.06, 0.975)
    tilt_rad: float = 0.0
    roll_rad: float = 0.0
    focal_widths: float = 0.78125
    k1: float = 0.0

    @property
    def rotation(self):
        """Rotation matrix (3, 3) from the world frame to the camera frame."""
        sine, cosine = np.sin(self.tilt_rad), np.cos(self.tilt_rad)
        tilted = np.array([[1.0, 0.0, 0.0], [0.0, -cosine, -sine], [0.0, sine, -cosine]])
        sine, cosine = np.sin(self.roll_rad), np.cos(self.roll_rad)
        return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ tilted

    def to_camera(self, points_m):
        """Transform points (..., xyz 3) from the world frame to the camera frame, metres."""
        return (np.asarray(points_m) - np.array(self.position_m)) @ self.rotation.T

    def project(self, points_m, width_px, height_px):
        """Project points in the world frame to pixels, with lens distortion.

        Parameters
        ----------
        points_m : array (..., xyz 3)
        width_px, height_px : int

        Returns
        -------
        points_px : array (..., xy 2)
            Undefined if the inverse depth is 0.
        inverse_depth : array (...,)
            1 / distance along the optical axis, 1/m; 0 for points behind the camera or less than 10 mm in front of it.
        """
        points = self.to_camera(points_m)
        inverse = np.where(points[..., 2] > 0.01, 1.0 / np.where(points[..., 2] > 0.01, points[..., 2], 1.0), 0.0)
        flat = points[..., :2] * inverse[..., None]
        if self.k1:
            flat = flat * (1.0 + self.k1 * np.einsum("...i,...i->...", flat, flat))[..., None]
        return flat * (self.focal_widths * width_px) + np.array([width_px / 2.0, height_px / 2.0]), inverse


@dataclass(frozen=True)
class Light:
    """Direction and strength of the light, and exposure of the camera.

    Attributes
    ----------
    direction : (x, y, z)
        Vector towards the lamp, world frame, of any length; z is above 0.
    ambient : float
        Share of the ambient light, 0..1.
    gain : float
        Factor of the brightness of the image.
    drift : float
        Amplitude of the oscillation of the gain, as a share of the gain. It imitates passing clouds.
    swing_rad : float
        Amplitude of the oscillation of the lamp's direction about the vertical axis.
    period_s : float
        Period of both oscillations.
    """

    direction: tuple[float, float, float] = (-0.35, 0.45, 1.0)
    ambient: float = 0.45
    gain: float = 1.0
    drift: float = 0.0
    swing_rad: float = 0.0
    period_s: float = 20.0

    def at(self, time_s):
        """Return the unit vector towards the lamp (xyz 3), world frame, and the gain at a time."""
        phase = np.sin(2.0 * np.pi * time_s / self.period_s)
        turn = matrix_from_rotvec(np.array([0.0, 0.0, self.swing_rad * phase]))
        direction = turn @ np.array(self.direction)
        return direction / np.linalg.norm(direction), self.gain * (1.0 + self.drift * phase)


@dataclass(frozen=True)
class Appearance:
    """Colours (RGB, 0..1), size of the hands and sensor noise.

    Attributes
    ----------
    skin_rgb : tuple of 3 float
        Colour of the skin.
    sleeve_rgb : tuple of 3 float or None
        Colour of the sleeves; None for bare arms.
    wood_rgb, floor_rgb : tuple of 3 float
        Colours of the piano and of the floor.
    hand_size : float
        Size of the pianist's hands relative to the template. Pass it to the generator of the `Performance`: the renderer uses
        `Performance.bone_scale`, not this value.
    noise_sigma : float
        Standard deviation of the sensor noise, in levels of 0..255.
    """

    skin_rgb: tuple[float, float, float] = (0.86, 0.66, 0.55)
    sleeve_rgb: tuple[float, float, float] | None = (0.13, 0.17, 0.33)
    wood_rgb: tuple[float, float, float] = (0.075, 0.072, 0.075)
    floor_rgb: tuple[float, float, float] = (0.165, 0.175, 0.19)
    hand_size: float = 1.0
    noise_sigma: float = 2.0


@dataclass(frozen=True)
class Cover:
    """A flat opaque object, such as a sheet of paper, that slides over a hand, stays there, and slides away.

    Attributes
    ----------
    start_s, end_s : float
        Start of sliding in, and end of sliding out.
    slide_s : float
        Duration of sliding in, and of sliding out.
    centre_m : (x, y, z)
        Position at rest, world frame; z is above the hands.
    size_m : (width, length)
    yaw_rad : float
        Rotation about the vertical axis.
    away_m : (x, y)
        Position at `start_s` and at `end_s`, relative to the position at rest.
    rgb : tuple of 3 float
        Colour, 0..1.
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
        """Return the corners (corner 4, xyz 3), world frame, metres, counter-clockwise from above; None while absent."""
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
    """A polished fallboard that mirrors the keys and the hands.

    Attributes
    ----------
    share : float
        Share of the light that the fallboard reflects, 0..1. Lacquer at a grazing angle reflects 0.1 to 0.5.
    lean_mm, height_mm : float
        `lean_mm` is the distance by which the upper edge is behind the lower edge, `height_mm` the height. The default height includes
        the panel above the fallboard of an upright piano.
    """

    share: float = 0.3
    lean_mm: float = 10.0
    height_mm: float = 180.0


@dataclass(frozen=True)
class Lamp:
    """A lamp near the keys: its light falls off with the distance, and polished keys reflect it.

    Attributes
    ----------
    centre_m : (x, y)
        Position of the maximum brightness, world frame.
    reach_m : float
        Distance at which the light of the lamp falls to one half.
    dark : float
        Brightness far from the lamp, relative to the maximum, 0..1.
    glare : float
        Brightness of the lamp's reflection on the keys, 0..1; 1 is white.
    glare_at_m : (x, y)
        Centre of the reflection, world frame.
    glare_size_m : (x, y)
        Standard deviations of the reflection.
    seed : int
        Random seed of each key's reflected share.
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
    """Camera, light, appearance and objects of a video; everything except the performance."""

    view: View = field(default_factory=View)
    light: Light = field(default_factory=Light)
    appearance: Appearance = field(default_factory=Appearance)
    covers: tuple[Cover, ...] = ()
    gloss: Gloss | None = None
    lamp: Lamp | None = None

    def camera(self, width_px, height_px):
        """Return the pinhole camera for images of this size, without lens distortion."""
        return Camera(width_px, height_px, self.view.focal_widths * width_px, "truth")


def random_scene(seed, closer=None):
    """Return a random scene. The scenes vary as much as home videos filmed from above.

    Parameters
    ----------
    seed : int
        Random seed.
    closer : bool, optional
        True: the camera is near, and only a part of the keyboard is in view. False: the whole keyboard is in view. Default: a random
        choice, in which the camera is near in one scene of three.

    Returns
    -------
    Scene
        A scene without covers.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.random() < 1 / 3
    closer = drawn if closer is None else closer
    tilt, roll = np.radians(rng.uniform(-12.0, 12.0)), np.radians(rng.uniform(-4.0, 4.0))
    focal = rng.uniform(0.72, 0.90)
    # Width of the view at the keyboard, metres. Without `closer`, it is wide enough for all keys, also with roll.
    view_width = rng.uniform(0.80, 1.0) if closer else rng.uniform(1.32, 1.46)
    distance = view_width * focal
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
    tone = rng.uniform(0.0, len(SKIN_TONES) - 1.001)
    lower, share = int(tone), tone % 1.0
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
    appearance = Appearance(
        skin_rgb=tuple(skin.tolist()),
        sleeve_rgb=sleeves[rng.integers(len(sleeves))],
        wood_rgb=woods[rng.integers(len(woods))],
        floor_rgb=floors[rng.integers(len(floors))],
        hand_size=float(rng.uniform(0.94, 1.06)),
        noise_sigma=float(rng.uniform(1.0, 5.0)),
    )
    return Scene(view, light, appearance)


def cover_hand(performance, hand, start_s, end_s, **fields):
    """Return a `Cover` over the region that a hand occupies between two times.

    Parameters
    ----------
    performance : Performance
    hand : {"left", "right"}
    start_s, end_s : float
        See `Cover`.
    **fields
        Other fields of `Cover`.

    Raises
    ------
    ValueError
        No frame between these times contains the hand.
    """
    side = HANDS.index(hand)
    during = (performance.time_s >= start_s) & (performance.time_s <= end_s) & performance.present[:, side]
    if not during.any():
        raise ValueError(f"expected the {hand} hand in the scene between {start_s} and {end_s} s, found no frame with this hand")
    joints = world_joints(performance)[during, side]
    middle = (joints[:, :, :2].min(axis=(0, 1)) + joints[:, :, :2].max(axis=(0, 1))) / 2.0
    height = float(joints[..., 2].max()) + 0.05
    return Cover(start_s, end_s, (float(middle[0]), float(middle[1]), height), **fields)


def world_joints(performance):
    """Return the joints (frame, hand 2, joint 21, xyz 3) of a performance in the world frame, metres.

    Hands that are absent from the scene are included.
    """
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
    """Transform the MANO poses of a performance from the world frame to the camera frame.

    `kinematics.hand_joints` of the result gives joints in the camera frame. MANO rotates a hand about its wrist, which is at s J0 + t
    (bone scale s, template wrist J0, translation t). So with the rotation R and the translation T from the world frame to the camera
    frame, the new translation is t' = R (s J0 + t) + T - s J0.

    Returns
    -------
    rotation_rad : array (frame, hand 2, joint 16, xyz 3)
        Axis-angle rotations, continuous in time.
    translation_m : array (frame, hand 2, xyz 3)
    """
    view = scene.view
    rotation = np.array(performance.rotation_rad, dtype=np.float64)
    rotation[:, :, 0] = unwrap_rotvec(compose(rotvec_from_matrix(view.rotation), rotation[:, :, 0]))
    wrist = np.stack([open_hand().joints_m[0] * MIRROR, open_hand().joints_m[0]]) * np.asarray(performance.bone_scale)[:, None]
    return rotation, view.to_camera(performance.translation_m + wrist) - wrist
