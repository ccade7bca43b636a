"""Hands of the notes of a MIDI file with one track or one channel for each hand."""

import logging
import re

import numpy as np

LOGGER = logging.getLogger("handroll")

MIN_DISTANCE = 7.0
"""Minimum difference of the mean pitches of two tracks without names that are taken as hands (semitones): a fifth. Tracks that double a
melody, or divide it by voices, are closer."""

# Words for the hands in the names of tracks.
_RIGHT = re.compile(r"\b(right|rh|r\.h|droite|md|rechte?|destra)\b", re.IGNORECASE)
_LEFT = re.compile(r"\b(left|lh|l\.h|gauche|mg|linke?|sinistra)\b", re.IGNORECASE)


def hands_of_tracks(notes, origins, name, force=False):
    """Find the hand of each note from the tracks of a MIDI file, or from its channels if only one track has notes.

    If the names of all tracks with notes contain a hand, the names are used. Otherwise, there must be exactly two tracks: the first is for
    the right hand if its mean pitch is at least `MIN_DISTANCE` above that of the second. The decision is logged.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    origins : midi.Origins
    name : str
        Name of the file in messages.
    force : bool
        Whether the tracks are known to be hands: without names, the track with the higher mean pitch is for the right hand.

    Returns
    -------
    array (note,) of str
        "left" or "right"; all empty if the tracks are not hands.

    Raises
    ------
    ValueError
        `force` is true, and there are neither names nor exactly two tracks.
    """
    by_track = len(np.unique(origins.track)) > 1
    part, kind = (origins.track, "tracks") if by_track else (origins.channel, "channels")
    numbers = np.unique(part).tolist()
    named = [_hand_in(origins.track_names.get(number, "")) for number in numbers] if by_track else [""]
    mean = [float(notes["pitch"][part == number].mean()) for number in numbers]
    if all(named) and len(set(named)) == 2:
        hands, why = named, "names of the tracks"
    elif len(numbers) == 2 and (force or mean[0] - mean[1] >= MIN_DISTANCE):
        hands = ["right", "left"] if mean[0] >= mean[1] else ["left", "right"]
        why = f"mean pitches of the {kind}, {mean[0]:.1f} and {mean[1]:.1f}"
    elif force:
        raise ValueError(f"{name}: expected two {kind} with notes, or {kind} with the names of hands, found {len(numbers)} {kind}")
    else:
        LOGGER.info("%s: the %d %s of the MIDI file are not taken as hands", name, len(numbers), kind)
        return np.full(len(part), "", dtype=object)
    LOGGER.info("%s: hands from the %s", name, why)
    return np.array(hands, dtype=object)[np.searchsorted(numbers, part)]


def _hand_in(name):
    """Return the hand in the name of a track; empty if it has none or both."""
    left, right = _LEFT.search(name) is not None, _RIGHT.search(name) is not None
    return "" if left == right else "left" if left else "right"
