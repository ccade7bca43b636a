"""Simulated recordings that the screening of overhead videos must reject: tilted cameras, one hand, four hands, long pauses.

The world frame is defined in `generation.performance`.
"""

from dataclasses import dataclass, replace

import numpy as np

from handroll.generation.performance import Performance
from handroll.hand.rotations import matrix_from_rotvec
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.rendering.scene import View

SIDES_RAD = {"player": 0.0, "left": -0.5 * np.pi, "front": np.pi, "right": 0.5 * np.pi}
"""`TurnedView.turn_rad` for each side of the piano at which a tilted camera can be: behind the player, at the bass end, behind the
fallboard, at the treble end."""


@dataclass(frozen=True)
class TurnedView(View):
    """A `View` from any side of the piano.

    Attributes
    ----------
    turn_rad : float
        Rotation of the tilted camera about the vertical axis, counter-clockwise viewed from above. At 0, a camera with positive tilt
        is on the player's side; see `SIDES_RAD`.
    """

    turn_rad: float = 0.0

    @property
    def rotation(self):
        """Rotation matrix (3, 3) from the world frame to the camera frame."""
        return super().rotation @ matrix_from_rotvec(np.array([0.0, 0.0, -self.turn_rad]))


def view_from(aim_m, distance_m, tilt_rad, turn_rad=0.0, roll_rad=0.0, focal_widths=0.8, k1=0.0):
    """Return the view of a camera that is aimed at a point: the point is at the centre of the image.

    Parameters
    ----------
    aim_m : (x, y, z)
        World frame.
    distance_m : float
        Distance from the camera to this point.
    tilt_rad, turn_rad, roll_rad, focal_widths, k1 : float
        See `TurnedView`.

    Returns
    -------
    TurnedView
    """
    view = TurnedView((0.0, 0.0, 0.0), tilt_rad, roll_rad, focal_widths, k1, turn_rad)
    position = np.asarray(aim_m) - distance_m * view.rotation[2]
    return replace(view, position_m=tuple(position.tolist()))


def transposed(score, semitones):
    """Return a score transposed by semitones. Notes outside the keyboard are dropped."""
    pitch = score.notes["pitch"] + semitones
    on = (pitch >= LOWEST_PITCH) & (pitch <= HIGHEST_PITCH)
    notes = {name: values[on] for name, values in score.notes.items()} | {"pitch": pitch[on].astype(score.notes["pitch"].dtype)}
    return replace(score, notes=notes, hand=score.hand[on], finger=score.finger[on])


def with_rests(score, rests):
    """Return a score with additional rests, during which a hand leaves the keys. The notes of this hand in the rests are dropped.

    Parameters
    ----------
    score : Score
    rests : sequence of (hand name, start_s, end_s)
        Additional rests; each is longer than 2 s.

    Returns
    -------
    Score
    """
    onset, offset = score.notes["onset_s"], score.notes["key_offset_s"]
    on = np.ones(len(onset), dtype=bool)
    for name, start_s, end_s in rests:
        on &= (score.hand != HANDS.index(name)) | (offset < start_s) | (onset > end_s)
    notes = {name: values[on] for name, values in score.notes.items()}
    return replace(score, notes=notes, hand=score.hand[on], finger=score.finger[on], rests=(*score.rests, *rests))


def without_hand(performance, hand):
    """Return a performance without one hand ("left" or "right")."""
    present = performance.present.copy()
    present[:, HANDS.index(hand)] = False
    return replace(performance, present=present)


def merge_performances(first, second):
    """Merge two performances at one piano. The result has four hands: two of the first player, then two of the second.

    A merged performance can be rendered, and its hands can be counted. It has no `Truth`, which supports two hands only.

    Parameters
    ----------
    first, second : Performance
        Performances of one player each, with equal times. A note that both players strike is listed twice.

    Returns
    -------
    Performance

    Raises
    ------
    ValueError
        The times of the performances differ.
    """
    if not np.array_equal(first.time_s, second.time_s):
        raise ValueError(
            f"both performances: expected the same frame times, found different ones ({len(first.time_s)} and {len(second.time_s)} frames)"
        )
    pairs = {
        name: np.concatenate([getattr(first, name), getattr(second, name)], axis=axis)
        for name, axis in (("rotation_rad", 1), ("translation_m", 1), ("bone_scale", 0), ("present", 1))
    }
    order = np.argsort(np.concatenate([first.notes["onset_s"], second.notes["onset_s"]]), kind="stable")
    return Performance(
        time_s=first.time_s,
        key_depth_mm=np.maximum(first.key_depth_mm, second.key_depth_mm),
        notes={name: np.concatenate([first.notes[name], second.notes[name]])[order] for name in first.notes},
        note_hand=np.concatenate([first.note_hand, second.note_hand + len(HANDS)])[order],
        note_finger=np.concatenate([first.note_finger, second.note_finger])[order],
        **pairs,
    )


def subsample_frames(performance, step):
    """Return a performance with only every `step`-th frame, to reduce the time for rendering."""
    frames = ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")
    return replace(performance, **{name: getattr(performance, name)[::step] for name in frames})
