"""One pass over a video's frames: where it was cut, faded, frozen, blanked, titled, overlaid, and where its camera stands or moves."""

from array import array
from dataclasses import dataclass

import cv2
import numpy as np

from handroll.editing.camera_tracking import CameraTracker
from handroll.editing.fades import FadeFinder
from handroll.editing.frame_difference import ChangeMeter, shrink
from handroll.editing.insets import find_pop, stays
from handroll.editing.static_views import stands

VERSION = 4
"""Raised by hand when this module, or one of `video` that it uses, finds other edits: what is below is too costly to rerun for a
refactoring."""

WIDTH_PX = 256
"""Longer side of the frames that `EditFinder` wants: `read_frames(path, max_width_px=256, max_height_px=256)`."""

REPEATED = 4.0
"""Greatest grey level by which any pixel of a repeated frame, shrunk, differs from the one before. Of frames that were shown live the
most changed pixel differs by 4 to 8 at the least, in one of a hundred, and by 50 in most."""

GAP_S = 0.25
GAP_SHARE = 0.03
"""Within a freeze, frames that differ for no longer than this and in no larger share of clearly changed pixels: the coder begins
anew, or a line of text comes up."""

TITLE_SHARE = 0.7
"""Share of its shot for which a title stands still, at least: it may fade or move in."""

ABRUPT = 30.0
ABRUPT_S = 0.07
"""A short freeze begins abruptly: within this time before it a pixel changes by more grey levels than this. A player who comes to
rest, in a picture whose noise the coder has taken out, does so gently (25 at most in the demo)."""

SETTLED = 2 * REPEATED
"""Greatest grey level by which a coder still changes a picture that is frozen already, for up to `ABRUPT_S`."""

QUIET = 2.0
"""Greatest median over a freeze of the grey levels by which the most changed pixel differs from the frame before. Where a player rests
in a picture whose noise the coder has nearly taken out, it is 2.7 and more."""

QUIET_S = 0.5
QUIET_ABRUPT = 12.0
"""The same as `ABRUPT` for quiet stretches of at least this length."""

LONG_S = 2.0
"""Nobody rests for longer than this without any pixel changing."""

FREEZE_S = 0.28
"""Shortest freeze: cameras and screen recorders leave out single frames, up to 0.2 s."""

BLANK_SPREAD = 4.0
"""Greatest standard deviation (grey levels) of a picture of one colour."""

BLANK_S = 0.08
BLACK_LEVEL = 32.0
"""Shortest blank stretch, and the mean grey level below which it is black."""

FLAT = 0.5
"""Least share of a title's pixels that have one grey level, give or take `FLAT_LEVELS`."""

FLAT_LEVELS = 3


@dataclass(frozen=True)
class Edits:
    """What was done to a video. Times in seconds since its first frame; intervals are [start, end).

    Attributes
    ----------
    frames : int
    duration_s : float
    frame_s : float
        Median time between frames.
    cuts, jumps : list of float
        First frame of another scene, and first frame after time was taken out of one.
    fades : list of (start_s, end_s)
        Dissolves, fades to and from a colour: the frames that are mixtures.
    black, blank, frozen, titles : list of (start_s, end_s)
        Black pictures, pictures of another single colour, repeated frames, and still cards of mostly one colour. No moment is
        in two of these.
    insets : list of (start_s, end_s, [left, top, right, bottom])
        Pictures in the picture; the box in shares of the width and the height.
    places : list of (start_s, end_s, place)
        Where the camera stands, numbered from 0; equal numbers are the same view.
    moves : list of (start_s, end_s, shift, zoom)
        Where it moves: the farthest shift (share of the longer side) and the greatest zoom (ratio, at least 1) on the way, as far as
        they could be followed.
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


class EditFinder:
    """Takes the frames of a video one by one, and tells its edits at the end.

    Memory: 200 bytes a frame, and 60 kB for each view; 43 MB for an hour of one view at 60 frames per second.
    """

    def __init__(self):
        self._changes, self._fades, self._camera = ChangeMeter(), FadeFinder(), CameraTracker()
        self._spread, self._level, self._flat = (array("f") for _ in range(3))
        self._pops, self._before, self._earlier = [], None, None

    def see(self, image, time_s):
        """Take the next frame.

        Parameters
        ----------
        image : uint8 array (height, width, 3)
            RGB, of the same size each time, the longer side about `WIDTH_PX`.
        time_s : float
            Later than the frame before.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        share, scene_left = self._changes.see(grey, time_s)
        self._fades.see(grey, time_s)
        self._camera.see(grey, time_s, scene_left)
        small = shrink(grey)
        mean, deviation = cv2.meanStdDev(small)
        self._level.append(mean[0, 0])
        self._spread.append(deviation[0, 0])
        counts = np.bincount(small.ravel(), minlength=256)
        self._flat.append(np.convolve(counts, np.ones(2 * FLAT_LEVELS + 1)).max() / small.size)
        if self._before is not None and share > 0.0:
            pop = find_pop(self._before, image, len(self._spread) - 1, self._earlier)
            if pop:
                self._pops.append(pop)
        self._earlier, self._before = self._before, image

    def edits(self):
        """What was found.

        Returns
        -------
        Edits

        Raises
        ------
        ValueError
            No frame was seen.
        """
        times = np.asarray(self._changes.times)
        if not len(times):
            raise ValueError("expected frames, found none")
        frame_s = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        edges = np.append(times, times[-1] + frame_s)
        cuts, jumps = self._changes.cuts()
        fades = [span for span in self._fades.fades if not ((edges[cuts] > span[0] + frame_s) & (edges[cuts] < span[1] - frame_s)).any()]
        cuts = _outside(cuts, edges, fades)
        ends = np.searchsorted(times, [end for _, end in fades]).astype(int)
        breaks = np.unique(np.concatenate((cuts, ends)))
        blank = _runs(np.asarray(self._spread) <= BLANK_SPREAD, BLANK_S, frame_s)
        black = [span for span in blank if np.mean(self._level[span[0] : span[1]]) < BLACK_LEVEL]
        still = self._still(frame_s)
        insets = self._insets(breaks, len(times))
        shots = _shots(edges, cuts, fades)
        places, moves = stands(self._camera.looks, [(float(a), float(b)) for a, b in shots])
        # To a dark title from a dark scene the change is no greater than within one.
        parts = _shots(edges, np.union1d(cuts, _outside(jumps, edges, fades)), fades)
        titles = [span for span in still if self._is_title(span, edges, parts)]
        frozen = [span for span in still if span not in titles and self._is_freeze(span, cuts, jumps, frame_s)]
        popped = {frame for start, stop, _ in insets for frame in (start, stop)}

        def spans(runs):
            return [(float(edges[a]), float(edges[b])) for a, b in runs]

        return Edits(
            frames=len(times),
            duration_s=float(edges[-1]),
            frame_s=frame_s,
            cuts=edges[cuts].tolist(),
            jumps=[float(edges[k]) for k in _outside(jumps, edges, fades) if k not in popped],
            fades=fades,
            black=spans(black),
            blank=spans([span for span in blank if span not in black]),
            frozen=spans(frozen),
            titles=spans(titles),
            insets=[(float(edges[a]), float(edges[b]), [round(x, 4) for x in box]) for a, b, box in insets],
            places=places,
            moves=moves,
        )

    def _still(self, frame_s):
        """Stretches [start, stop) of frames that repeat what the frame before showed, not of one colour."""
        repeated = (self._changes.largest() <= REPEATED) & (np.asarray(self._spread) > BLANK_SPREAD)
        repeated[0] = False
        shares, joined = self._changes.shares(), []
        for start, stop in _runs(repeated, 0.0, frame_s):
            gap = shares[joined[-1][1] : start] if joined else None
            if gap is not None and len(gap) * frame_s <= GAP_S and gap.max() <= GAP_SHARE and _long(joined[-1], start, stop, frame_s):
                joined[-1] = (joined[-1][0], stop)
            else:
                joined.append((start, stop))
        return [(start, stop) for start, stop in joined if (stop - start) * frame_s >= FREEZE_S]

    def _is_freeze(self, span, cuts, jumps, frame_s):
        """Whether a still stretch is long, or quiet and the picture moved right before it, in the same shot, or jumps at its end."""
        length_s, largest = (span[1] - span[0]) * frame_s, self._changes.largest().copy()
        if length_s >= LONG_S:
            return True
        if np.median(largest[span[0] : span[1]]) > QUIET:
            return False
        reach = max(2, round(ABRUPT_S / frame_s))
        largest[np.concatenate((cuts, jumps))] = 0.0
        first = max([0, *cuts[cuts <= span[0]]])
        # The coder goes on refining a frozen picture for some frames.
        moved = np.flatnonzero(largest[first : span[0]] > SETTLED)
        last = first + moved[-1] + 1 if len(moved) and (span[0] - first - moved[-1] - 1) * frame_s <= ABRUPT_S + 1e-6 else span[0]
        before = max(largest[max(first, last - reach) : last], default=0.0)
        return bool(before >= (QUIET_ABRUPT if length_s >= QUIET_S else ABRUPT) or np.any(np.abs(jumps - span[1]) <= reach))

    def _insets(self, breaks, stop):
        clear = [pop for pop in self._pops if not np.any(np.abs(breaks - pop.frame) <= 1)]
        pops = [(pop, self._changes.ratio_in(pop.frame, pop.box)) for pop in clear]
        # What is no clean rectangle, because it is like what it covers, or hands reach into it, is told by its leaving all as it was.
        visits = [visit for visit in self._changes.visits() if not np.any((breaks >= visit[0]) & (breaks <= visit[1]))]
        return stays(pops, visits, breaks, stop)

    def _is_title(self, span, edges, shots):
        """Mostly one colour, nearly all of its shot, and its view is in no other shot."""
        if np.median(self._flat[span[0] : span[1]]) < FLAT:
            return False
        start_s, end_s = edges[span[0]], edges[span[1]]
        mine = [(a, b) for a, b in shots if a < end_s and start_s < b]
        if end_s - start_s < TITLE_SHARE * (mine[-1][1] - mine[0][0]):
            return False
        views = {look.view for look in self._camera.looks if start_s <= look.time_s < end_s} - {-1}
        return not any(look.view in views for look in self._camera.looks for a, b in shots if (a, b) not in mine and a <= look.time_s < b)


def _long(before, start, stop, frame_s):
    """Whether two stretches are long against the gap between them: a video of doubled frames repeats every other one."""
    gap = start - before[1]
    return before[1] - before[0] > 2 * gap and stop - start > 2 * gap


def _runs(mask, least_s, frame_s):
    """Stretches [start, stop) of true frames of at least a length."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(mask, np.int8), [0]))))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if (b - a) * frame_s >= least_s]


def _outside(frames, edges, fades):
    """Those frames that do not lie in a fade."""
    return np.array([k for k in frames if not any(a <= edges[k] < b for a, b in fades)], dtype=int)


def _shots(edges, cuts, fades):
    """Stretches of time between cuts and fades."""
    gaps = sorted([(edges[k], edges[k]) for k in cuts] + list(fades))
    starts = [edges[0]] + [end for _, end in gaps]
    ends = [start for start, _ in gaps] + [edges[-1]]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b > a]
