"""Which octave the keys in the picture are: where the picture leaves it open, the fingers stand on the keys that sound."""

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import key_of_pitch, playing_points_mm

TIP_HEIGHT_MM = 10.0
"""A landmark lies in the finger, so it is seen a little above the key."""

SIGMA_MM = 5.0
"""How far along the keys a striking fingertip is from the middle of its key, with the detector's error. Sharper than it may be: a hand
that plays in octaves with one outside the picture has fingers near all keys, and the right ones nearest."""

LEAST_LIKELIHOOD = 0.02
"""Likelihood of a note that no fingertip strikes, relative to one struck in the middle: its finger is hidden, or it is no note."""

OUTSIDE_LIKELIHOOD = 0.2
"""The same of a note whose key is not in the picture: nobody can see its finger. Hands that play in octaves look alike; that
the keys of one are empty where they can be seen tells them apart."""

AFTER_S = 0.1
"""A fingertip counts that stands on the key within this time of the onset."""

MIN_LOG_ODDS = 10.0
"""Least log odds of the best octave against the next."""


def octave_odds(view, keyboard, octaves, notes, time_s, landmarks_px):
    """Log likelihood of each octave, relative to the best.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    keyboard : handroll.keyboard.geometry.Keyboard
    octaves : sequence of int
        How many octaves farther right the keys are than `view` says.
    notes : dict of str to array (note,)
        `onset_s` and `pitch` of `tables.NOTES`.
    time_s : array (frame,)
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`; NaN where no hand is found.

    Returns
    -------
    array (octave,)
        0 for the likeliest; all 0 where no note has a frame with a hand.
    """
    tips = landmarks_px[:, :, [LANDMARK_OF_JOINT[tip] for tip in TIPS]].reshape(len(landmarks_px), 2 * len(TIPS), 2)
    tips_x_mm = view.on_plane(tips, TIP_HEIGHT_MM)[..., 0]
    key_mm = playing_points_mm(keyboard)[key_of_pitch(notes["pitch"])]
    shift_mm = 7 * keyboard.white_pitch_mm * np.asarray(octaves, dtype=np.float64)
    # Where each note's key would be in the picture: (note, octave, xy 2).
    at = view.project(key_mm[:, None] - shift_mm[:, None] * [1.0, 0.0, 0.0])
    inside = ((at > 0.0) & (at < [view.width_px, view.height_px])).all(axis=-1)
    unseen = np.where(inside, LEAST_LIKELIHOOD, OUTSIDE_LIKELIHOOD)
    odds = np.zeros(len(octaves))
    for note, onset_s in enumerate(notes["onset_s"]):
        near = tips_x_mm[np.searchsorted(time_s, onset_s - AFTER_S) : np.searchsorted(time_s, onset_s + AFTER_S)]
        near = near[np.isfinite(near)]
        if len(near):
            aside = np.abs(near[:, None] + shift_mm - key_mm[note, 0]).min(axis=0)
            odds += np.log(np.exp(-0.5 * (aside / SIGMA_MM) ** 2) + unseen[note])
    return odds - odds.max(initial=0.0 if not len(odds) else -np.inf)
