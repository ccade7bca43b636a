"""Determine the octave of the visible keys from the fingertips on sounding keys, if the frame shows only a part of the keyboard."""

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import key_of_pitch, playing_points_mm

TIP_HEIGHT_MM = 10.0
"""Height of a fingertip landmark above the key that the finger touches, mm. The landmark is inside the finger."""

SIGMA_MM = 5.0
"""Standard deviation of a pressing fingertip's distance from the middle of its key, along the keyboard, mm. It includes the detector's
error. It is deliberately small. When a hand plays octaves and is partly outside the frame, a wrong octave shift also puts fingertips
near the keys; only the correct shift puts them near the middle of the keys."""

MISSED_LIKELIHOOD = 0.02
"""Likelihood of a note without a fingertip on its key, as a share of the likelihood of a fingertip at the middle of the key. It accounts
for hidden fingers and transcription errors."""

OUTSIDE_LIKELIHOOD = 0.2
"""Likelihood that replaces `MISSED_LIKELIHOOD` for a note whose key is outside the frame, where no finger is visible. It is higher than
`MISSED_LIKELIHOOD`. An octave shift that puts notes on visible keys without a fingertip is therefore less likely than a shift that puts
them outside the frame. When both hands play octaves, only this difference distinguishes the shifts."""

WINDOW_S = 0.1
"""Maximum time between an onset and a frame in which the fingertip is expected on the key, s."""

MIN_LOG_ODDS = 10.0
"""Minimum log odds of the likeliest octave against the second likeliest, for the octave to be accepted."""


def octave_odds(view, keyboard, octaves, notes, time_s, landmarks_px):
    """Compute the log likelihood of each octave shift, relative to the best.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    keyboard : handroll.keyboard.geometry.Keyboard
    octaves : sequence of int
        Octave shifts to compare: the keys are this number of octaves farther right than in `view`.
    notes : dict of str to array (note,)
        `onset_s` and `pitch` of `tables.NOTES`.
    time_s : array (frame,)
        Presentation times, s, increasing.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Landmarks of `tables.DETECTIONS`, pixels of the frame as shown; NaN where no hand is detected.

    Returns
    -------
    array (octave,)
        0 for the likeliest shift, negative for the others; all 0 if no hand is detected near any onset.
    """
    tips = landmarks_px[:, :, [LANDMARK_OF_JOINT[tip] for tip in TIPS]].reshape(len(landmarks_px), 2 * len(TIPS), 2)
    tips_x_mm = view.on_plane(tips, TIP_HEIGHT_MM)[..., 0]
    key_mm = playing_points_mm(keyboard)[key_of_pitch(notes["pitch"])]
    shift_mm = 7 * keyboard.white_pitch_mm * np.asarray(octaves, dtype=np.float64)
    # Position of each note's key in the frame, for each octave: (note, octave, xy 2).
    at = view.project(key_mm[:, None] - shift_mm[:, None] * [1.0, 0.0, 0.0])
    inside = ((at > 0.0) & (at < [view.width_px, view.height_px])).all(axis=-1)
    missed = np.where(inside, MISSED_LIKELIHOOD, OUTSIDE_LIKELIHOOD)
    odds = np.zeros(len(octaves))
    for note, onset_s in enumerate(notes["onset_s"]):
        near = tips_x_mm[np.searchsorted(time_s, onset_s - WINDOW_S) : np.searchsorted(time_s, onset_s + WINDOW_S)]
        near = near[np.isfinite(near)]
        if len(near):
            distance = np.abs(near[:, None] + shift_mm - key_mm[note, 0]).min(axis=0)
            odds += np.log(np.exp(-0.5 * (distance / SIGMA_MM) ** 2) + missed[note])
    return odds - odds.max(initial=0.0 if not len(odds) else -np.inf)
