"""Octave of the visible keys, from the fingertips on sounding keys; for frames that show only a part of the keyboard."""

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import key_of_pitch, playing_points_mm

TIP_HEIGHT_MM = 10.0
"""Height of a fingertip landmark above the key that it touches, mm: the landmark is inside the finger."""

SIGMA_MM = 5.0
"""Standard deviation of a pressing fingertip's distance from the middle of its key, along the keys, mm. It includes the detector's
error and is deliberately small: a hand that plays octaves partly outside the frame has fingers near all keys, and nearest to the
right ones."""

MISSED_LIKELIHOOD = 0.02
"""Likelihood of a note without a fingertip on its key, relative to a fingertip at the middle of the key: the finger is hidden, or the
note is a transcription error."""

OUTSIDE_LIKELIHOOD = 0.2
"""The same for a note whose key is outside the frame, so that its finger cannot be visible. Both hands of octave playing look alike;
only keys that are visible and empty distinguish them."""

WINDOW_S = 0.1
"""Maximum time between the onset and a frame in which the fingertip is on the key."""

MIN_LOG_ODDS = 10.0
"""Minimum log odds of the best octave against the second best, for the octave to be accepted."""


def octave_odds(view, keyboard, octaves, notes, time_s, landmarks_px):
    """Compute the log likelihood of each octave shift, relative to the best.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    keyboard : handroll.keyboard.geometry.Keyboard
    octaves : sequence of int
        Octave shifts: the keys are this many octaves farther right than in `view`.
    notes : dict of str to array (note,)
        `onset_s` and `pitch` of `tables.NOTES`.
    time_s : array (frame,)
        Presentation times, rising.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, frame as shown; NaN where no hand is found.

    Returns
    -------
    array (octave,)
        0 for the likeliest; all 0 where no onset has a frame with a detected hand.
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
