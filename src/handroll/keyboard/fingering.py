"""Fingering: probabilities of the hand and finger that play each note, from the fingertips and from the constraints of hands.

Each note has eleven candidates: the five fingers of each hand, and an undetected finger. The evidence of a candidate is how well the
fingertip at the onset (`fingertips_at_onsets`) fits the note's key. Notes that are held at the same time constrain each other: one
finger holds one key, and the fingers of a hand are in order (a thumb may pass under). Evidence and constraints form a pairwise Markov
random field over the notes; loopy belief propagation computes each note's posterior (Yedidia, Freeman and Weiss 2005,
doi:10.1109/TIT.2005.850085). The constants of a video, each finger's bias along the keys and the standard deviation of all fingers,
are estimated by expectation-maximisation with the labels as hidden variables.

Keyboard frame: `handroll.keyboard.geometry`, millimetres; keys have the standard dimensions.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, ndtr

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.fingertips_at_onsets import landings
from handroll.keyboard.geometry import LOWEST_PITCH, key_centres_x_mm
from handroll.tables import FINGERED_NOTES

THRESHOLD = 0.7
"""Minimum confidence of a label. Confidence is calibrated: 7 in 10 of the labels just above this threshold are right, and there are few
of them."""

N_CANDIDATES = len(HANDS) * len(FINGERS) + 1
"""Number of candidates: left thumb to little finger, right thumb to little finger, undetected finger."""

UNDETECTED = N_CANDIDATES - 1
"""Index of the candidate that stands for an undetected finger."""


@dataclass(frozen=True)
class Weights:
    """Weights of the evidence and of the constraints.

    They are fitted by maximum likelihood to performances of the synthetic pianist with development seeds, through detection and pose,
    and rounded. The likelihood barely depends on the last three, but each of them improves it.

    Attributes
    ----------
    sigma_mm, interpolated_sigma_mm : standard deviations of an observed and an interpolated fingertip's error along the keys.
    per_low_mm : log odds for a tip, per millimetre below its median height.
    per_drop_mm : log odds for a tip, per millimetre of descent.
    tail : log odds against a tip on the tail of a white key: players avoid it, but idle fingers are often above it.
    outside_mm : standard deviation of the distance from the playable part of a key, along y.
    same_finger, crossed, crossed_thumb : log odds against two keys held by one finger, by two fingers in the wrong order,
        and by a thumb and a finger in the wrong order.
    """

    sigma_mm: float = 4.5
    interpolated_sigma_mm: float = 12.0
    per_low_mm: float = 0.12
    per_drop_mm: float = 0.13
    tail: float = 1.2
    outside_mm: float = 9.0
    same_finger: float = 4.0
    crossed: float = 3.0
    crossed_thumb: float = 1.0


WEIGHTS = Weights()

# Ranges to which the evidence is clipped, so that a wrong pose does not outweigh everything else.
_LOW_MM, _DROP_MM, _OUTSIDE_MM = (-12.0, 20.0), (-5.0, 15.0), 30.0

# Share of fingertips with a large error, and the standard deviation of that error.
_OUTLIERS, _OUTLIER_MM = 0.03, 20.0

# Probability that the tip of a wrong finger is over the key: ten keys are within a hand's width.
_CHANCE, _MIN_ODDS = 0.1, 1e-6

# Probability that an undetected finger plays a note: with both hands detected, and added for each hidden hand.
_UNDETECTED_PRIOR, _HIDDEN_PRIOR = 0.002, 0.25

# Maximum time between the onsets of a chord.
_CHORD_S = 0.04

# Transcribed releases are late by up to about the first time, during which one finger may seem to hold two keys. A key that seems to
# be held longer than the second time may already be released, and no longer constrains its finger.
_RELEASE_SLACK_S, _LONGEST_HOLD_S = 0.06, 2.0

# Belief propagation.
_ROUNDS, _DAMPING = 12, 0.5

# Expectation-maximisation.
_VIDEO_ROUNDS = 3

# Weight of a finger's prior bias of 0, in notes, and maximum bias from one note.
_BIAS_PRIOR_NOTES, _BIAS_CLIP_MM = 6.0, 12.0

# Candidates for the standard deviation of a video, and weight of its prior: small compared with a hundred notes.
_SIGMAS_MM = np.array([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0])
_SIGMA_PRIOR = 20.0


def label_fingering(notes, time_s, joints_keyboard_mm, state, threshold=THRESHOLD):
    """Label every note with the hand and finger that play it.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`, with times as in the video.
    time_s : array (frame,)
        Presentation times, rising.
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden or where no keyboard is registered. Fitted and cleaned poses give equally good labels.
    state : array (frame, hand 2)
        `tables.State`; joints of hidden hands are ignored. Gaps under a second are interpolated and have less weight.
    threshold : float
        Minimum confidence, 0..1; labels below it are withheld.

    Returns
    -------
    dict of str to array (note,)
        `hand`, `finger`, `finger_confidence` and `landing_error_mm` of `tables.FINGERED_NOTES`.
    """
    landing = landings(notes, time_s, joints_keyboard_mm, state)
    posterior = infer(notes, landing)
    best = posterior[:, :UNDETECTED].argmax(axis=1)
    side, finger = np.divmod(best, len(FINGERS))
    rows = np.arange(len(best))
    detected = np.isfinite(landing.offset_mm[rows, side, finger])
    confidence = np.where(detected, posterior[rows, best], 0.0)
    labelled = detected & (confidence >= threshold)
    error_mm = np.maximum(np.abs(landing.offset_mm) - landing.half_width_mm, 0.0)[rows, side, finger]
    dtype = FINGERED_NOTES.empty()
    return {
        "hand": np.where(labelled, np.array(HANDS, dtype=object)[side], ""),
        "finger": np.where(labelled, finger + 1, 0).astype(dtype["finger"].dtype),
        "finger_confidence": confidence.astype(dtype["finger_confidence"].dtype),
        "landing_error_mm": np.where(detected, error_mm, np.nan).astype(dtype["landing_error_mm"].dtype),
    }


def infer(notes, landing, weights=WEIGHTS):
    """Compute the posterior of each note's candidates.

    The fingers' biases along the keys and the standard deviation of the video are estimated and used.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    landing : Landing
    weights : Weights

    Returns
    -------
    array (note, candidate 11)
    """
    raw = landing.offset_mm
    if not np.isfinite(raw).any():
        # Without any detected hand over the keys, all notes have an undetected finger.
        return np.repeat(np.eye(UNDETECTED + 1)[UNDETECTED:], len(raw), axis=0)
    links = held_together(notes, weights)
    posterior = propagate(evidence(landing, weights), *links)
    for _ in range(_VIDEO_ROUNDS):
        landing = replace(landing, offset_mm=raw - finger_bias(raw, posterior))
        weights = replace(weights, sigma_mm=fitted_sigma(landing, posterior))
        posterior = propagate(evidence(landing, weights), *links)
    return posterior


def finger_bias(offset_mm, posterior):
    """Return the mean error of each finger along the keys, array (hand 2, finger 5), mm, weighted by the posterior, with a prior of 0."""
    share = posterior[:, :UNDETECTED].reshape(-1, len(HANDS), len(FINGERS))
    error = np.clip(np.where(np.isfinite(offset_mm), offset_mm, 0.0), -_BIAS_CLIP_MM, _BIAS_CLIP_MM)
    return (share * error).sum(axis=0) / (share.sum(axis=0) + _BIAS_PRIOR_NOTES)


def fitted_sigma(landing, posterior):
    """Return the likeliest of `_SIGMAS_MM` as error of fingertips along the keys, weighted by the posterior, with a prior."""
    share = posterior[:, :UNDETECTED].reshape(landing.offset_mm.shape) * ~landing.interpolated[:, :, None]
    fit = [np.nansum(share * _offset_odds(landing, sigma)) - _SIGMA_PRIOR * np.log(sigma / WEIGHTS.sigma_mm) ** 2 for sigma in _SIGMAS_MM]
    return float(_SIGMAS_MM[np.argmax(fit)])


def evidence(landing, weights=WEIGHTS):
    """Return the log odds (note, candidate 11) of each candidate against a finger that does not play the note."""
    interpolated = landing.interpolated[:, :, None]
    odds = _offset_odds(landing, np.where(interpolated, max(weights.interpolated_sigma_mm, weights.sigma_mm), weights.sigma_mm))
    stroke = weights.per_low_mm * np.clip(-landing.height_mm, *_LOW_MM) + weights.per_drop_mm * np.clip(landing.drop_mm, *_DROP_MM)
    # Interpolated hands make no strokes.
    odds = odds + np.where(interpolated, 0.0, stroke)
    odds = odds - weights.tail * landing.tail_share - 0.5 * (np.minimum(landing.outside_mm, _OUTSIDE_MM) / weights.outside_mm) ** 2
    detected = np.isfinite(odds)
    hidden_hands = (~detected.any(axis=2)).sum(axis=1)
    undetected = np.log(_UNDETECTED_PRIOR + _HIDDEN_PRIOR * hidden_hands)
    return np.column_stack([np.where(detected, odds, -np.inf).reshape(len(odds), UNDETECTED), undetected])


def _offset_odds(landing, sigma_mm):
    """Return the log odds (note, hand 2, finger 5) from the tip's position along the keys; NaN where the hand is not detected.

    The finger is anywhere on the key's width with equal probability. Its measured position has a Gaussian error, with outliers.
    """
    offset, half = landing.offset_mm, landing.half_width_mm
    inlier, outlier = (ndtr((half - offset) / sigma) - ndtr((-half - offset) / sigma) for sigma in (sigma_mm, _OUTLIER_MM))
    return np.log(((1.0 - _OUTLIERS) * inlier + _OUTLIERS * outlier) / _CHANCE + _MIN_ODDS)


def held_together(notes, weights=WEIGHTS):
    """Find the pairs of notes that are struck or held together, and the log odds of their candidates.

    Returns
    -------
    first, second : int array (pair,)
        Rows of the notes; the second onset is at or after the first.
    odds : array (pair, candidate 11, candidate 11)
        At most 0. Axes: candidate of the first note, candidate of the second note.
    """
    onset, release = np.asarray(notes["onset_s"]), np.asarray(notes["key_offset_s"])
    key = np.asarray(notes["pitch"]).astype(np.int64) - LOWEST_PITCH
    first, second = [], []
    for note in range(len(onset)):
        until = np.clip(release[note], onset[note] + _CHORD_S, onset[note] + _LONGEST_HOLD_S)
        later = np.arange(note + 1, np.searchsorted(onset, until, side="right"))
        later = later[key[later] != key[note]]
        first += [note] * len(later)
        second += later.tolist()
    first, second = np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)
    x = key_centres_x_mm()
    chord = onset[second] - onset[first] < _CHORD_S
    overlap = np.clip((release[first] - onset[second]) / _RELEASE_SLACK_S, 0.0, 1.0)
    share = np.where(chord, 1.0, overlap)
    against = np.where((x[key[second]] > x[key[first]])[:, None, None], *_against(weights))
    return first, second, -share[:, None, None] * against


def _against(weights):
    """Return the log odds (candidate 11, candidate 11) against pairs of candidates, for a second note right and left of the first."""
    side, finger = np.divmod(np.arange(UNDETECTED), len(FINGERS))
    # From left to right, the fingers are 5 to 1 in the left hand and 1 to 5 in the right hand.
    position = np.where(side == 0, -finger, finger)
    same_hand = side[:, None] == side
    with_thumb = (finger[:, None] == 0) | (finger == 0)
    wrong = np.where(with_thumb, weights.crossed_thumb, weights.crossed) * (position[:, None] > position)
    right = np.zeros((N_CANDIDATES, N_CANDIDATES))
    right[:UNDETECTED, :UNDETECTED] = same_hand * np.where(position[:, None] == position, weights.same_finger, wrong)
    return right, right.T


def propagate(odds, first, second, pair_odds):
    """Compute posteriors by loopy belief propagation: damped sum-product, all pairs in parallel.

    Parameters
    ----------
    odds : array (note, candidate 11)
        Log odds of the evidence.
    first, second : int array (pair,)
    pair_odds : array (pair, candidate 11, candidate 11)
        As of `held_together`.

    Returns
    -------
    array (note, candidate 11)
    """
    forward = np.zeros((len(first), N_CANDIDATES))
    backward = np.zeros_like(forward)
    belief = odds
    for _ in range(_ROUNDS if len(first) else 0):
        from_first = logsumexp((belief[first] - backward)[:, :, None] + pair_odds, axis=1)
        from_second = logsumexp((belief[second] - forward)[:, None, :] + pair_odds, axis=2)
        forward = _DAMPING * forward + (1.0 - _DAMPING) * (from_first - from_first.max(axis=1, keepdims=True))
        backward = _DAMPING * backward + (1.0 - _DAMPING) * (from_second - from_second.max(axis=1, keepdims=True))
        belief = odds.copy()
        np.add.at(belief, second, forward)
        np.add.at(belief, first, backward)
    return np.exp(belief - logsumexp(belief, axis=1, keepdims=True)) if len(belief) else belief
