"""Label the fingering: compute the probability of each hand and finger for each note.

Each note has eleven candidates: the five fingers of each hand, and an undetected finger. The evidence of a candidate is how well its
fingertip at the onset (`fingertips_at_onsets`) fits the note's key. Notes that are held at the same time constrain each other: one
finger holds one key, and the fingers of a hand are in order (a thumb may pass under). Evidence and constraints form a pairwise Markov
random field over the notes. Loopy belief propagation computes each note's posterior (Yedidia, Freeman and Weiss 2005,
doi:10.1109/TIT.2005.850085). Two kinds of constants are estimated for each video: each finger's bias along the keyboard, and one standard
deviation for all fingertips. The method is expectation-maximisation, with the labels as hidden variables.

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
"""Minimum confidence of a label, 0..1. Confidence is calibrated: of the few labels just above this threshold, 7 in 10 are correct."""

N_CANDIDATES = len(HANDS) * len(FINGERS) + 1
"""Number of candidates of a note, in this order: the left hand's fingers from thumb to little finger, the right hand's fingers from thumb
to little finger, an undetected finger."""

UNDETECTED = N_CANDIDATES - 1
"""Index of the candidate for an undetected finger."""


@dataclass(frozen=True)
class Weights:
    """Weights of the evidence and of the constraints.

    They are fitted by maximum likelihood to the detected and reconstructed hands of simulated performances that no published
    measurement uses, and rounded. The likelihood barely depends on `same_finger`, `crossed` and
    `crossed_thumb`, but each of them improves it.

    Attributes
    ----------
    sigma_mm : float
        Standard deviation of an observed fingertip's error along the keyboard, mm.
    interpolated_sigma_mm : float
        Standard deviation of an interpolated fingertip's error along the keyboard, mm.
    per_low_mm : float
        Log odds that a fingertip plays the note, per millimetre below its median height.
    per_drop_mm : float
        Log odds that a fingertip plays the note, per millimetre of descent; see `Landing.drop_mm`.
    tail : float
        Log odds against a fingertip on the tail of a white key: players avoid the tail, but idle fingers are often above it.
    outside_mm : float
        Standard deviation of a fingertip's distance from the playable part of its key along y, mm.
    same_finger : float
        Log odds against two keys held by one finger.
    crossed : float
        Log odds against two keys held by two fingers in the wrong order.
    crossed_thumb : float
        Log odds against two keys held by a thumb and another finger in the wrong order.
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
"""Fitted weights, used by default."""

# Limits of a fingertip's distance below its median height, mm. Values are clipped, so that a wrong pose does not outweigh all other
# evidence.
_LOW_MM = (-12.0, 20.0)

# Limits of a fingertip's descent, mm; values are clipped.
_DROP_MM = (-5.0, 15.0)

# Maximum distance of a fingertip from the playable part of its key along y, mm; larger values are clipped.
_OUTSIDE_MM = 30.0

# Share of fingertips with a large error along the keyboard, 0..1.
_OUTLIERS = 0.03

# Standard deviation of the position along the keyboard of a fingertip with a large error, mm.
_OUTLIER_MM = 20.0

# Probability that the tip of a finger that does not play the note is over its key: a hand spans ten keys.
_CHANCE = 0.1

# Added to the odds of a fingertip's position, so that their logarithm is finite far from the key.
_MIN_ODDS = 1e-6

# Prior probability that an undetected finger plays a note while both hands are detected.
_UNDETECTED_PRIOR = 0.002

# Increase of `_UNDETECTED_PRIOR` for each hidden hand.
_HIDDEN_PRIOR = 0.25

# Maximum time between the onsets of the notes of a chord, s.
_CHORD_S = 0.04

# Approximate maximum delay of a transcribed key release, s. During this delay, one finger may seem to hold two keys.
_RELEASE_SLACK_S = 0.06

# Maximum time after a note's onset in which the note constrains its finger, s. Later, the key may already be released.
_LONGEST_HOLD_S = 2.0

# Number of rounds of belief propagation.
_ROUNDS = 12

# Weight of the previous messages in each round of belief propagation, 0..1.
_DAMPING = 0.5

# Number of rounds of expectation-maximisation.
_VIDEO_ROUNDS = 3

# Weight of the prior that a finger's bias is 0, as a number of notes.
_BIAS_PRIOR_NOTES = 6.0

# Maximum error of a fingertip along the keyboard, mm. Larger errors are clipped before their mean, the finger's bias, is computed.
_BIAS_CLIP_MM = 12.0

# Candidates for the standard deviation of a video's fingertips along the keyboard, mm.
_SIGMAS_MM = np.array([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0])

# Weight of the prior of the standard deviation, as a number of notes: small compared with a video of a hundred notes.
_SIGMA_PRIOR = 20.0


def label_fingering(notes, time_s, joints_keyboard_mm, state, threshold=THRESHOLD):
    """Label every note with the hand and finger that play it.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, on the video clock.
    time_s : array (frame,)
        Presentation times, s, increasing.
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden or where no keyboard is registered. Poses before and after cleaning give equally good labels.
    state : array (frame, hand 2)
        Values of `tables.State`; joints of hidden hands are ignored. Gaps up to `fingertips_at_onsets.LONGEST_GAP_S` are interpolated,
        with less weight.
    threshold : float
        Minimum confidence, 0..1; notes with less confidence have no label.

    Returns
    -------
    dict of str to array (note,)
        Columns `hand`, `finger`, `finger_confidence` and `landing_error_mm` of `tables.FINGERED_NOTES`.
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
    """Compute the posterior probability of each candidate for each note.

    The fingers' biases along the keyboard and their standard deviation are estimated from the video.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    landing : Landing
        Fingertips at the onsets of these notes.
    weights : Weights

    Returns
    -------
    array (note, candidate 11)
        Probabilities; each row sums to 1.
    """
    raw = landing.offset_mm
    if not np.isfinite(raw).any():
        # No hand is detected at any onset, so an undetected finger plays every note.
        return np.repeat(np.eye(UNDETECTED + 1)[UNDETECTED:], len(raw), axis=0)
    links = held_together(notes, weights)
    posterior = propagate(evidence(landing, weights), *links)
    for _ in range(_VIDEO_ROUNDS):
        landing = replace(landing, offset_mm=raw - finger_bias(raw, posterior))
        weights = replace(weights, sigma_mm=fitted_sigma(landing, posterior))
        posterior = propagate(evidence(landing, weights), *links)
    return posterior


def finger_bias(offset_mm, posterior):
    """Return the mean error of each finger along the keyboard, array (hand 2, finger 5), mm.

    `offset_mm` (note, hand 2, finger 5) is that of a `Landing`. Notes are weighted by the `posterior` (note, candidate 11) of the finger. A
    prior draws the mean towards 0.
    """
    share = posterior[:, :UNDETECTED].reshape(-1, len(HANDS), len(FINGERS))
    error = np.clip(np.where(np.isfinite(offset_mm), offset_mm, 0.0), -_BIAS_CLIP_MM, _BIAS_CLIP_MM)
    return (share * error).sum(axis=0) / (share.sum(axis=0) + _BIAS_PRIOR_NOTES)


def fitted_sigma(landing, posterior):
    """Return the most probable standard deviation of the fingertips' error along the keyboard, one of `_SIGMAS_MM`.

    Fingers are weighted by the `posterior` (note, candidate 11). A prior draws the result towards `WEIGHTS.sigma_mm`.
    """
    share = posterior[:, :UNDETECTED].reshape(landing.offset_mm.shape) * ~landing.interpolated[:, :, None]
    fit = [np.nansum(share * _offset_odds(landing, sigma)) - _SIGMA_PRIOR * np.log(sigma / WEIGHTS.sigma_mm) ** 2 for sigma in _SIGMAS_MM]
    return float(_SIGMAS_MM[np.argmax(fit)])


def evidence(landing, weights=WEIGHTS):
    """Return the log odds (note, candidate 11) of each candidate: how much more likely the `Landing` is if the finger plays the note.

    The log odds of a finger of an undetected hand are -inf. Those of the candidate `UNDETECTED` are the log of its prior probability.
    """
    interpolated = landing.interpolated[:, :, None]
    odds = _offset_odds(landing, np.where(interpolated, max(weights.interpolated_sigma_mm, weights.sigma_mm), weights.sigma_mm))
    stroke = weights.per_low_mm * np.clip(-landing.height_mm, *_LOW_MM) + weights.per_drop_mm * np.clip(landing.drop_mm, *_DROP_MM)
    # Interpolation removes strokes, so height and descent are no evidence for interpolated hands.
    odds = odds + np.where(interpolated, 0.0, stroke)
    odds = odds - weights.tail * landing.tail_share - 0.5 * (np.minimum(landing.outside_mm, _OUTSIDE_MM) / weights.outside_mm) ** 2
    detected = np.isfinite(odds)
    hidden_hands = (~detected.any(axis=2)).sum(axis=1)
    undetected = np.log(_UNDETECTED_PRIOR + _HIDDEN_PRIOR * hidden_hands)
    return np.column_stack([np.where(detected, odds, -np.inf).reshape(len(odds), UNDETECTED), undetected])


def _offset_odds(landing, sigma_mm):
    """Return the log odds (note, hand 2, finger 5) from the fingertips' positions along the keyboard; NaN where the hand is not detected.

    Model: the finger is anywhere on the key's width with equal probability. Its measured position has a Gaussian error with standard
    deviation `sigma_mm`, a number or an array (note, hand 2, 1). A share `_OUTLIERS` of the positions has the larger error `_OUTLIER_MM`.
    """
    offset, half = landing.offset_mm, landing.half_width_mm
    inlier, outlier = (ndtr((half - offset) / sigma) - ndtr((-half - offset) / sigma) for sigma in (sigma_mm, _OUTLIER_MM))
    return np.log(((1.0 - _OUTLIERS) * inlier + _OUTLIERS * outlier) / _CHANCE + _MIN_ODDS)


def held_together(notes, weights=WEIGHTS):
    """Find the pairs of notes that are struck or held together, and the log odds of their candidates.

    Returns
    -------
    first, second : int array (pair,)
        Rows of the two notes in `notes`. The onset of the second note is not before that of the first.
    odds : array (pair, candidate 11, candidate 11)
        Log odds of each pair of candidates, at most 0. Axes: candidate of the first note, candidate of the second note.
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
    against = np.where((x[key[second]] > x[key[first]])[:, None, None], *_pair_penalties(weights))
    return first, second, -share[:, None, None] * against


def _pair_penalties(weights):
    """Return two arrays (candidate 11, candidate 11): log odds against each pair of candidates of two notes.

    In the first array the second note is right of the first note, in the second array left of it.
    """
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
        Result of `evidence`.
    first, second : int array (pair,)
    pair_odds : array (pair, candidate 11, candidate 11)
        Results of `held_together`.

    Returns
    -------
    array (note, candidate 11)
        Posterior probabilities; each row sums to 1.
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
