"""Perform fingered notes of any length so that the hands never pass through each other.

Notes for which the hands would have to pass through each other are left out, one after the other, until the hands keep apart. Long music is
performed in blocks, so that the memory and the time for a minute of music do not depend on the length. A block starts before and ends after
the part that it contributes; around the boundary, the poses change gradually from one block to the next.
"""

from dataclasses import replace

import numpy as np

from handroll.generation.fingered_notes import FingeredNotes
from handroll.generation.fingering import UNPLAYED
from handroll.generation.hands_apart import surface_distance_mm
from handroll.generation.performance import Performance
from handroll.generation.pianist import perform
from handroll.generation.style import PLANNED
from handroll.hand.rotations import unwrap_rotvec
from handroll.hand.skeleton import HANDS
from handroll.music.notes import note_table, pedal_table

MAX_INTERSECTION_MM = 4.0
"""Maximum depth by which the surfaces of the hands may intersect (mm). Soft tissue yields by a few millimetres."""

BLOCK_S = 60.0
"""Length of the part that a block contributes (s)."""

# Length of a block before and after its part. The path of a hand depends on notes up to about this time away.
_CONTEXT_S = 4.0

# Duration of the gradual change from one block to the next.
_BLEND_S = 0.5

# Time from the start of a block to the onset of a note that starts before the block.
_SOUNDING_S = 0.2

# Difference between the random seeds of successive blocks. It is larger than usual seeds.
_SEEDS = 1 << 32

# Time before the onset and after the release of a note in which its finger can be the cause of an intersection.
_BEFORE_S, _AFTER_S = 0.25, 0.25

_LEFT = HANDS.index("left")


def perform_apart(notes, pedal, duration_s, hand, finger, seed, fps, hand_scale):
    """Perform fingered notes with hands that keep apart.

    Parameters
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES`, in order of onset, then pitch, and of `tables.PEDAL`.
    duration_s : float
    hand, finger : array (note,), int
        Indices into `skeleton.HANDS` and `skeleton.FINGERS`; the finger is `fingering.UNPLAYED` for notes that are not played.
    seed : int
        Random seed of the variations of movement.
    fps : float
        Frame rate.
    hand_scale : (float, float)
        Bone scale of the left and the right hand.

    Returns
    -------
    performance : Performance
        It contains the notes that are played.
    finger : array (note,), int
        Finger of each note of the input; `UNPLAYED` for the notes that are not played.
    """
    finger, frames = finger.copy(), int(round(duration_s * fps))
    block, context, blend = (max(1, round(length_s * fps)) for length_s in (BLOCK_S, _CONTEXT_S, 0.5 * _BLEND_S))
    starts = list(range(0, max(frames - block // 2, 1), block))
    released_s = notes["key_offset_s"].copy()
    out = None
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], frames], strict=True)):
        first, last = max(start - context, 0), frames if end == frames else end + context
        music, rows = _cut(notes, hand, finger, first / fps, (last - first) / fps)
        part, dropped = _perform_block(music, seed + number * _SEEDS, fps, hand_scale)
        # The block before has already played the notes that start before this one.
        finger[rows[dropped & (notes["onset_s"][rows] * fps >= start)]] = UNPLAYED
        rows = rows[~dropped]
        if out is None:
            out = _empty(part, frames)
        now = notes["onset_s"][rows] * fps >= start
        released_s[rows[now]] = part.notes["key_offset_s"][now] + first / fps
        _add(out, part, first, start - blend if number else 0, start + blend if number else 0)
    played = finger != UNPLAYED
    onset_s, pitch, velocity = (notes[name][played] for name in ("onset_s", "pitch", "velocity"))
    # Only the wrist turns so far that its axis-angle vectors may jump from one block to the next.
    out.rotation_rad[:, :, 0] = unwrap_rotvec(out.rotation_rad[:, :, 0])
    performance = replace(
        out,
        time_s=np.arange(frames) / fps,
        notes=note_table(onset_s, released_s[played], pitch, velocity, pedal),
        note_hand=hand[played],
        note_finger=finger[played],
    )
    return performance, finger


def _cut(notes, hand, finger, start_s, length_s):
    """Return the notes that are played in a block as `FingeredNotes`, and their rows."""
    onset_s, release_s = notes["onset_s"] - start_s, notes["key_offset_s"] - start_s
    # A note that starts before the block is held from the start of the block.
    rows = np.flatnonzero((finger != UNPLAYED) & (onset_s < length_s) & ((onset_s >= 0.0) | (release_s > 2.0 * _SOUNDING_S)))
    onset_s = np.where(onset_s < 0.0, _SOUNDING_S, onset_s) if start_s else onset_s
    rows = rows[np.lexsort((notes["pitch"][rows], onset_s[rows]))]
    pedal = pedal_table([], [])
    table = note_table(onset_s[rows], release_s[rows], notes["pitch"][rows], notes["velocity"][rows], pedal)
    return FingeredNotes(duration_s=length_s, notes=table, hand=hand[rows], finger=finger[rows], pedal=pedal), rows


def _perform_block(music, seed, fps, hand_scale):
    """Perform notes (`FingeredNotes`) without those that let the hands pass through each other. Returns also which are left out (note,)."""
    dropped = np.zeros(len(music.hand), dtype=bool)
    while True:
        played = np.flatnonzero(~dropped)
        table = {name: values[played] for name, values in music.notes.items()}
        part = perform(replace(music, notes=table, hand=music.hand[played], finger=music.finger[played]), seed, fps, hand_scale, PLANNED)
        culprits = _culprits(part, surface_distance_mm(part))
        if not len(culprits):
            return part, dropped
        dropped[played[culprits]] = True


def _culprits(performance, distance_mm):
    """Choose notes whose removal separates hands that intersect: for each intersection, the note with the nearest onset of the hand that
    plays fewer notes there. Returns indices of notes of the performance."""
    deep = np.flatnonzero(distance_mm < -MAX_INTERSECTION_MM)
    if not len(deep):
        return np.empty(0, dtype=int)
    chosen = []
    notes = performance.notes
    for part in np.split(deep, np.flatnonzero(np.diff(deep) > 1) + 1):
        time_s = performance.time_s[part[np.argmin(distance_mm[part])]]
        near = np.flatnonzero((notes["onset_s"] - _BEFORE_S <= time_s) & (notes["key_offset_s"] + _AFTER_S >= time_s))
        if not len(near):
            near = np.array([np.abs(notes["onset_s"] - time_s).argmin()])
        count = np.bincount(performance.note_hand[near], minlength=len(HANDS)).astype(float)
        count[count == 0] = np.inf
        near = near[performance.note_hand[near] == count.argmin()]
        inner = notes["pitch"][near].astype(int) * (-1 if count.argmin() == _LEFT else 1)
        chosen.append(near[np.argmin(inner)])
    return np.unique(chosen)


def _empty(part, frames):
    """Return a performance of `frames` frames with the hands of a block."""
    shapes = {name: (frames, *getattr(part, name).shape[1:]) for name in ("rotation_rad", "translation_m", "key_depth_mm", "present")}
    return replace(part, **{name: np.empty(shape, getattr(part, name).dtype) for name, shape in shapes.items()})


def _add(out: Performance, part: Performance, first, begin, full):
    """Write a block that starts at frame `first` into a performance: with a weight that rises from 0 at frame `begin` to 1 at `full`."""
    end = min(first + len(part.time_s), len(out.key_depth_mm))
    own = slice(full - first, end - first)
    out.present[full:end] = part.present[own]
    for name in ("rotation_rad", "translation_m", "key_depth_mm"):
        getattr(out, name)[full:end] = getattr(part, name)[own]
    weight = np.linspace(0.0, 1.0, full - begin, endpoint=False)
    for name in ("rotation_rad", "translation_m", "key_depth_mm"):
        before, now = getattr(out, name)[begin:full], getattr(part, name)[begin - first : full - first]
        if name == "rotation_rad":
            now = unwrap_rotvec(np.stack([before, now]))[1]
        rise = weight.reshape(-1, *(1,) * (before.ndim - 1))
        before += rise * (now - before)
