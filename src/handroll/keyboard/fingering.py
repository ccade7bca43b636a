"""Which hand and finger plays each note: a probability for every candidate, from the fingertips and from what hands can do.

Each note has eleven candidates: five fingers of each hand, and a finger that is not seen. How well a fingertip's landing
(`landing`) fits the note is its evidence; pairs of notes that are held at the same time bind each other, since one finger
holds one key, and the fingers of a hand lie in order (a thumb may pass under). Together they are a pairwise Markov random
field over the notes, and loopy belief propagation gives each note's posterior (Yedidia, Freeman and Weiss 2005,
doi:10.1109/TIT.2005.850085). What is constant in a video, each finger's bias along the keys and the spread of all, is
estimated from it: an expectation-maximisation whose hidden variables are the labels.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp, ndtr

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.fingertips_at_onsets import landings
from handroll.keyboard.geometry import LOWEST_PITCH, key_centres_x_mm
from handroll.tables import FINGERED_NOTES

THRESHOLD = 0.7
"""Least confidence of a label that is given. Confidence is calibrated, so of the notes just above it 7 in 10 are right; there
are few of them."""

N_CANDIDATES = len(HANDS) * len(FINGERS) + 1
"""Left thumb to left little finger, right thumb to right little finger, not seen."""

UNDETECTED = N_CANDIDATES - 1


@dataclass(frozen=True)
class Weights:
    """How much each piece of evidence counts.

    Fitted by maximum likelihood, and rounded, to performances of the synthetic pianist with development seeds, through
    detection and pose; on the last three the likelihood hardly depends, but each of them helps.

    Attributes
    ----------
    sigma_mm, guessed_sigma_mm : standard deviation of a fingertip's error along the keys, seen and interpolated.
    per_low_mm : log odds for a tip each millimetre lower than usual.
    per_drop_mm : log odds for each millimetre that it has come down.
    deep : log odds against playing a white key between the black keys: done where a hand must, while fingers hover there always.
    beyond_mm : depth in front of or behind the playable part of a key that counts one half.
    same_finger, crossed, crossed_thumb : log odds against two keys held by one finger, by two fingers in the wrong order,
        and by a thumb and a finger in the wrong order.
    """

    sigma_mm: float = 4.5
    guessed_sigma_mm: float = 12.0
    per_low_mm: float = 0.12
    per_drop_mm: float = 0.13
    deep: float = 1.2
    beyond_mm: float = 9.0
    same_finger: float = 4.0
    crossed: float = 3.0
    crossed_thumb: float = 1.0


WEIGHTS = Weights()

_LOW_MM, _DROP_MM, _BEYOND_MM = (-12.0, 20.0), (-5.0, 15.0), 30.0
# Evidence counts within these bounds: a wild pose must not outweigh everything else.
_STRAYS, _STRAY_MM = 0.03, 20.0
# In this share of the notes a fingertip is reconstructed with this larger error.
_CHANCE, _LEAST_ODDS = 0.1, 1e-6
# A tip of a wrong finger is over the key with this probability: ten keys are within a hand's width.
_UNSEEN_PRIOR, _HIDDEN_PRIOR = 0.002, 0.25
# That a finger which is not seen plays a note: with both hands seen, and for each hand that is hidden.
_CHORD_S = 0.04
# Notes struck within this time are struck together.
_RELEASE_SLACK_S, _LONGEST_HOLD_S = 0.06, 2.0
# Releases are heard late by up to about the first: so long, one finger may seem to hold two keys. A key that is held for longer
# than the second is perhaps not: then it no longer binds its finger.
_ROUNDS, _DAMPING = 12, 0.5
_VIDEO_ROUNDS = 3
_BIAS_PRIOR_NOTES, _BIAS_CLIP_MM = 6.0, 12.0
# A finger's bias is estimated as if this many further notes had shown none; one note shows no more than the second number.
_SIGMAS_MM = np.array([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0, 10.0])
_SIGMA_PRIOR = 20.0
# Strength with which the spread of a video is drawn towards the usual: little against a hundred notes.


def label_fingering(notes, time_s, joints_keyboard_mm, state, threshold=THRESHOLD):
    """Label every note with the hand and finger that plays it.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    time_s : array (frame,)
        Presentation times.
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden or where no keyboard is registered. Poses as fitted or cleaned: labels are as good.
    state : array (frame, hand 2)
        `tables.State`; joints of hidden hands are not looked at. Gaps under a second are bridged, and count less.
    threshold : float
        Labels of less confidence are withheld, 0..1.

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
    seen = np.isfinite(landing.aside_mm[rows, side, finger])
    confidence = np.where(seen, posterior[rows, best], 0.0)
    given = seen & (confidence >= threshold)
    outside = np.maximum(np.abs(landing.aside_mm) - landing.half_width_mm, 0.0)[rows, side, finger]
    dtype = FINGERED_NOTES.empty()
    return {
        "hand": np.where(given, np.array(HANDS, dtype=object)[side], ""),
        "finger": np.where(given, finger + 1, 0).astype(dtype["finger"].dtype),
        "finger_confidence": confidence.astype(dtype["finger_confidence"].dtype),
        "landing_error_mm": np.where(seen, outside, np.nan).astype(dtype["landing_error_mm"].dtype),
    }


def infer(notes, landing, weights=WEIGHTS):
    """Posterior of each note's candidates.

    The fingers' biases along the keys, and the spread, are estimated on the way and taken into account.

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
    raw = landing.aside_mm
    if not np.isfinite(raw).any():
        # No hand is ever seen over the keys: no note can tell anything of another.
        return np.repeat(np.eye(UNDETECTED + 1)[UNDETECTED:], len(raw), axis=0)
    links = held_together(notes, weights)
    posterior = propagate(evidence(landing, weights), *links)
    for _ in range(_VIDEO_ROUNDS):
        landing = replace(landing, aside_mm=raw - finger_bias(raw, posterior))
        weights = replace(weights, sigma_mm=spread(landing, posterior))
        posterior = propagate(evidence(landing, weights), *links)
    return posterior


def finger_bias(aside_mm, posterior):
    """Mean error of each finger along the keys (hand 2, finger 5), mm: weighted by the posterior, drawn towards 0."""
    share = posterior[:, :UNDETECTED].reshape(-1, len(HANDS), len(FINGERS))
    error = np.clip(np.where(np.isfinite(aside_mm), aside_mm, 0.0), -_BIAS_CLIP_MM, _BIAS_CLIP_MM)
    return (share * error).sum(axis=0) / (share.sum(axis=0) + _BIAS_PRIOR_NOTES)


def spread(landing, posterior):
    """Likeliest of `_SIGMAS_MM` as the error of fingertips along the keys, weighted by the posterior, drawn towards the usual."""
    share = posterior[:, :UNDETECTED].reshape(landing.aside_mm.shape) * ~landing.guessed[:, :, None]
    fit = [np.nansum(share * _aside_odds(landing, sigma)) - _SIGMA_PRIOR * np.log(sigma / WEIGHTS.sigma_mm) ** 2 for sigma in _SIGMAS_MM]
    return float(_SIGMAS_MM[np.argmax(fit)])


def evidence(landing, weights=WEIGHTS):
    """Log odds (note, candidate 11) of each candidate against a finger that has nothing to do with the note."""
    guessed = landing.guessed[:, :, None]
    odds = _aside_odds(landing, np.where(guessed, max(weights.guessed_sigma_mm, weights.sigma_mm), weights.sigma_mm))
    stroke = weights.per_low_mm * np.clip(-landing.height_mm, *_LOW_MM) + weights.per_drop_mm * np.clip(landing.drop_mm, *_DROP_MM)
    # An interpolated hand glides: it makes no strokes.
    odds = odds + np.where(guessed, 0.0, stroke)
    odds = odds - weights.deep * landing.deep - 0.5 * (np.minimum(landing.beyond_mm, _BEYOND_MM) / weights.beyond_mm) ** 2
    seen = np.isfinite(odds)
    hidden_hands = (~seen.any(axis=2)).sum(axis=1)
    unseen = np.log(_UNSEEN_PRIOR + _HIDDEN_PRIOR * hidden_hands)
    return np.column_stack([np.where(seen, odds, -np.inf).reshape(len(odds), UNDETECTED), unseen])


def _aside_odds(landing, sigma_mm):
    """Log odds (note, hand, finger) from where the tip is along the keys; NaN where it is not seen.

    The finger is anywhere on the key's width; where it is seen is that with a Gaussian error, now and then a large one.
    """
    aside, half = landing.aside_mm, landing.half_width_mm
    close, stray = (ndtr((half - aside) / sigma) - ndtr((-half - aside) / sigma) for sigma in (sigma_mm, _STRAY_MM))
    return np.log(((1.0 - _STRAYS) * close + _STRAYS * stray) / _CHANCE + _LEAST_ODDS)


def held_together(notes, weights=WEIGHTS):
    """Pairs of notes that are struck or held together, and the log odds of their candidates.

    Returns
    -------
    first, second : int array (pair,)
        Rows of the notes; the second is struck later or with the first.
    odds : array (pair, candidate 11, candidate 11)
        At most 0; the first note's candidate, then the second's.
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
    """Log odds (candidate 11, candidate 11) against two candidates: the second note to the right of the first, and to the left."""
    side, finger = np.divmod(np.arange(UNDETECTED), len(FINGERS))
    # From left to right fingers go 5 to 1 in the left hand, 1 to 5 in the right.
    place = np.where(side == 0, -finger, finger)
    same_hand = side[:, None] == side
    with_thumb = (finger[:, None] == 0) | (finger == 0)
    wrong = np.where(with_thumb, weights.crossed_thumb, weights.crossed) * (place[:, None] > place)
    right = np.zeros((N_CANDIDATES, N_CANDIDATES))
    right[:UNDETECTED, :UNDETECTED] = same_hand * np.where(place[:, None] == place, weights.same_finger, wrong)
    return right, right.T


def propagate(odds, first, second, pair_odds):
    """Posteriors (note, candidate 11) by loopy belief propagation: sum-product, all pairs at once, damped.

    Parameters
    ----------
    odds : array (note, candidate 11)
    first, second : int array (pair,)
    pair_odds : array (pair, candidate 11, candidate 11)
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
