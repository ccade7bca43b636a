"""Clean a series of poses: drop outliers, interpolate short gaps, hide flicker (short visible runs), and smooth.

The steps, their order and the default numbers are those of PianoMotion10M (Gan et al., ICLR 2025). Frames that a Hampel filter rejects
and frames without a detection are missing. Gaps shorter than 30 frames are interpolated. Visible runs shorter than 15 frames are hidden.
The visible frames are smoothed by Savitzky-Golay.
"""

from dataclasses import dataclass, fields

import numpy as np

from handroll.camera import joints_in_keyboard_frame
from handroll.editing.segments import bounds
from handroll.hand.kinematics import open_hand_joints
from handroll.hand.rotations import quaternion_from_rotvec, rotvec_from_quaternion, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.mask_runs import flicker
from handroll.motion.gaps import interpolate, short_gaps
from handroll.motion.outliers import FLOOR_DEPTH, FLOOR_M, FLOOR_RAD, find_outliers
from handroll.motion.smoothing import smooth, smooth_rotation
from handroll.tables import State

UNITS = ("frames", "seconds")
"""Possible units of the lengths in `CleanSettings`."""


@dataclass(frozen=True)
class CleanSettings:
    """Settings of the cleaning. The defaults are those of PianoMotion10M, except for the minimum scales, which PianoMotion10M lacks.

    Attributes
    ----------
    hampel_window : float
        Width of the window of the outlier filter, in `units`.
    hampel_n_sigma : float
        Distance from the window's median above which a sample is an outlier, as a multiple of the window's scale
        (`handroll.motion.outliers`).
    hampel_floor_m, hampel_floor_depth, hampel_floor_rad : float
        Minimum scale of a window: of x and y in metres, of the depth as a share of the depth, and of angles in radians.
    gap_shorter_than : float
        Gaps shorter than this are interpolated, in `units`.
    run_shorter_than : float
        Visible runs shorter than this are hidden, in `units`.
    savgol_order : int
        Degree of the smoothing polynomial.
    savgol_window : float
        Width of the smoothing window, in `units`.
    units : {"frames", "seconds"}
        Unit of the four lengths above. Lengths in seconds do not depend on the frame rate. They are converted to frames with the
        video's median frame interval and rounded.
    """

    hampel_window: float = 20
    hampel_n_sigma: float = 3.0
    hampel_floor_m: float = FLOOR_M
    hampel_floor_depth: float = FLOOR_DEPTH
    hampel_floor_rad: float = FLOOR_RAD
    gap_shorter_than: float = 30
    run_shorter_than: float = 15
    savgol_order: int = 3
    savgol_window: float = 11
    units: str = "frames"

    def __post_init__(self):
        if self.units not in UNITS:
            raise ValueError(f"CleanSettings.units: expected {' or '.join(UNITS)}, found {self.units!r}")
        for name in (field.name for field in fields(self) if field.name != "units"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"CleanSettings.{name}: expected a number of at least 0, found {getattr(self, name)!r}")

    def in_frames(self, time_s):
        """Convert the four lengths to numbers of frames, for a video with these presentation times (frame,).

        Returns
        -------
        dict of str to int
            `hampel_window`, `gap_shorter_than`, `run_shorter_than`, `savgol_window`.
        """
        rate_hz = 1.0
        if self.units == "seconds":
            interval_s = np.median(np.diff(time_s)) if len(time_s) > 1 else 0.0
            rate_hz = 1.0 / interval_s if interval_s > 0.0 else 0.0
        names = ("hampel_window", "gap_shorter_than", "run_shorter_than", "savgol_window")
        return {name: int(np.floor(getattr(self, name) * rate_hz + 0.5)) for name in names}


def hand_shape(pose):
    """Compute one shape and one size of each hand for the whole video: the medians over the frames with a pose.

    Parameters
    ----------
    pose : dict of str to array (frame, hand, ...)
        Columns of `tables.POSE`.

    Returns
    -------
    betas : array (hand, component 10)
        Shape parameters of MANO.
    bone_scale : array (hand,)
        Size. Both results are NaN for a hand that is never found.
    """
    observed = _has_pose(pose)
    betas = np.full(pose["betas"].shape[1:], np.nan)
    bone_scale = np.full(len(HANDS), np.nan)
    for h in range(len(HANDS)):
        if observed[:, h].any():
            betas[h] = np.median(pose["betas"][observed[:, h], h], axis=0)
            bone_scale[h] = np.median(pose["bone_scale"][observed[:, h], h])
    return betas, bone_scale


def clean_motion(pose, settings=None, extrinsics=None, joints_from=open_hand_joints, unrefined=None, segments=None):
    """Clean the pose series of a video, each hand and each segment separately.

    Parameters
    ----------
    pose : dict of str to array (frame, hand, ...)
        Columns of `tables.POSE`, by frame; NaN where a hand is not found. There may be no frames.
    settings : CleanSettings, optional
    extrinsics : handroll.camera.Extrinsics, optional
        Position and orientation of the camera over the keyboard; None if no keyboard is registered.
    joints_from : callable (rotation (frame, 48), translation_m (frame, 3), betas (10,), bone_scale, hand) -> joints_m (frame, 21, 3)
        Computes the joints of a pose, with the hand model of the pose engine that estimated the poses (`handroll.pose.engine`).
    unrefined : dict of str to array (frame, hand, ...), optional
        The poses before they were refined with the notes; by default `pose`. Outliers are detected in these poses: in refined ones, a
        finger that leaves a held key for a moment would count as an outlier.
    segments : sequence of (start_s, end_s), optional
        The usable segments of the video (s); by default the whole video. No gap is interpolated across a cut, and frames outside the
        segments are hidden.

    Returns
    -------
    motion : dict of str to array (frame, hand, ...)
        Columns of `tables.MOTION`; NaN where hidden. Rotations are continuous in time, and shape and bone scale are constant. Joints
        are computed from the cleaned poses. The residual is that of the pose engine in observed frames; in other frames it is NaN.
    counts : dict of str to dict of str to int
        Numbers of frames for each hand: `frames` (all), `missing` (without an input pose), `outliers`, the outliers by signal
        `outliers_translation`, `outliers_orientation` and `outliers_pose` (a frame may count in several), `flicker` (visible frames
        that are hidden because their run is short), and the final states `observed`, `interpolated` and `hidden`.

    Raises
    ------
    ValueError
        A time is not finite, or times go backwards.
    """
    settings = settings or CleanSettings()
    time_s = np.asarray(pose["time_s"], dtype=np.float64)[:, 0]
    if not np.isfinite(time_s).all() or (np.diff(time_s) < 0.0).any():
        raise ValueError("pose: expected finite times time_s in presentation order, found a time that is not finite or goes backwards")
    lengths = settings.in_frames(time_s)
    betas, bone_scale = hand_shape(pose)
    unrefined = pose if unrefined is None else unrefined
    pieces = _split_by_segments(time_s, segments)
    series, counts = [], {}
    for h, name in enumerate(HANDS):
        cleaned = [
            _clean_hand(
                *({column: values[piece] for column, values in table.items()} for table in (pose, unrefined)),
                h,
                time_s[piece],
                settings,
                lengths,
                lambda r, t, h=h: joints_from(r, t, betas[h], bone_scale[h], HANDS[h]),
                usable,
            )
            for piece, usable in pieces
        ]
        series.append({column: np.concatenate([hand[column] for hand, _ in cleaned]) for column in cleaned[0][0]})
        counts[name] = {key: sum(count[key] for _, count in cleaned) for key in cleaned[0][1]}
    motion = {name: pose[name] for name in ("frame", "time_s", "hand")}
    motion |= {name: np.stack([hand[name] for hand in series], axis=1) for name in series[0]}
    motion["rotation_rad"] = _unwrap(motion["rotation_rad"]).astype(np.float32)
    motion["joints_keyboard_mm"] = joints_in_keyboard_frame(motion["joints_m"], extrinsics)
    hidden = motion["state"] == State.HIDDEN
    motion["betas"] = np.where(hidden[..., None], np.nan, betas).astype(np.float32)
    motion["bone_scale"] = np.where(hidden, np.nan, bone_scale).astype(np.float32)
    motion["residual_px"] = np.where(motion["state"] == State.OBSERVED, pose["residual_px"], np.nan).astype(np.float32)
    return motion, counts


def _split_by_segments(time_s, segments):
    """Divide the frames into the usable segments and the unusable intervals between them.

    `time_s` (frame,); `segments`: see `clean_motion`. Return a list of (slice of frames, True if it is usable), in order.
    """
    if segments is None or not len(time_s):
        return [(slice(None), True)]
    pieces, end = [], 0
    for start, stop in bounds(time_s, segments):
        pieces += [(slice(end, start), False)] if start > end else []
        pieces.append((slice(start, stop), True))
        end = stop
    return pieces + ([(slice(end, len(time_s)), False)] if end < len(time_s) else [])


def _has_pose(pose):
    """Return in which frames the pose of each hand is found and has no NaN, bool array (frame, hand). `pose`: columns of `tables.POSE`."""
    rotation, translation = pose["rotation_rad"], pose["translation_m"]
    return pose["found"] & np.isfinite(rotation).all(axis=(2, 3)) & np.isfinite(translation).all(axis=2)


def _unwrap(rotation):
    """Remove jumps by 2 pi from rotation vectors (frame, hand, joint, xyz 3) of length at most pi; the array is changed in place.

    `unwrap_rotvec` works frame by frame and is slow. It is applied only to the few joints with a step of more than pi.
    """
    jumps = np.zeros(rotation.shape[1:3], dtype=bool)
    for h in range(rotation.shape[1]):
        visible = np.isfinite(rotation[:, h, 0, 0])
        jumps[h] = (np.linalg.norm(np.diff(rotation[visible, h], axis=0), axis=-1) > np.pi).any(axis=0)
    if jumps.any():
        rotation[:, jumps] = unwrap_rotvec(rotation[:, jumps])
    return rotation


def _hand_series(pose, h, found):
    """Return rotations (frame, joint, xyz 3) and translations (frame, xyz 3) of the hand with index `h`, float64.

    Both are NaN in frames in which `found` (frame,) is false. `pose`: columns of `tables.POSE`.
    """
    rotation = np.where(found[:, None, None], pose["rotation_rad"][:, h].astype(np.float64), np.nan)
    return rotation, np.where(found[:, None], pose["translation_m"][:, h].astype(np.float64), np.nan)


def _clean_hand(pose, unrefined, h, time_s, settings, lengths, joints_from, usable):
    """Clean the hand with index `h` in one interval of a video. In an unusable interval, all its frames are hidden.

    Parameters
    ----------
    pose, unrefined : dict of str to array (frame, hand, ...)
        Columns of `tables.POSE` in this interval; see `clean_motion`.
    h : int
        Index into `skeleton.HANDS`.
    time_s : array (frame,)
        Presentation times, s.
    settings : CleanSettings
    lengths : dict of str to int
        Result of `CleanSettings.in_frames`.
    joints_from : callable (rotation (frame, 48), translation_m (frame, 3)) -> joints_m (frame, 21, 3)
    usable : bool
        Whether the interval is a usable segment.

    Returns
    -------
    columns : dict of str to array (frame, ...)
        `state`, `rotation_rad`, `translation_m` and `joints_m`.
    counts : dict of str to int
        See `clean_motion`.
    """
    found = _has_pose(pose)[:, h] & usable
    rotation, translation = _hand_series(pose, h, found)
    by_signal = find_outliers(
        *_hand_series(unrefined, h, found),
        lengths["hampel_window"],
        settings.hampel_n_sigma,
        settings.hampel_floor_m,
        settings.hampel_floor_depth,
        settings.hampel_floor_rad,
    )
    outlier = np.logical_or.reduce(list(by_signal.values()))
    observed = found & ~outlier
    filled = short_gaps(observed, lengths["gap_shorter_than"])
    hidden_again = flicker(observed | filled, lengths["run_shorter_than"])
    visible = (observed | filled) & ~hidden_again
    rotation, translation = interpolate(rotation, translation, time_s, observed, filled)
    translation = smooth(translation, visible, settings.savgol_order, lengths["savgol_window"])
    quaternion = smooth_rotation(quaternion_from_rotvec(rotation), visible, settings.savgol_order, lengths["savgol_window"])
    rotation = rotvec_from_quaternion(quaternion)
    joints = np.full((len(time_s), N_JOINTS, 3), np.nan)
    if visible.any():
        joints[visible] = joints_from(rotation[visible].reshape(-1, 3 * N_ROTATIONS), translation[visible])
    state = np.select([visible & observed, visible], [State.OBSERVED, State.INTERPOLATED], State.HIDDEN).astype(np.int8)
    counts = {
        "frames": len(time_s),
        "missing": int((~found).sum()),
        "outliers": int(outlier.sum()),
        **{f"outliers_{signal}": int(mask.sum()) for signal, mask in by_signal.items()},
        "flicker": int(hidden_again.sum()),
        **{value.name.lower(): int((state == value).sum()) for value in reversed(State)},
    }
    return {
        "state": state,
        "rotation_rad": rotation,
        "translation_m": translation.astype(np.float32),
        "joints_m": joints.astype(np.float32),
    }, counts
