"""Style of a pianist: how the hands move while they play the same notes with the same fingers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PianistStyle:
    """Style of a pianist.

    Attributes
    ----------
    hover_mm : float
        Height of an idle fingertip above the keys.
    rise_mm : float
        Distance in front of the black keys over which idle fingertips rise from the level of the white keys to that of the black keys.
    wrist_height_mm : float
        Height of the wrist above the white keys; bone scale 1. With a higher wrist, thumb and little finger would not reach outer keys.
    pitch_deg, yaw_deg : float
        Pitch of the hand, and yaw of the hand at the middle of the keyboard.
    stretch_drop_mm, stretch_pitch_deg : float
        Distance by which the wrist is lower, and change of the pitch, for a chord of an octave.
    strike_s : (float, float)
        Time in which a fingertip moves from its idle height to the bottom of the key: for MIDI velocity 1, and for 127.
    lift_s : float
        Time in which a fingertip moves from the bottom of the key back to its idle height.
    aim_s : float
        Time before the onset at which a fingertip starts to move towards its key.
    travel_s : float
        Time constant with which a hand approaches its next chord between notes. A larger value gives a slower wrist.
    depth_mm : float
        Distance by which the hand plays nearer to the fallboard, as far as its fingers reach their keys; negative: nearer to the player's
        edge.
    finger_lag_s : float
        Time by which idle fingers lag behind the hand when it moves.
    keeps_apart : bool
        Whether a boundary keeps the hands apart (`two_hands`). False: hands that share a range of keys may pass through each other.
    turns_wrist : bool
        Whether the wrist turns, and fingertips slide along their keys, where fingers do not reach their keys. False: the wrist only moves.
    """

    hover_mm: float = 13.0
    rise_mm: float = 10.0
    wrist_height_mm: float = 50.0
    pitch_deg: float = 6.0
    yaw_deg: float = 5.0
    stretch_drop_mm: float = 20.0
    stretch_pitch_deg: float = 0.0
    strike_s: tuple[float, float] = (0.085, 0.055)
    lift_s: float = 0.08
    aim_s: float = 0.20
    travel_s: float = 0.4
    depth_mm: float = 0.0
    finger_lag_s: float = 0.0
    keeps_apart: bool = False
    turns_wrist: bool = False


SIMULATED = PianistStyle()
"""Style of the simulated performances: synthetic videos and training data."""

PLANNED = PianistStyle(rise_mm=40.0, stretch_pitch_deg=4.0, keeps_apart=True, turns_wrist=True)
"""Style of planned motion. Unlike in `SIMULATED`, idle fingertips rise slowly in front of the black keys, so that they do not seem to
strike. In wide chords the knuckles are higher, so that idle fingers stay above the keys."""
