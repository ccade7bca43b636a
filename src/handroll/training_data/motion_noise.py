"""Noise of estimated hand motion, for models that learn to correct it.

Noise models are defined here: `PAPER`, that of MAPdat (Shrestha et al., "AIMusicGuru: Music Assisted Human Pose Correction"), and
`MEASURED`, the errors of handroll's own motion on simulated performances (evaluation/motion_noise.py), and `MEASURED_BY_AXIS`. Motion is in
the models' convention of the keyboard frame (`model_frame`). A `MotionNoise` applies these errors, in this order:

1. Attenuation of fast movements, such as key strokes: a single camera barely constrains them, and cleaning smooths them.
2. Drifting and independent errors of wrists and joint rotations. They grow with the speed of the wrist (motion blur).
3. Confusion: both hands are exchanged for a while, or two neighbouring fingers of one hand.
4. Gaps, in which the hand is not observed.

Axis letters: B window; I frame.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from handroll.hand.skeleton import CHAINS, FINGERS, HANDS, N_ROTATIONS
from handroll.keyboard.geometry import STANDARD
from handroll.training_data.model_frame import N_POSE, N_POSITION


@dataclass(frozen=True)
class MotionNoise:
    """Parameters of the noise. All values are JSON values if tuples are written as lists.

    Attributes
    ----------
    wrist_gain, palm_gain, finger_gain : float or tuple of 3
        Share that remains of the fast movements of wrists, of the global rotation and of the finger joints, for all axes or for each. Fast
        is the difference from the motion that is smoothed with a Gaussian of standard deviation `FAST_S`.
    wrist_mm, wrist_drift_mm : tuple of 3
        Standard deviations of the error of a wrist at rest along x, y and z of the keyboard frame (mm): independent in every frame, and
        drifting.
    palm_rad, palm_drift_rad, finger_rad, finger_drift_rad : float or tuple of 3
        Standard deviations of the error of the global rotation and of a finger joint (rad), for all axes or for each: independent, and
        drifting.
    drift_s : float
        Time constant of drifts (s).
    blur_per_m_s : float
        Relative growth of these errors for each m/s of the wrist's speed.
    hand_swaps_per_min, finger_swaps_per_min : float
        Mean number of confusions in a minute: of the two hands, and of two neighbouring fingers of any hand.
    swap_s : tuple of 2
        Minimum and maximum duration of a confusion (s).
    gaps_per_min : float
        Mean number of gaps of each hand in a minute.
    gap_s : tuple of 5
        Quantiles of the lengths of gaps (s): minimum, quartiles and maximum.
    """

    wrist_gain: float | tuple[float, ...] = 1.0
    palm_gain: float | tuple[float, ...] = 1.0
    finger_gain: float | tuple[float, ...] = 1.0
    wrist_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    wrist_drift_mm: tuple[float, ...] = (0.0, 0.0, 0.0)
    palm_rad: float | tuple[float, ...] = 0.0
    palm_drift_rad: float | tuple[float, ...] = 0.0
    finger_rad: float | tuple[float, ...] = 0.0
    finger_drift_rad: float | tuple[float, ...] = 0.0
    drift_s: float = 1.0
    blur_per_m_s: float = 0.0
    hand_swaps_per_min: float = 0.0
    finger_swaps_per_min: float = 0.0
    swap_s: tuple[float, ...] = (0.5, 3.0)
    gaps_per_min: float = 0.0
    gap_s: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)


PAPER = MotionNoise(
    wrist_mm=(4.0, 4.0, 4.0),
    palm_rad=0.05,
    finger_rad=0.08,
    hand_swaps_per_min=2.5,
    finger_swaps_per_min=2.5,
    swap_s=(0.5, 3.0),
)
"""Noise of MAPdat: jitter of every joint, and a mean of 5 confusions in a minute that last 0.5 to 3 s. The paper's jitter of 300 mm for
bodies is replaced by the errors of handroll's motion. MAPdat exchanges joints of a body; here hands and fingers are exchanged."""

MEASURED = MotionNoise(
    wrist_gain=0.705,
    palm_gain=0.575,
    finger_gain=0.304,
    wrist_mm=(0.053, 0.043, 0.083),
    wrist_drift_mm=(2.49, 2.88, 4.2),
    palm_rad=0.00077,
    palm_drift_rad=0.045,
    finger_rad=0.00082,
    finger_drift_rad=0.0672,
    drift_s=1.1,
    blur_per_m_s=2.58,
    gaps_per_min=14.8,
    gap_s=(0.0333, 0.0333, 0.133, 0.533, 1.03),
)
"""Errors of handroll's cleaned motion with the engine `landmarks`: 6 performances of the evaluation (seeds 5101 to 5106), measured by
evaluation/motion_noise.py. The hands were never confused there, and confusion of fingers is not measured."""

MEASURED_BY_AXIS = MotionNoise(
    wrist_gain=(0.899, 0.595, 0.247),
    palm_gain=(0.504, 1.0, 0.0),
    finger_gain=(0.303, 0.307, 0.303),
    wrist_mm=(0.055, 0.044, 0.08),
    wrist_drift_mm=(2.41, 2.97, 4.24),
    palm_rad=(0.00088, 0.00058, 0.0009),
    palm_drift_rad=(0.0682, 0.0253, 0.0443),
    finger_rad=(0.00039, 0.00063, 0.00149),
    finger_drift_rad=(0.033, 0.0399, 0.134),
    drift_s=1.25,
    blur_per_m_s=2.12,
    gaps_per_min=14.8,
    gap_s=(0.0333, 0.0333, 0.133, 0.533, 1.03),
)
"""The same errors for each axis: the camera is above the hands, so positions along the keyboard are more accurate than heights, and the
flexion of a finger (about z) is the least accurate rotation."""

NOISES = {"paper": PAPER, "measured": MEASURED}
"""The kinds of noise by their names in the configuration."""

FAST_S = 0.2
"""Standard deviation of the Gaussian that separates slow from fast movements (s)."""


def attenuated(values, gain, rate_hz, axis):
    """Multiply the fast movements of series by `gain`, broadcastable to `values`. The frames of `values` are along `axis`."""
    slow = gaussian_filter1d(values, FAST_S * rate_hz, axis=axis, mode="nearest")
    return slow + np.asarray(gain) * (values - slow)


def add_noise(noise, position, pose, visible, rate_hz, rng):
    """Add noise to windows of true motion.

    Parameters
    ----------
    noise : MotionNoise
    position : array (B, I, 6)
        Wrists, mm, right hand first.
    pose : array (B, I, 96)
        Joint rotations, rad, right hand first.
    visible : bool array (B, I, hand 2)
        Frames with a true pose, right hand first.
    rate_hz : float
        Frame rate.
    rng : numpy.random.Generator

    Returns
    -------
    position, pose : arrays of the same shapes, float32
        Zeros in frames that are not observed.
    observed : bool array (B, I, hand 2)
    """
    shape = visible.shape
    wrist = np.asarray(position, dtype=np.float64).reshape(*shape, 3)
    turn = np.asarray(pose, dtype=np.float64).reshape(*shape, N_ROTATIONS, 3)
    speed_m_s = 1e-3 * rate_hz * np.linalg.norm(np.diff(wrist, axis=1, prepend=wrist[:, :1]), axis=-1)
    joints = np.arange(N_ROTATIONS)[:, None] > 0
    wrist = attenuated(wrist, noise.wrist_gain, rate_hz, 1)
    turn = attenuated(turn, np.where(joints, noise.finger_gain, noise.palm_gain), rate_hz, 1)
    growth = (1.0 + noise.blur_per_m_s * speed_m_s)[..., None]
    turn_rad, turn_drift_rad = (
        np.where(joints, finger, palm)
        for finger, palm in ((noise.finger_rad, noise.palm_rad), (noise.finger_drift_rad, noise.palm_drift_rad))
    )
    keep = np.exp(-1.0 / (rate_hz * noise.drift_s))
    wrist = wrist + growth * (noise.wrist_mm * rng.normal(size=wrist.shape) + noise.wrist_drift_mm * _drift(rng, wrist.shape, keep))
    turn = turn + growth[..., None] * (turn_rad * rng.normal(size=turn.shape) + turn_drift_rad * _drift(rng, turn.shape, keep))
    observed = np.array(visible)
    for window in range(len(observed)):
        _confuse(noise, wrist[window], turn[window], observed[window], rate_hz, rng)
        for hand in range(len(HANDS)):
            lengths = lambda count: np.interp(rng.random(count), np.linspace(0.0, 1.0, len(noise.gap_s)), noise.gap_s)  # noqa: E731
            for gap in _events(noise.gaps_per_min, lengths, max(noise.gap_s), shape[1], rate_hz, rng):
                observed[window, gap, hand] = False
    wrist, turn = np.where(observed[..., None], wrist, 0.0), np.where(observed[..., None, None], turn, 0.0)
    return wrist.reshape(*shape[:2], N_POSITION).astype(np.float32), turn.reshape(*shape[:2], N_POSE).astype(np.float32), observed


def _drift(rng, shape, keep):
    """Draw drifting noise of standard deviation 1 along axis 1. `keep` is the correlation of successive frames."""
    noise = rng.normal(size=shape)
    for t in range(1, shape[1]):
        noise[:, t] = keep * noise[:, t - 1] + np.sqrt(1.0 - keep**2) * noise[:, t]
    return noise


def _events(per_min, lengths_s, longest_s, frames, rate_hz, rng):
    """Draw events of a Poisson process, and return the slices of frames of a window that they cover; each has at least one frame.

    `lengths_s` draws the lengths of a number of events. Events may start before the window, by at most `longest_s`.
    """
    before = longest_s * rate_hz
    count = rng.poisson(per_min / 60.0 * (frames + before) / rate_hz)
    starts = rng.uniform(-before, frames, count)
    ends = np.ceil(starts + np.maximum(lengths_s(count) * rate_hz, 1.0)).astype(int)
    return [slice(max(int(np.ceil(start)), 0), end) for start, end in zip(starts, ends, strict=True) if end > 0]


def _confuse(noise, wrist, turn, observed, rate_hz, rng):
    """Exchange hands and fingers of one window in place: wrist (I, hand 2, 3), turn (I, hand 2, joint 16, 3), observed (I, hand 2)."""

    def spans(per_min):
        return _events(per_min, lambda count: rng.uniform(*noise.swap_s, count), noise.swap_s[1], len(wrist), rate_hz, rng)

    for span in spans(noise.finger_swaps_per_min):
        hand, first = rng.integers(len(HANDS)), rng.integers(len(FINGERS) - 1)
        one, other = (list(CHAINS[FINGERS[finger]][:3]) for finger in (first, first + 1))
        turn[span, hand] = _exchanged(turn[span, hand], one, other)
    for span in spans(noise.hand_swaps_per_min):
        for values in (wrist, turn, observed):
            values[span] = values[span, ::-1].copy()
        # The other hand is at its true position, but each hand of the models' convention has its own mirror image of the keyboard.
        wrist[span, :, 0] = STANDARD.width_mm - wrist[span, :, 0]


def _exchanged(turn, one, other):
    """Return rotations (frame, joint, 3) in which the joints `one` and `other` are exchanged."""
    order = np.arange(turn.shape[1])
    order[[*one, *other]] = [*other, *one]
    return turn[:, order]
