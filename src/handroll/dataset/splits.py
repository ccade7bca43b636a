"""Which video goes to train, valid or test: by a hash of its name, so that adding a video moves no other."""

import hashlib

import numpy as np

SPLITS = ("train", "valid", "test")
"""Order of the splits, in files and tables."""


def split_videos(videos, ratios, seed, by="video"):
    """Deal videos to the splits; all clips of a video share its split.

    A number in [0, 1) is drawn from SHA-256 of the seed and the names and compared with the running sum of the ratios. It
    hangs on nothing else: neither on the order of the videos nor on which others there are.

    Parameters
    ----------
    videos : sequence of (subject, video, pinned)
        `pinned` is a split, or None where the hash decides.
    ratios : dict of split to float >= 0
        Relative to their sum; a split left out gets nothing but pinned videos.
    seed : int
        Another seed deals anew.
    by : {"video", "subject"}
        Deal each video by itself, or all videos of a subject together. Then a pin holds for the whole subject.

    Returns
    -------
    dict of str to array (videos,)
        `handroll.tables.SPLITS`, by subject, then video.

    Raises
    ------
    ValueError
        A video is listed twice, a split is unknown, the ratios do not add up to more than 0, or, by subject, two videos of
        one subject are pinned to different splits.
    """
    if by not in ("video", "subject"):
        raise ValueError(f"splits by {by!r}: expected video or subject")
    unknown = ({pinned for _, _, pinned in videos if pinned} | set(ratios)) - set(SPLITS)
    if unknown:
        raise ValueError(f"unknown split(s) {', '.join(sorted(unknown))}: expected {', '.join(SPLITS)}")
    if min(ratios.values(), default=0) < 0 or sum(ratios.values()) <= 0:
        raise ValueError(f"split ratios {ratios}: expected shares of at least 0, one of them above 0")

    def key(subject, video):
        return (subject,) if by == "subject" else (subject, video)

    rows = sorted(videos, key=lambda row: row[:2])
    pins = {}
    for subject, video, pinned in rows:
        if pinned and pins.setdefault(key(subject, video), pinned) != pinned:
            raise ValueError(
                f"{subject}/{video} is pinned to {pinned}, another row of it to {pins[key(subject, video)]}: "
                f"a {by} is in one split; correct the sheet"
            )
    names = [row[:2] for row in rows]
    twice = sorted({"/".join(name) for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(f"listed twice: {', '.join(twice)}")
    return {
        "subject": np.array([subject for subject, _ in names], dtype=object),
        "video": np.array([video for _, video in names], dtype=object),
        "split": np.array([pins.get(key(*name)) or _drawn(key(*name), ratios, seed) for name in names], dtype=object),
        "pinned": np.array([key(*name) in pins for name in names], dtype=bool),
    }


def _drawn(names, ratios, seed):
    """The split that the hash gives."""
    # Names hold no NUL, so the joined text is the same for no two lists of names.
    digest = hashlib.sha256("\0".join((str(seed), *names)).encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") / 2**64 * sum(ratios.values())
    reached, chosen = 0.0, None
    for split in SPLITS:
        if ratios.get(split, 0):
            reached, chosen = reached + ratios[split], split
            if drawn < reached:
                break
    return chosen
