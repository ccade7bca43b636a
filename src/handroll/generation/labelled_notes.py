"""Notes of a dataset's clips with labels of hand and finger."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from handroll.generation.fingering import UNPLAYED
from handroll.generation.hand_assignment import UNKNOWN, assign_hands
from handroll.hand.skeleton import HANDS
from handroll.tables import FINGERED_NOTES, NOTES, PEDAL
from handroll.training_data.loader import Clips, Source

COLUMNS = ("notes", "pedal", *(f"{hand}_bone_scale" for hand in HANDS))
"""Columns of `tables.SHARD` that `labelled_notes` reads."""


@dataclass(frozen=True)
class LabelledNotes:
    """Notes of a clip with labels of hand and finger.

    Attributes
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES`, in order of onset, and of `tables.PEDAL`.
    hand : array (note,), int
        Index into `skeleton.HANDS`; `hand_assignment.UNKNOWN` without a label.
    finger : array (note,), int
        Index into `skeleton.FINGERS`; `fingering.UNPLAYED` without a label.
    confidence : array (note,)
        Probability that the label is correct, 0..1.
    hand_scale : (float, float)
        Bone scale of the left and of the right hand.
    """

    notes: dict[str, np.ndarray]
    pedal: dict[str, np.ndarray]
    hand: np.ndarray
    finger: np.ndarray
    confidence: np.ndarray
    hand_scale: tuple[float, float] = (1.0, 1.0)

    @property
    def labelled(self):
        """Whether a note (note,) has a label."""
        return self.finger != UNPLAYED

    @cached_property
    def all_hands(self):
        """Hand of each note (note,): that of the label, or that which `hand_assignment.assign_hands` chooses."""
        return self.hand if (self.hand != UNKNOWN).all() else assign_hands(self.notes, self.hand, self.hand_scale)


def labelled_notes(row):
    """Read the notes of a clip.

    Parameters
    ----------
    row : dict of str to value
        Row of `tables.SHARD` with `COLUMNS`.

    Returns
    -------
    LabelledNotes
    """
    columns, pedal = _table(FINGERED_NOTES, row["notes"]), _table(PEDAL, row["pedal"])
    hand = np.array([HANDS.index(name) if name else UNKNOWN for name in columns["hand"]], dtype=int)
    finger = columns["finger"].astype(int) - 1
    finger[(finger < 0) | (hand == UNKNOWN)] = UNPLAYED
    notes = {column.name: columns[column.name] for column in NOTES.columns}
    # A hand that is never observed in a video has no bone scale.
    scale = tuple(float(np.nan_to_num(row[f"{name}_bone_scale"], nan=1.0)) for name in HANDS)
    return LabelledNotes(notes, pedal, hand, finger, columns["finger_confidence"], scale)


def read_clips(folder, split, subjects=()):
    """Read the labelled notes of a dataset.

    Clips of a video overlap. A note in two clips has its label only in the first of them.

    Parameters
    ----------
    folder : path
        Folder of shards, which contains `shards.json`.
    split : str
    subjects : tuple of str
        Subjects whose clips are read; empty: all.

    Returns
    -------
    list of LabelledNotes
        Clips without labels are left out.

    Raises
    ------
    FileNotFoundError
        The folder has no list of shards.
    """
    clips = Clips(Source(folder, frame="camera", subjects=tuple(subjects)), split)
    found, read_until_s = [], {}
    for number, (subject, video, _) in enumerate(clips.names):
        row = clips.rows(number, ("start_s", "end_s", *COLUMNS))
        labelled = labelled_notes(row)
        repeated = labelled.notes["onset_s"] < read_until_s.get((subject, video), -np.inf) - row["start_s"]
        read_until_s[subject, video] = row["end_s"]
        labelled.finger[repeated] = UNPLAYED
        if labelled.labelled.any():
            found.append(labelled)
    return found


def _table(table, rows):
    """Convert rows (a list of dicts) to the columns of a table."""
    return {name: np.array([row[name] for row in rows], dtype=blank.dtype) for name, blank in table.empty().items()}
