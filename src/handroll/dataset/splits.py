"""Splits: assign each video to train, valid or test by a hash of its name, so that a new video does not change other assignments."""

import hashlib
from collections import Counter

import numpy as np

SPLITS = ("train", "valid", "test")
"""Names of the splits, in the order in which files and tables list them."""


def split_videos(videos, ratios, seed):
    """Assign videos to splits; all clips of a video are in the same split.

    SHA-256 of the seed and of the names gives a number in [0, 1), which is compared with the cumulative ratios. So the split of a
    video depends neither on the order of the videos nor on other videos.

    Parameters
    ----------
    videos : sequence of (subject, video, pinned)
        `pinned` is the split that the sheet assigns to the video, or None if the hash decides.
    ratios : dict of split to float >= 0
        Shares of the videos, relative to their sum. A split without a ratio gets only pinned videos.
    seed : int
        Random seed of the hash. Another seed gives another assignment.

    Returns
    -------
    dict of str to array (video,)
        Columns of `handroll.tables.SPLITS`, sorted by subject, then video.

    Raises
    ------
    ValueError
        A video is listed twice, a split is unknown, or the sum of the ratios is not above 0.
    """
    unknown = ({pinned for _, _, pinned in videos if pinned} | set(ratios)) - set(SPLITS)
    if unknown:
        raise ValueError(f"unknown split(s) {', '.join(sorted(unknown))}: expected {', '.join(SPLITS)}")
    if min(ratios.values(), default=0) < 0 or sum(ratios.values()) <= 0:
        found = ", ".join(f"{name} {ratio}" for name, ratio in ratios.items()) or "none"
        raise ValueError(f"split ratios: expected numbers of at least 0, and at least one above 0, found {found}")

    rows = sorted(videos, key=lambda row: row[:2])
    names = [row[:2] for row in rows]
    twice = sorted("/".join(name) for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ValueError(f"videos listed twice: {', '.join(twice)}")
    return {
        "subject": np.array([subject for subject, _ in names], dtype=object),
        "video": np.array([video for _, video in names], dtype=object),
        "split": np.array([pinned or _split_by_hash((subject, video), ratios, seed) for subject, video, pinned in rows], dtype=object),
        "pinned": np.array([bool(pinned) for _, _, pinned in rows], dtype=bool),
    }


def _split_by_hash(names, ratios, seed):
    """Return the split of a video with the names (subject, video). For `ratios` and `seed`, see `split_videos`."""
    # Names contain no NUL character, so different names give different hashed texts.
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64 * sum(ratios.values())
    total, chosen = 0.0, None
    for split in SPLITS:
        if ratios.get(split, 0):
            total, chosen = total + ratios[split], split
            if number < total:
                break
    return chosen
