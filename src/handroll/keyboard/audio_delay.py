"""Estimate how much later audio and notes are than the video, from the fingertips that press the sounding keys.

The coarse estimate is accurate to a few hundredths of a second. It is the delay at which the fingertips fit the notes best. The fit of a
note is the logarithm of its fingers' summed odds (`fingering.evidence`, and how much each fingertip slows down); the fits of all notes are
added. The search covers delays near 0, then the whole length of video and notes. The fine estimate is accurate to a fraction of a frame.
It uses the fingering labels at the coarse delay and two signs of a key press:

1. The stroke: the time at which the fingertip descends fastest, relative to the hand's other tips. The stroke is the more precise sign, but
   a single camera barely constrains heights: in half of all views from above, the reconstructed stroke is not visible in the noise.
2. The halt: a fingertip moves over the keys until it presses its key, and is still while it holds the key. Every view shows the halt,
   but how early a finger stops over its key depends on the music.

The fine estimate is the mean of two delays, the one given by the strokes and the one given by the halts, weighted by the inverse of their
variances. Strokes are used only if their mean descent is significant (`_STROKE_LEAD`). Only the times of strokes and halts matter, not
the depth of a stroke or the position of a halt.
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
"""Maximum absolute delay of the search near 0, s. Recording and muxing usually cause smaller delays."""

TRUSTED_LEAD = 3.0
"""Minimum lead (`Delay.lead`, in standard errors) of a delay over all alternatives, for the delay to be trusted."""

REFUTED_LEAD = 5.0
"""Minimum lead of a delay over a delay of 0 (`Delay.lead_over_none`, in standard errors), for the delay to be trusted even if another delay
fits nearly as well. With this lead, a delay of 0 is certainly wrong. In tests with notes that belong to another part of the video, the lead
is at most 4.2 (30 trials with six performances); the lead of correct delays is 5.7 to 14.9."""

STROKE_MIDDLE_S = 0.032
"""Time from the middle of a fingertip's downward stroke to the note onset, s. Measured on simulated performances, whose keys reach their
lowest point at the onset; the true and the reconstructed motion agree to 1 ms. In a real piano the time depends on the touch: a soft tone
has a longer hammer travel time (Goebl, Bresin and Galembo 2005, doi:10.1121/1.1944648). A microphone 3 m away adds 9 ms. Both effects are
part of the estimated delay."""

HALT_BEFORE_S = 0.020
"""Time from the halt of a fingertip over its key to the note onset, s. It is about 10 ms in simulated performances, and 30 to 50 ms in two
real videos whose delay was known from the strokes."""

STROKE_ERROR_S = 0.006
"""Systematic standard error of the delay that is estimated from strokes, s. This error is equal for all notes of a performance, so more
notes do not reduce it. It depends on how hard and how legato a pianist plays. Measured on simulated performances."""

HALT_ERROR_S = 0.020
"""Systematic standard error of the delay that is estimated from halts, s. This error is equal for all notes of a performance. It depends on
how early a pianist moves the fingers over their keys. Measured on simulated performances."""

MIN_NOTES = 10
"""Minimum number of notes at whose onset a hand is detected, for an estimate."""

COARSE_NOTES = 1000
"""Maximum number of notes of the coarse estimate near 0, evenly subsampled; more would not improve it."""

FINE_NOTES = 2000
"""Maximum number of notes of the fine estimate, evenly subsampled; more would not improve it."""

STROKES = replace(WEIGHTS, per_low_mm=0.0, per_drop_mm=0.3)
"""Weights of `fingering.evidence` in the search for the delay. Compared with `WEIGHTS`, the descent of a fingertip counts more, and its
height is ignored, because height shows which finger plays, but not when."""

PER_HALT = 1.0
"""Log odds that a fingertip plays the note if its speed falls by a factor of e at the note onset. The value was chosen for the largest lead
of the true delay over other delays. For simulated performances alone, a larger value would be better, but real pianists keep their fingers
on the keys."""

# Step of the coarse search for the delay, s.
_COARSE_STEP_S = 0.02

# Step of the fine search for the delay, s.
_FINE_STEP_S = 0.005

# Half the range of the fine search for the delay, s.
_FINE_S = 0.1

# Minimum difference between an alternative delay and the best one, s. The peak of the coarse search is narrower.
_SEPARATION_S = 0.1

# Number of alternative delays of the far search with which the best one is compared.
_N_ALTERNATIVES = 50

# Maximum length of the part of a video, around its middle, that the far search uses, s.
_MAX_FAR_S = 120.0

# Times before and after the middle of a fingertip's stroke, s. The descent is the mean height before minus the mean height after.
_FLANK_S = np.array([0.01, 0.02, 0.03, 0.04])

# Times before and after the halt of a fingertip at which its speeds are compared, s.
_HALT_S = np.array([0.03, 0.05, 0.07, 0.09, 0.11])

# Half the time over which the speed of a fingertip is measured, s.
_SPEED_STEP_S = 0.025

# Apparent speed of a still hand, caused by the noise of its positions, mm/s. It is added to every speed.
_STILL_MM_S = 10.0

# Maximum absolute descent of a fingertip in a stroke, mm; larger values are clipped.
_MAX_DESCENT_MM = 20.0

# Maximum difference between the delays that strokes and halts of fingertips give, s: two and a half times `HALT_ERROR_S`.
_STROKE_FROM_HALT_S = 0.05

# Minimum mean descent of fingertips in strokes, in standard errors, for strokes to be used; by chance, the maximum over many delays reaches
# 3.4.
_STROKE_LEAD = 5.0

# Number of steps of the fine search, on either side of a peak, to which a parabola is fitted.
_PEAK_STEPS = 4


@dataclass(frozen=True)
class Delay:
    """An estimated delay of audio and notes, with its uncertainty.

    Attributes
    ----------
    delay_s : float
        Delay, s; positive if audio and notes are later than the video. NaN if there is no estimate.
    error_s : float
        Standard error, s. It combines the scatter of the notes with `STROKE_ERROR_S` and `HALT_ERROR_S`.
    lead : float
        Fit at this delay minus the fit at the best alternative delay, in standard errors.
    notes : int
        Number of notes that the coarse search uses. In the search near 0, these are the notes with a detected hand at every tested delay.
        In the far search, these are the notes within the searched part of the video.
    lead_over_none : float
        Fit at this delay minus the fit at a delay of 0, in standard errors. It is 0 if the delay is closer to 0 than `_SEPARATION_S`, and
        for a far delay, for which it is not computed.
    """

    delay_s: float
    error_s: float
    lead: float
    notes: int
    lead_over_none: float = 0.0

    @property
    def trusted(self):
        """Whether the delay is certain enough for use: `lead` is at least `TRUSTED_LEAD`, or `lead_over_none` at least `REFUTED_LEAD`."""
        return self.lead >= TRUSTED_LEAD or self.lead_over_none >= REFUTED_LEAD


def find_delay(notes, time_s, joints_keyboard_mm, state):
    """Find how much later audio and notes are than the video. Search near 0, and over the whole length of video and notes.

    The far delay is used if it is trusted and differs from the estimate near 0 by at least `_SEPARATION_S`.

    Parameters
    ----------
    notes, time_s, joints_keyboard_mm, state
        Same as in `estimate_delay`.

    Returns
    -------
    delay_s : float
        The trusted delay, s; 0 if no delay is trusted.
    estimate : Delay
        The trusted estimate; otherwise the estimate near 0.
    """
    near = estimate_delay(notes, time_s, joints_keyboard_mm, state)
    # Music repeats from beat to beat, so a wrong delay near 0 may fit better than all others near 0. The far search compares all delays.
    far = estimate_far_delay(notes, time_s, joints_keyboard_mm, state)
    found = far if far.trusted and not abs(far.delay_s - near.delay_s) < _SEPARATION_S else near
    return (found.delay_s if found.trusted else 0.0), found


def estimate_delay(notes, time_s, joints_keyboard_mm, state):
    """Estimate the delay of audio and notes relative to the video, between -`SEARCH_S` and `SEARCH_S`.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, on the audio clock.
    time_s, joints_keyboard_mm, state
        Same as in `fingering.label_fingering`, but from poses before cleaning: smoothing over 11 frames at 30 Hz blurs the strokes
        and makes the estimate 30 ms too long.

    Returns
    -------
    Delay
    """
    observed = time_s, joints_keyboard_mm, state
    steps = int(np.ceil(SEARCH_S / _COARSE_STEP_S))
    delays = _COARSE_STEP_S * np.arange(-steps, steps + 1)
    rows = np.linspace(0, len(notes["pitch"]) - 1, min(len(notes["pitch"]), COARSE_NOTES)).astype(int)
    subset = {name: values[rows] for name, values in notes.items()}
    tips_mm = _tips(joints_keyboard_mm, state)
    slowdowns = (_slowdowns(time_s, tips_mm, subset["onset_s"] - delay) for delay in delays)
    fit = np.stack([_fit(landings(subset, *observed, delay), slowdown) for delay, slowdown in zip(delays, slowdowns, strict=True)])
    fit = fit[:, np.isfinite(fit).all(axis=0)]
    if fit.shape[1] < MIN_NOTES:
        return Delay(np.nan, np.nan, 0.0, fit.shape[1])
    top = fit.sum(axis=1).argmax()
    lead = _lead(fit[top] - fit[np.abs(delays - delays[top]) >= _SEPARATION_S])
    over_none = _lead(fit[top] - fit[[steps]]) if abs(delays[top]) >= _SEPARATION_S else 0.0
    return Delay(*_refine(notes, observed, tips_mm, delays[top]), lead, fit.shape[1], over_none)


def estimate_far_delay(notes, time_s, joints_keyboard_mm, state):
    """Estimate the delay of notes relative to the video, without a maximum. An example is a silent video with a separate MIDI file.

    The notes are correlated with the evidence that each key is pressed at each time of the video.

    Parameters
    ----------
    notes, time_s, joints_keyboard_mm, state
        Same as in `estimate_delay`.

    Returns
    -------
    Delay
    """
    none = Delay(np.nan, np.nan, 0.0, 0)
    pitches, key = np.unique(notes["pitch"], return_inverse=True)
    if len(key) < MIN_NOTES or len(time_s) < 2:
        return none
    observed, tips_mm = (time_s, joints_keyboard_mm, state), _tips(joints_keyboard_mm, state)
    middle_s, half_s = (time_s[0] + time_s[-1]) / 2.0, min(time_s[-1] - time_s[0], _MAX_FAR_S) / 2.0
    moments_s = np.arange(middle_s - half_s, middle_s + half_s, _COARSE_STEP_S)
    struck = np.full((len(moments_s), len(pitches)), np.nan)
    slowdown = _slowdowns(time_s, tips_mm, moments_s)
    for column, pitch in enumerate(pitches):
        everywhere = {"onset_s": moments_s, "pitch": np.full(len(moments_s), pitch)}
        struck[:, column] = _fit(landings(everywhere, *observed, 0.0), slowdown)
    known = np.isfinite(struck)
    if not known.any():
        return none
    # Where no hand is detected, and outside the video, a note counts neither for nor against a delay.
    mean = np.where(known, struck, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    struck = np.where(known, struck - mean, 0.0)
    step = np.round((notes["onset_s"] - moments_s[0]) / _COARSE_STEP_S).astype(np.int64)
    first = int(step.min())
    total = np.zeros(int(step.max()) - first + len(moments_s))
    for column in range(len(pitches)):
        onsets = np.bincount(step[key == column] - first, minlength=int(step.max()) - first + 1).astype(np.float64)
        total += correlate(onsets, struck[:, column], method="fft")
    lags = first - (len(moments_s) - 1) + np.arange(len(total))
    top = int(total.argmax())
    others = np.flatnonzero(np.abs(lags - lags[top]) * _COARSE_STEP_S >= _SEPARATION_S)
    others = others[np.argsort(-total[others], kind="stable")[:_N_ALTERNATIVES]]
    chosen = lags[[top, *others]]
    moment = step[None] - chosen[:, None]
    inside = (moment >= 0) & (moment < len(moments_s))
    fit = np.where(inside, struck[np.clip(moment, 0, len(moments_s) - 1), key], 0.0)
    number = int(inside[0].sum())
    if number < MIN_NOTES or not len(others):
        return replace(none, notes=number)
    return Delay(*_refine(notes, observed, tips_mm, lags[top] * _COARSE_STEP_S), _lead(fit[0] - fit[1:]), number)


def _lead(difference):
    """Return the lead of a delay over the best alternative, in standard errors.

    Parameters
    ----------
    difference : array (alternative delay, note)
        Fit of each note at the delay minus its fit at each alternative.
    """
    counted = np.maximum((difference != 0.0).sum(axis=1), 1)
    scatter = np.sqrt(np.maximum((difference**2).sum(axis=1) - difference.sum(axis=1) ** 2 / counted, 0.0))
    return float((difference.sum(axis=1) / (scatter + 1e-9)).min())


def _tips(joints_keyboard_mm, state):
    """Return the positions of the fingertips (frame, hand 2, finger 5, xyz 3), keyboard frame, mm; NaN where the hand is hidden.

    z is relative to the mean z of the hand's other four tips. Parameters: same as in `estimate_delay`.
    """
    tips_mm = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)]
    tips_mm = np.where(np.asarray(state)[..., None, None] > State.HIDDEN, tips_mm, np.nan)
    z = tips_mm[..., 2:]
    others = (z.sum(axis=2, keepdims=True) - z) / (len(FINGERS) - 1)
    return np.concatenate([tips_mm[..., :2], z - others], axis=-1)


def _fit(landing, slowdown):
    """Return the log odds (note,) that any fingertip plays each note; NaN where no hand is detected.

    `landing` is a result of `landings`, `slowdown` a result of `_slowdowns`.
    """
    odds = evidence(landing, STROKES)[:, :UNDETECTED]
    fit = logsumexp(odds + PER_HALT * slowdown.reshape(odds.shape), axis=1)
    return np.where(np.isfinite(fit), fit, np.nan)


def _slowdowns(time_s, tips_mm, onset_s):
    """Return how much each fingertip slows down at note onsets, array (*onset, hand 2, finger 5); 0 where unknown.

    A value is the mean logarithm of the speeds before the halt minus that of the speeds after it. `tips_mm` is a result of `_tips`;
    `onset_s` contains the onsets on the video's clock, an array of any shape (*onset).
    """
    log_ratio = 0.0
    for sign in (1.0, -1.0):
        around_s = np.asarray(onset_s)[..., None] - HALT_BEFORE_S - sign * _HALT_S
        path = at_times(time_s, tips_mm[..., :2], around_s + _SPEED_STEP_S) - at_times(time_s, tips_mm[..., :2], around_s - _SPEED_STEP_S)
        speed = np.hypot(path[..., 0], path[..., 1]) / (2.0 * _SPEED_STEP_S)
        log_ratio = log_ratio + sign * np.log(speed + _STILL_MM_S).mean(axis=np.ndim(onset_s))
    return np.where(np.isfinite(log_ratio), log_ratio, 0.0)


def _descents_mm(time_s, tips_mm, onset_s):
    """Return the descent of each fingertip during the stroke before note onsets, array (*onset, hand 2, finger 5), mm.

    A descent is 0 where unknown. Parameters: same as in `_slowdowns`.
    """
    middle_s = np.asarray(onset_s)[..., None] - STROKE_MIDDLE_S
    before, after = (at_times(time_s, tips_mm[..., 2], middle_s + sign * _FLANK_S).mean(axis=np.ndim(onset_s)) for sign in (-1.0, 1.0))
    descent = before - after
    return np.where(np.isfinite(descent), np.clip(descent, -_MAX_DESCENT_MM, _MAX_DESCENT_MM), 0.0)


def _refine(notes, observed, tips_mm, delay_s):
    """Return the delay near `delay_s` at which strokes and halts fit the notes best, and its standard error, both in s.

    `observed` is (time_s, joints_keyboard_mm, state), `tips_mm` a result of `_tips`.
    """
    filmed = np.flatnonzero((notes["onset_s"] - delay_s >= observed[0][0]) & (notes["onset_s"] - delay_s <= observed[0][-1]))
    notes = {name: values[filmed] for name, values in notes.items()}
    labels = infer(notes, landings(notes, *observed, delay_s))[:, :UNDETECTED].reshape(-1, len(HANDS), len(FINGERS))
    # `FINE_NOTES` notes reduce the random error below a millisecond, and limit the memory.
    rows = np.linspace(0, len(labels) - 1, min(len(labels), FINE_NOTES)).astype(int)
    labels = labels[rows]
    steps = int(round(_FINE_S / _FINE_STEP_S))
    delays = delay_s + _FINE_STEP_S * np.arange(-steps, steps + 1)
    onset_s = np.asarray(notes["onset_s"])[rows, None] - delays
    signs = np.stack([np.einsum("ndhf,nhf->dn", sign(observed[0], tips_mm, onset_s), labels) for sign in (_descents_mm, _slowdowns)])
    halts = _peak(delays, signs[1])
    # Search strokes only near the halts: a hand that approaches its keys looks like a slow stroke long before the note.
    near = np.abs(delays - halts.at_s) <= _STROKE_FROM_HALT_S + _PEAK_STEPS * _FINE_STEP_S
    strokes = _peak(delays[near], signs[0][near])
    found = [(halts, HALT_ERROR_S), *([(strokes, STROKE_ERROR_S)] if strokes.lead >= _STROKE_LEAD else [])]
    at_s = np.array([peak.at_s for peak, _ in found])
    weight = 1.0 / np.array([peak.random_s**2 + constant_s**2 for peak, constant_s in found])
    mean_s = np.average(at_s, weights=weight)
    # Where strokes and halts differ by more than their errors, both errors are scaled by the root of the reduced chi-squared.
    scale = max(np.sqrt((weight * (at_s - mean_s) ** 2).sum() / max(len(found) - 1, 1)), 1.0)
    return float(mean_s), float(scale / np.sqrt(weight.sum()))


@dataclass(frozen=True)
class _Peak:
    """Delay at which a sign of key presses (stroke or halt), averaged over the notes, is strongest.

    Attributes
    ----------
    at_s : float
        Delay of the maximum, s.
    random_s : float
        Standard error of `at_s` from the scatter of the notes, s.
    lead : float
        Strength of the sign at the maximum, averaged over the notes, in standard errors.
    """

    at_s: float
    random_s: float
    lead: float


def _peak(delays, sign):
    """Find the `_Peak` of one sign of key presses.

    `delays` (delay,): tested delays, s. `sign` (delay, note): strength of each note's stroke or halt at each delay.
    """
    top = int(np.clip(sign.sum(axis=1).argmax(), _PEAK_STEPS, len(delays) - 1 - _PEAK_STEPS))
    near = slice(top - _PEAK_STEPS, top + _PEAK_STEPS + 1)
    from_top = delays[near] - delays[top]
    square, slope, _ = np.polyfit(from_top, sign[near], 2)
    curvature = max(-2.0 * square.sum(), 1e-9)
    vertex = float(np.clip(slope.sum() / curvature, from_top[0], from_top[-1]))
    # Sandwich estimator of the variance of a maximum (Huber 1967): the slopes of the notes at the peak, divided by the peak's curvature.
    random_s = np.sqrt(((2.0 * square * vertex + slope) ** 2).sum()) / curvature
    lead = sign[top].sum() / (sign[top].std() * np.sqrt(sign.shape[1]) + 1e-9)
    return _Peak(float(delays[top] + vertex), float(min(random_s, _FINE_S)), float(lead))
