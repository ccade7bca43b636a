"""Detect all edits of a video in one pass: cuts, fades, freeze frames, blank frames, titles, insets, and static or moving views."""

from array import array
from dataclasses import dataclass

import cv2
import numpy as np

from handroll.editing.camera_tracking import CameraTracker
from handroll.editing.fades import FadeDetector
from handroll.editing.frame_difference import FrameDifference, shrink
from handroll.editing.insets import find_rectangle_change, inset_spans
from handroll.editing.static_views import static_views
from handroll.mask_runs import runs

VERSION = 5
"""Version of the detected edits, increased manually when this module, or a module of `editing` that it uses, detects other edits. The
detection is too costly to rerun after every refactoring."""

MAX_SIDE_PX = 256
"""Longer side (px) of the frames given to `EditDetector`: read them with `read_frames(path, max_width_px=256, max_height_px=256)`."""

MAX_REPEATED = 4.0
"""Maximum difference (grey levels) of any pixel between a repeated frame and the frame before it, both scaled down. In live video the most
changed pixel usually differs by 50, and by only 4 to 8 in one of a hundred frames."""

GAP_S = 0.25
"""Maximum duration (s) of an interruption of a freeze by changed frames. A key frame of the encoder, or a line of text that appears, causes
such an interruption."""

GAP_SHARE = 0.03
"""Maximum share of clearly changed pixels in each frame of an interruption of a freeze; see `GAP_S`."""

MIN_TITLE_SHARE = 0.7
"""Minimum duration for which a title does not move, as a share of its shot's duration. In the rest of the shot, it may fade or move in."""

MIN_ABRUPT = 30.0
"""Minimum change (grey levels) of the most changed pixel within `ABRUPT_S` before a freeze shorter than `QUIET_S`, since a freeze begins
abruptly. A player who comes to rest changes a pixel by at most 25 (in the demo, where the encoder has removed the noise)."""

ABRUPT_S = 0.07
"""Length (s) of the interval before a freeze that is searched for an abrupt change; see `MIN_ABRUPT`."""

MAX_REFINEMENT = 2 * MAX_REPEATED
"""Maximum change (grey levels) of a pixel while an encoder refines a frozen image, in the first `ABRUPT_S` of a freeze."""

MAX_QUIET = 2.0
"""Maximum difference (grey levels) of the most changed pixel in a freeze, as the median over its frames. For a resting player the median is
at least 2.7, even if the encoder has nearly removed the noise."""

QUIET_S = 0.5
"""Minimum duration (s) of a freeze for which `MIN_ABRUPT_QUIET` replaces `MIN_ABRUPT`."""

MIN_ABRUPT_QUIET = 12.0
"""Minimum change (grey levels) of the most changed pixel within `ABRUPT_S` before a freeze of at least `QUIET_S`."""

LONG_FREEZE_S = 2.0
"""Minimum duration (s) from which a still interval is always a freeze frame: no pianist rests so long without any change of a pixel."""

MIN_FREEZE_S = 0.28
"""Minimum duration (s) of a freeze frame. Shorter repeats, up to 0.2 s, come from frames dropped by cameras and screen recorders."""

MAX_BLANK_SPREAD = 4.0
"""Maximum standard deviation (grey levels) of the pixels of a blank frame, which has one colour."""

MIN_BLANK_S = 0.08
"""Minimum duration (s) of a blank interval."""

BLACK_LEVEL = 32.0
"""Mean grey level below which a blank interval is black."""

MIN_FLAT = 0.5
"""Minimum share of a title's pixels whose grey levels are within `FLAT_LEVELS` of one level: a title has mostly one colour."""

FLAT_LEVELS = 3
"""Maximum difference (grey levels) of a pixel from the main grey level of a title; see `MIN_FLAT`."""


@dataclass(frozen=True)
class Edits:
    """The edits of a video. Times are in seconds since the first frame; intervals are [start, end).

    Attributes
    ----------
    frames : int
        Number of frames.
    duration_s : float
        Time from the start of the first frame to the end of the last one.
    frame_s : float
        Median time between frames.
    cuts, jumps : list of float
        Times of the first frames after cuts to another scene, and after jump cuts, which remove time within one view.
    fades : list of (start_s, end_s)
        Intervals of mixed frames: dissolves, and fades to or from a colour.
    black, blank, frozen, titles : list of (start_s, end_s)
        Black frames, frames of another single colour, freeze frames, and still cards of mostly one colour. These intervals do not
        overlap.
    insets : list of (start_s, end_s, [left, top, right, bottom])
        Intervals with a picture-in-picture, and its box as shares of the frame's width and height.
    places : list of (start_s, end_s, place)
        Static views of the camera, numbered from 0; equal numbers are the same view.
    moves : list of (start_s, end_s, shift, zoom)
        Camera motion: maximum shift (share of the longer side) and maximum zoom (ratio, at least 1), as far as they could be
        tracked.
    """

    frames: int
    duration_s: float
    frame_s: float
    cuts: list
    jumps: list
    fades: list
    black: list
    blank: list
    frozen: list
    titles: list
    insets: list
    places: list
    moves: list


class EditDetector:
    """Detect the edits of a video: add its frames one by one, then get the result from `edits`.

    Memory: 200 bytes for each frame and 60 kB for each view, that is 43 MB for an hour of one view at 60 frames per second.
    """

    def __init__(self):
        self._difference, self._fades, self._camera = FrameDifference(), FadeDetector(), CameraTracker()
        self._spread, self._level, self._flat = (array("f") for _ in range(3))
        self._rectangle_changes, self._last_image, self._image_before = [], None, None

    def add_frame(self, image, time_s):
        """Process the next frame.

        Parameters
        ----------
        image : uint8 array (height, width, 3)
            RGB. All frames have the same size; the longer side is about `MAX_SIDE_PX`.
        time_s : float
            Later than that of the previous frame.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        share, new_scene = self._difference.add_frame(grey, time_s)
        self._fades.add_frame(grey, time_s)
        self._camera.add_frame(grey, time_s, new_scene)
        small = shrink(grey)
        mean, deviation = cv2.meanStdDev(small)
        self._level.append(mean[0, 0])
        self._spread.append(deviation[0, 0])
        counts = np.bincount(small.ravel(), minlength=256)
        self._flat.append(np.convolve(counts, np.ones(2 * FLAT_LEVELS + 1)).max() / small.size)
        if self._last_image is not None and share > 0.0:
            change = find_rectangle_change(self._last_image, image, len(self._spread) - 1, self._image_before)
            if change:
                self._rectangle_changes.append(change)
        self._image_before, self._last_image = self._last_image, image

    def edits(self):
        """Return the detected edits.

        Returns
        -------
        Edits

        Raises
        ------
        ValueError
            No frame was added.
        """
        times = np.asarray(self._difference.times)
        if not len(times):
            raise ValueError("EditDetector.edits: expected frames, found none; call add_frame for each frame first")
        frame_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        edges = np.append(times, times[-1] + frame_s)
        cuts, jumps = self._difference.cuts()
        fades = [
            (start_s, end_s)
            for start_s, end_s in self._fades.fades
            if not ((edges[cuts] > start_s + frame_s) & (edges[cuts] < end_s - frame_s)).any()
        ]
        cuts = _outside_fades(cuts, edges, fades)
        ends = np.searchsorted(times, [end for _, end in fades]).astype(int)
        breaks = np.unique(np.concatenate((cuts, ends)))
        blank = _long_runs(np.asarray(self._spread) <= MAX_BLANK_SPREAD, MIN_BLANK_S, frame_s)
        black = [span for span in blank if np.mean(self._level[span[0] : span[1]]) < BLACK_LEVEL]
        still = self._still_intervals(frame_s)
        insets = self._find_insets(breaks, len(times))
        shots = _shots(edges, cuts, fades)
        places, moves = static_views(self._camera.samples, [(float(a), float(b)) for a, b in shots])
        # A cut from a dark scene to a dark title changes no more pixels than a jump cut. So for titles, jump cuts also end shots.
        parts = _shots(edges, np.union1d(cuts, _outside_fades(jumps, edges, fades)), fades)
        titles = [span for span in still if self._is_title(span, edges, parts)]
        frozen = [span for span in still if span not in titles and self._is_freeze(span, cuts, jumps, frame_s)]
        inset_edges = {frame for start, stop, _ in insets for frame in (start, stop)}

        def spans(frames):
            return [(float(edges[a]), float(edges[b])) for a, b in frames]

        return Edits(
            frames=len(times),
            duration_s=float(edges[-1]),
            frame_s=frame_s,
            cuts=edges[cuts].tolist(),
            jumps=[float(edges[k]) for k in _outside_fades(jumps, edges, fades) if k not in inset_edges],
            fades=fades,
            black=spans(black),
            blank=spans([span for span in blank if span not in black]),
            frozen=spans(frozen),
            titles=spans(titles),
            insets=[(float(edges[a]), float(edges[b]), [round(x, 4) for x in box]) for a, b, box in insets],
            places=places,
            moves=moves,
        )

    def _still_intervals(self, frame_s):
        """Find the still intervals: frame ranges [start, stop) of repeated frames that are not blank. `frame_s`: time between frames, s."""
        repeated = (self._difference.largest() <= MAX_REPEATED) & (np.asarray(self._spread) > MAX_BLANK_SPREAD)
        repeated[0] = False
        shares, joined = self._difference.shares(), []
        for start, stop in _long_runs(repeated, 0.0, frame_s):
            gap = shares[joined[-1][1] : start] if joined else None
            if gap is not None and len(gap) * frame_s <= GAP_S and gap.max() <= GAP_SHARE and _is_long(joined[-1], start, stop, frame_s):
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        return [(start, stop) for start, stop in joined if (stop - start) * frame_s >= MIN_FREEZE_S]

    def _is_freeze(self, span, cuts, jumps, frame_s):
        """Return whether a still interval is a freeze.

        It is a freeze if it lasts at least `LONG_FREEZE_S`. A shorter interval is a freeze if its frames are quiet (`MAX_QUIET`), and it
        either starts abruptly (`MIN_ABRUPT`) or ends at a jump cut.

        Parameters
        ----------
        span : (int, int)
            First frame of the interval, and the frame after its last one.
        cuts, jumps : int array (cut,)
            First frames after cuts, and after jump cuts.
        frame_s : float
            Median time between frames, s.
        """
        length_s, largest = (span[1] - span[0]) * frame_s, self._difference.largest().copy()
        if length_s >= LONG_FREEZE_S:
            return True
        if np.median(largest[span[0] : span[1]]) > MAX_QUIET:
            return False
        reach = max(2, round(ABRUPT_S / frame_s))
        largest[np.concatenate((cuts, jumps))] = 0.0
        first = max([0, *cuts[cuts <= span[0]]])
        # The encoder refines a frozen image in its first frames, so the abrupt change may be a few frames before the still interval.
        moved = np.flatnonzero(largest[first : span[0]] > MAX_REFINEMENT)
        last = first + moved[-1] + 1 if len(moved) and (span[0] - first - moved[-1] - 1) * frame_s <= ABRUPT_S + 1e-6 else span[0]
        before = max(largest[max(first, last - reach) : last], default=0.0)
        return bool(before >= (MIN_ABRUPT_QUIET if length_s >= QUIET_S else MIN_ABRUPT) or np.any(np.abs(jumps - span[1]) <= reach))

    def _find_insets(self, breaks, stop):
        """Return the insets as a list of (first frame, frame after the last one, box).

        `breaks`: first frames after cuts and fades, int array. `stop`: number of frames of the video.
        """
        candidates = [change for change in self._rectangle_changes if not np.any(np.abs(breaks - change.frame) <= 1)]
        changes = [(change, self._difference.ratio_in(change.frame, change.box)) for change in candidates]
        # The changed pixels do not form a clean rectangle if the inset resembles the content that it covers, or if hands touch it. Such
        # an inset is detected because the earlier content appears again at its end.
        temporary_changes = [
            (first, last, box)
            for first, last, box in self._difference.temporary_changes()
            if not np.any((breaks >= first) & (breaks <= last))
        ]
        return inset_spans(changes, temporary_changes, breaks, stop)

    def _is_title(self, span, edges, shots):
        """Return whether a still interval is a title.

        A title has mostly one colour (`MIN_FLAT`), fills most of its shot (`MIN_TITLE_SHARE`), and has a view that no other shot has.

        Parameters
        ----------
        span : (int, int)
            First frame of the interval, and the frame after its last one.
        edges : array (frame + 1,)
            Start times of all frames, then the end of the last frame, s.
        shots : list of (start_s, end_s)
        """
        if np.median(self._flat[span[0] : span[1]]) < MIN_FLAT:
            return False
        start_s, end_s = edges[span[0]], edges[span[1]]
        own = [(a, b) for a, b in shots if a < end_s and start_s < b]
        if end_s - start_s < MIN_TITLE_SHARE * (own[-1][1] - own[0][0]):
            return False
        samples = self._camera.samples
        views = {sample.view for sample in samples if start_s <= sample.time_s < end_s} - {-1}
        others = [shot for shot in shots if shot not in own]
        return not any(sample.view in views for sample in samples for a, b in others if a <= sample.time_s < b)


def _is_long(before, start, stop, frame_s):
    """Return whether the intervals `before` (start, stop) and (start, stop) are more than twice as long as the gap between them.

    In a video in which every frame is doubled, the intervals of repeated frames are shorter.
    """
    gap = start - before[1]
    return before[1] - before[0] > 2 * gap and stop - start > 2 * gap


def _long_runs(mask, min_s, frame_s):
    """Return the frame ranges [start, stop) in which `mask`, bool array (frame,), is true for at least `min_s`.

    `frame_s`: median time between frames, s.
    """
    return [(int(a), int(b)) for a, b in zip(*runs(mask), strict=True) if (b - a) * frame_s >= min_s]


def _outside_fades(frames, edges, fades):
    """Return those of the frame indices `frames` that are in no fade, as an int array. `edges`: start times of all frames, s."""
    return np.array([k for k in frames if not any(a <= edges[k] < b for a, b in fades)], dtype=int)


def _shots(edges, cuts, fades):
    """Return the shots, a list of (start_s, end_s): the intervals between cuts and fades.

    `edges`: start times of all frames, then the end of the last frame, s. `cuts`: first frames after cuts.
    """
    gaps = sorted([(edges[k], edges[k]) for k in cuts] + list(fades))
    starts = [edges[0]] + [end for _, end in gaps]
    ends = [start for start, _ in gaps] + [edges[-1]]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
