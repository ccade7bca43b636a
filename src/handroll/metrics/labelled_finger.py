"""Share of the notes that the labelled finger plays: the finger of the plan or of the dataset.

It shows whether a motion that presses the right keys also uses the right fingers. Key presses are those of `metrics.key_press`.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.metrics.key_press import candidate_pairs, share_of


def labelled_finger_share(notes, presses, start_s=-np.inf, end_s=np.inf, delay_s=0.0):
    """Compute the share of labelled notes that are played with the labelled hand and finger.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s`, `pitch`, `hand` and `finger` of `tables.FINGERED_NOTES`. A note with finger 0 has no label.
    presses : key_press.KeyPresses
        Key presses of the motion.
    start_s, end_s : float
        Only notes in [start_s, end_s) are scored.
    delay_s : float
        Delay of the notes relative to the motion.

    Returns
    -------
    float
        Share of the labelled notes with a press of the labelled finger at the note's key within `key_press.TOLERANCE_S`. Notes that no
        finger plays, or another one, count as misses, and so do notes of a hidden hand. NaN without labelled notes.
    """
    struck_s = np.asarray(notes["onset_s"], dtype=np.float64) - delay_s
    finger = np.asarray(notes["finger"]).astype(np.int64)
    side = np.array([HANDS.index(hand) if hand else 0 for hand in notes["hand"]], dtype=np.int64)
    note, press = candidate_pairs(presses, struck_s, notes["pitch"])
    by_label = presses.tip[press] == (len(FINGERS) * side + finger - 1)[note]
    played = np.zeros(len(struck_s), dtype=bool)
    played[note[by_label]] = True
    return share_of(played[(finger > 0) & (struck_s >= start_s) & (struck_s < end_s)])
