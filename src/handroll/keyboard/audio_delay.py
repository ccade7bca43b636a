"""How much later than the picture audio and notes come, from when fingertips strike the keys that sound.

First to a few hundredths of a second: the delay with which the landings fit the notes best, by the evidence of `fingering`
summed over a note's candidates and over the notes. It is searched for nearby, then over the whole length of video and notes.
Then to a fraction of a frame, with the labels of that delay, from two signs of a key press:

1. The stroke: the moment at which the fingertip falls fastest, relative to the hand's other tips. It is the finer sign, but a
   single camera barely constrains heights: in half of all views from above the reconstructed stroke drowns in their noise.
2. The rest: along and across the keys a fingertip moves until it presses its key, and is still while it holds it. Every view
   shows it, but how early a finger is over its key depends on the music.

Both count by the inverse of their variance, strokes only where they show. How far a tip falls or where it stops does not matter.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import correlate
from scipy.special import logsumexp

from handroll.hand.skeleton import FINGERS, HANDS, TIPS
from handroll.keyboard.fingering import UNDETECTED, WEIGHTS, evidence, infer
from handroll.keyboard.fingertips_at_onsets import at_times, landings
from handroll.tables import State

SEARCH_S = 0.3
"""Delays are searched for up to this, either way: what recording and muxing do."""

TRUSTED_LEAD = 3.0
"""Lowest lead of a delay that is believed."""

REFUTED_LEAD = 5.0
"""Lowest lead over no delay at all with which a delay is used although another one fits nearly as well: none is wrong then for
certain. Notes of another part of the video reach 4.2 at most (30 trials with six performances), the right delay 5.7 to 14.9."""

STROKE_MIDDLE_S = 0.032
"""The middle of a stroke comes this long before the note. Of the synthetic pianist, whose keys are at their bottom at the onset:
true motion and motion by detection and pose, measured on development seeds, agree on it to 1 ms. In a piano it depends on the
touch: the softer the tone, the longer the hammer is on its way (Goebl, Bresin and Galembo 2005, doi:10.1121/1.1944648). And a
microphone 3 m away records it 9 ms late. Both are taken for delay here."""

REST_BEFORE_S = 0.020
"""A fingertip comes to rest this long before the note, by speeds before and after: about 10 ms for the synthetic pianist, and 30
to 50 ms in two videos of people whose strokes show the delay."""

STROKE_ERROR_S, REST_ERROR_S = 0.006, 0.020
"""Standard errors of the two signs that are constant in a performance, whatever the number of notes: how hard, how legato, and
how well prepared somebody plays. Measured on the same performances."""

LEAST_NOTES, COARSE_NOTES, FINE_NOTES = 10, 1000, 2000
"""With fewer notes whose fingers are seen there is no estimate; more than these, spread evenly, would not improve the coarse and the
fine one."""

STROKES = replace(WEIGHTS, per_low_mm=0.0, per_drop_mm=0.3)
"""Weights that favour the stroke: the height of a finger says which one plays, not when."""

PER_REST = 1.0
"""Log odds for a fingertip whose speed falls by a factor of e when the note is struck: fitted to the lead of the true delay, less
than the synthetic pianist alone would have it, since people keep their fingers on the keys."""

_COARSE_STEP_S, _FINE_STEP_S, _FINE_S = 0.02, 0.005, 0.1
_APART_S = 0.1
# Another delay is one that is at least so far from the found one: the coarse peak is narrower.
_RIVALS = 50
# The found delay is compared with so many others of the far search, the best ones.
_LONGEST_MAP_S = 120.0
# The far search uses at most so much of a video, from its middle.
_FLANK_S = np.array([0.01, 0.02, 0.03, 0.04])
# A stroke's speed is the height so long before less the height so long after: as long as half a stroke.
_REST_S = np.array([0.03, 0.05, 0.07, 0.09, 0.11])
# Speeds are compared so long before and after the onset.
_SPEED_STEP_S, _STILL_MM_S = 0.025, 10.0
# A speed is the way over twice the first; below the second, tips count as still: it is the noise of a resting hand.
_DEEPEST_MM = 20.0
_STROKE_FROM_REST_S = 0.05
# The stroke is searched for so far from the delay by rests: two and a half of its standard errors.
_STROKE_LEAD = 5.0
# Strokes count where they fall so many standard errors in the mean: the highest of many delays reaches 3.4 by chance.
_PEAK_STEPS = 4
# The top of the fine peak is a parabola over so many steps to either side.


@dataclass(frozen=True)
class Delay:
    """The delay of audio and notes, and how far to trust it.

    Attributes
    ----------
    delay_s : float
        Positive: audio and notes come late. NaN where there is no estimate.
    error_s : float
        Its standard error: by chance among the notes, and by what is constant in a performance.
    lead : float
        By how many of its standard errors the landings fit better than with any other delay.
    notes : int
        Notes that count in the coarse search: with a hand in the picture for all delays.
    lead_over_none : float
        By how many of its standard errors the landings fit better than without any delay; 0 where that is not known, or the two are
        too close to tell.
    """

    delay_s: float
    error_s: float
    lead: float
    notes: int
    lead_over_none: float = 0.0

    @property
    def trusted(self):
        """Whether it leads all others by `TRUSTED_LEAD` or more, or no delay at all by `REFUTED_LEAD`."""
        return self.lead >= TRUSTED_LEAD or self.lead_over_none >= REFUTED_LEAD


def find_delay(notes, time_s, joints_keyboard_mm, state):
    """The trusted delay, searched for as far as video and notes overlap; a delay nearby needs to lead those nearby only.

    Parameters
    ----------
    notes, time_s, joints_keyboard_mm, state
        As of `estimate_delay`.

    Returns
    -------
    delay_s : float
        0 where none is trusted.
    estimate : Delay
        The trusted one, or that of nearby, which is not trusted then.
    """
    near = estimate_delay(notes, time_s, joints_keyboard_mm, state)
    # Music repeats itself from beat to beat, so that a wrong delay nearby may lead its neighbours: the far search has them all.
    far = estimate_far_delay(notes, time_s, joints_keyboard_mm, state)
    found = far if far.trusted and not abs(far.delay_s - near.delay_s) < _APART_S else near
    return (found.delay_s if found.trusted else 0.0), found


def estimate_delay(notes, time_s, joints_keyboard_mm, state):
    """Estimate by how much audio and notes come later than the picture, within `SEARCH_S`.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`, on the audio's clock.
    time_s, joints_keyboard_mm, state
        As of `fingering.label_fingering`. Poses before they are cleaned: smoothing over 11 frames of 30 Hz spreads a stroke into
        its neighbours, and the delay comes out 30 ms too long.

    Returns
    -------
    Delay
    """
    observed = time_s, joints_keyboard_mm, state
    steps = int(np.ceil(SEARCH_S / _COARSE_STEP_S))
    delays = _COARSE_STEP_S * np.arange(-steps, steps + 1)
    enough = np.linspace(0, len(notes["pitch"]) - 1, min(len(notes["pitch"]), COARSE_NOTES)).astype(int)
    some = {name: values[enough] for name, values in notes.items()}
    tips_mm = _tips(joints_keyboard_mm, state)
    rests = (_comes_to_rest(time_s, tips_mm, some["onset_s"] - delay) for delay in delays)
    fit = np.stack([_fit(landings(some, *observed, delay), rest) for delay, rest in zip(delays, rests, strict=True)])
    fit = fit[:, np.isfinite(fit).all(axis=0)]
    if fit.shape[1] < LEAST_NOTES:
        return Delay(np.nan, np.nan, 0.0, fit.shape[1])
    top = fit.sum(axis=1).argmax()
    lead = _lead(fit[top] - fit[np.abs(delays - delays[top]) >= _APART_S])
    over_none = _lead(fit[top] - fit[[steps]]) if abs(delays[top]) >= _APART_S else 0.0
    return Delay(*_refine(notes, observed, tips_mm, delays[top]), lead, fit.shape[1], over_none)


def estimate_far_delay(notes, time_s, joints_keyboard_mm, state):
    """Estimate by how much notes come later than the picture, wherever they start: a MIDI file of a silent video.

    The evidence of every key being struck at every moment of the video is correlated with the notes, so that the cost hardly
    depends on how far apart they are.

    Parameters
    ----------
    notes, time_s, joints_keyboard_mm, state
        As of `estimate_delay`.

    Returns
    -------
    Delay
    """
    none = Delay(np.nan, np.nan, 0.0, 0)
    pitches, key = np.unique(notes["pitch"], return_inverse=True)
    if len(key) < LEAST_NOTES or len(time_s) < 2:
        return none
    observed, tips_mm = (time_s, joints_keyboard_mm, state), _tips(joints_keyboard_mm, state)
    middle_s, half_s = (time_s[0] + time_s[-1]) / 2.0, min(time_s[-1] - time_s[0], _LONGEST_MAP_S) / 2.0
    moments_s = np.arange(middle_s - half_s, middle_s + half_s, _COARSE_STEP_S)
    struck = np.full((len(moments_s), len(pitches)), np.nan)
    rest = _comes_to_rest(time_s, tips_mm, moments_s)
    for column, pitch in enumerate(pitches):
        everywhere = {"onset_s": moments_s, "pitch": np.full(len(moments_s), pitch)}
        struck[:, column] = _fit(landings(everywhere, *observed, 0.0), rest)
    known = np.isfinite(struck)
    if not known.any():
        return none
    # Where no hand is seen, and outside the video, a note speaks neither for nor against a delay.
    usual = np.where(known, struck, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    struck = np.where(known, struck - usual, 0.0)
    step = np.round((notes["onset_s"] - moments_s[0]) / _COARSE_STEP_S).astype(np.int64)
    first = int(step.min())
    total = np.zeros(int(step.max()) - first + len(moments_s))
    for column in range(len(pitches)):
        here = np.bincount(step[key == column] - first, minlength=int(step.max()) - first + 1).astype(np.float64)
        total += correlate(here, struck[:, column], method="fft")
    lags = first - (len(moments_s) - 1) + np.arange(len(total))
    top = int(total.argmax())
    others = np.flatnonzero(np.abs(lags - lags[top]) * _COARSE_STEP_S >= _APART_S)
    others = others[np.argsort(-total[others], kind="stable")[:_RIVALS]]
    chosen = lags[[top, *others]]
    moment = step[None] - chosen[:, None]
    inside = (moment >= 0) & (moment < len(moments_s))
    fit = np.where(inside, struck[np.clip(moment, 0, len(moments_s) - 1), key], 0.0)
    number = int(inside[0].sum())
    if number < LEAST_NOTES or not len(others):
        return replace(none, notes=number)
    return Delay(*_refine(notes, observed, tips_mm, lags[top] * _COARSE_STEP_S), _lead(fit[0] - fit[1:]), number)


def _lead(ahead):
    """Least lead of a delay, in standard errors, from how much better each note fits it than each other delay (delay, note)."""
    counted = np.maximum((ahead != 0.0).sum(axis=1), 1)
    spread = np.sqrt(np.maximum((ahead**2).sum(axis=1) - ahead.sum(axis=1) ** 2 / counted, 0.0))
    return float((ahead.sum(axis=1) / (spread + 1e-9)).min())


def _tips(joints_keyboard_mm, state):
    """Fingertips (frame, hand 2, finger 5, xyz 3), NaN where hidden; z is relative to the mean of the hand's other tips."""
    tips_mm = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)]
    tips_mm = np.where(np.asarray(state)[..., None, None] > State.HIDDEN, tips_mm, np.nan)
    z = tips_mm[..., 2:]
    others = (z.sum(axis=2, keepdims=True) - z) / (len(FINGERS) - 1)
    return np.concatenate([tips_mm[..., :2], z - others], axis=-1)


def _fit(landing, rest):
    """How well a landing fits each note (note,), log odds; NaN where no hand is seen. `rest`: as of `_comes_to_rest`."""
    odds = evidence(landing, STROKES)[:, :UNDETECTED]
    fit = logsumexp(odds + PER_REST * rest.reshape(odds.shape), axis=1)
    return np.where(np.isfinite(fit), fit, np.nan)


def _comes_to_rest(time_s, tips_mm, wanted_s):
    """By how much the speed of fingertips falls at notes at some times, as a log (*wanted, hand 2, finger 5); 0 where unknown."""
    slower = 0.0
    for sign in (1.0, -1.0):
        around_s = np.asarray(wanted_s)[..., None] - REST_BEFORE_S - sign * _REST_S
        way = at_times(time_s, tips_mm[..., :2], around_s + _SPEED_STEP_S) - at_times(time_s, tips_mm[..., :2], around_s - _SPEED_STEP_S)
        speed = np.hypot(way[..., 0], way[..., 1]) / (2.0 * _SPEED_STEP_S)
        slower = slower + sign * np.log(speed + _STILL_MM_S).mean(axis=np.ndim(wanted_s))
    return np.where(np.isfinite(slower), slower, 0.0)


def _falls(time_s, tips_mm, wanted_s):
    """How far each fingertip falls with the strokes of notes at some times (*wanted, hand 2, finger 5), mm; 0 where unknown."""
    middle_s = np.asarray(wanted_s)[..., None] - STROKE_MIDDLE_S
    before, after = (at_times(time_s, tips_mm[..., 2], middle_s + sign * _FLANK_S).mean(axis=np.ndim(wanted_s)) for sign in (-1.0, 1.0))
    fall = before - after
    return np.where(np.isfinite(fall), np.clip(fall, -_DEEPEST_MM, _DEEPEST_MM), 0.0)


def _refine(notes, observed, tips_mm, delay_s):
    """Near `delay_s`, the delay with which the notes meet strokes and rests best, and its standard error."""
    filmed = np.flatnonzero((notes["onset_s"] - delay_s >= observed[0][0]) & (notes["onset_s"] - delay_s <= observed[0][-1]))
    notes = {name: values[filmed] for name, values in notes.items()}
    labels = infer(notes, landings(notes, *observed, delay_s))[:, :UNDETECTED].reshape(-1, len(HANDS), len(FINGERS))
    # By chance the delay of so many notes errs by less than a millisecond, and memory stays bounded.
    some = np.linspace(0, len(labels) - 1, min(len(labels), FINE_NOTES)).astype(int)
    labels = labels[some]
    steps = int(round(_FINE_S / _FINE_STEP_S))
    delays = delay_s + _FINE_STEP_S * np.arange(-steps, steps + 1)
    wanted_s = np.asarray(notes["onset_s"])[some, None] - delays
    signs = np.stack([np.einsum("ndhf,nhf->dn", sign(observed[0], tips_mm, wanted_s), labels) for sign in (_falls, _comes_to_rest)])
    rests = _peak(delays, signs[1])
    # A hand that sinks towards its keys looks like a slow stroke long before the note.
    beside = np.abs(delays - rests.at_s) <= _STROKE_FROM_REST_S + _PEAK_STEPS * _FINE_STEP_S
    strokes = _peak(delays[beside], signs[0][beside])
    found = [(rests, REST_ERROR_S), *([(strokes, STROKE_ERROR_S)] if strokes.lead >= _STROKE_LEAD else [])]
    at_s = np.array([peak.at_s for peak, _ in found])
    weight = 1.0 / np.array([peak.chance_s**2 + constant_s**2 for peak, constant_s in found])
    mean_s = np.average(at_s, weights=weight)
    # Signs that disagree by more than their errors show that these are too small, by about the root of chi-squared.
    scale = max(np.sqrt((weight * (at_s - mean_s) ** 2).sum() / max(len(found) - 1, 1)), 1.0)
    return float(mean_s), float(scale / np.sqrt(weight.sum()))


@dataclass(frozen=True)
class _Peak:
    """Where the mean of a sign is highest.

    Attributes
    ----------
    at_s, chance_s : float
        The delay, and its standard error by chance among the notes.
    lead : float
        The mean there, in standard errors.
    """

    at_s: float
    chance_s: float
    lead: float


def _peak(delays, sign):
    """The `_Peak` of a sign (delay, note)."""
    top = int(np.clip(sign.sum(axis=1).argmax(), _PEAK_STEPS, len(delays) - 1 - _PEAK_STEPS))
    near = slice(top - _PEAK_STEPS, top + _PEAK_STEPS + 1)
    from_top = delays[near] - delays[top]
    square, slope, _ = np.polyfit(from_top, sign[near], 2)
    curvature = max(-2.0 * square.sum(), 1e-9)
    vertex = float(np.clip(slope.sum() / curvature, from_top[0], from_top[-1]))
    # Sandwich estimator of the variance of a maximum (Huber 1967): the notes' slopes at the peak over its curvature.
    chance_s = np.sqrt(((2.0 * square * vertex + slope) ** 2).sum()) / curvature
    lead = sign[top].sum() / (sign[top].std() * np.sqrt(sign.shape[1]) + 1e-9)
    return _Peak(float(delays[top] + vertex), float(min(chance_s, _FINE_S)), float(lead))
