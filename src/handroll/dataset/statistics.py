"""Statistics of a dataset and of its rejected and withheld clips, as plain values for the dataset card."""

from collections import Counter, defaultdict

import numpy as np

from handroll.dataset.splits import SPLITS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.reasons import Reason, split_reasons

VISIBILITY_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 1.0)
"""Quantiles of the visibility of clips that the card lists."""


def describe(verdicts, clips, splits, manifest, survey):
    """Count the videos, clips, seconds, notes and rejection reasons of a dataset.

    Clips of a video overlap. Where two clips overlap, `seconds`, `frames` and `notes` count once, and `clip_seconds` counts twice.

    Parameters
    ----------
    verdicts : list of dict
        One dict for each video of the sheet, with `subject`, `video`, `usable_for_dataset` (bool) and `reasons` (names of
        `handroll.reasons.Reason`).
    clips : dict of str to array (window,)
        Columns of `handroll.tables.CLIPS`, of all videos.
    splits : dict of str to array (video,)
        Columns of `handroll.tables.SPLITS`.
    manifest : dict
        Result of `shards.write_shards`.
    survey : dict
        Result of `shards.survey_shards`.

    Returns
    -------
    dict, JSON values
        - `totals`: videos, rejected_videos, videos_in_dataset, clips, rejected_clips, seconds, clip_seconds and frames of the dataset.
        - `subjects`: a list with one dict per subject, with the key `subject` and the keys of `totals`.
        - `splits`: a list with one dict per split: split, videos, clips, seconds, shards, bytes.
        - `rejections`: `videos` and `clips`, each a dict of reason to count, most frequent first. A video or clip may have several reasons.
        - `visibility`: `accepted` and `all` (windows), each a dict of quantile to visibility (0..1).
        - `notes`: `count`, number of notes; `pitch`, number for each of the 88 keys from A0; `velocity`, number for each velocity 1 to 127.
        - `left_out`: see `rights.withhold`.
        - `made_by`: number of clips by column and value; see `shards.survey_shards`.
    """
    rows = defaultdict(Counter)
    for verdict in verdicts:
        rows[verdict["subject"]] += Counter(videos=1, rejected_videos=int(not verdict["usable_for_dataset"]))
    split_of = dict(zip(zip(splits["subject"], splits["video"], strict=True), splits["split"], strict=True))
    by_split = {split: Counter(videos=0, clips=0, seconds=0.0) for split in SPLITS}
    for (subject, video), windows in _rows_by_video(clips).items():
        kept = windows[clips["accepted"][windows]]
        rows[subject] += Counter(clips=len(kept), rejected_clips=len(windows) - len(kept))
        if not len(kept):
            continue
        seconds = _union_length(clips["start_s"][kept], clips["end_s"][kept])
        frames = _union_length(clips["start_frame"][kept], clips["end_frame"][kept])
        clip_seconds = float(np.sum(clips["end_s"][kept] - clips["start_s"][kept]))
        rows[subject] += Counter(videos_in_dataset=1, seconds=seconds, clip_seconds=clip_seconds, frames=int(frames))
        by_split[split_of[subject, video]] += Counter(videos=1, clips=len(kept), seconds=seconds)
    for shard in manifest["shards"]:
        by_split[shard["split"]] += Counter(shards=1, bytes=shard["bytes"])
    names = ("videos", "rejected_videos", "videos_in_dataset", "clips", "rejected_clips", "seconds", "clip_seconds", "frames")
    subjects = [{"subject": subject, **{name: rows[subject][name] for name in names}} for subject in sorted(rows)]
    split_names = ("videos", "clips", "seconds", "shards", "bytes")
    return {
        "totals": {name: sum(row[name] for row in subjects) for name in names},
        "subjects": subjects,
        "splits": [{"split": split, **{name: by_split[split][name] for name in split_names}} for split in SPLITS],
        "rejections": {
            "videos": _most_frequent_first(Reason(reason) for verdict in verdicts for reason in verdict["reasons"]),
            "clips": _most_frequent_first(reason for cell in clips["reasons"] for reason in split_reasons(cell)),
        },
        "visibility": {
            "accepted": _quantiles(clips["visibility"][clips["accepted"]]),
            "all": _quantiles(clips["visibility"]),
        },
        "notes": {
            "count": int(survey["pitch"].sum()),
            "pitch": survey["pitch"][LOWEST_PITCH : HIGHEST_PITCH + 1].tolist(),
            "velocity": survey["velocity"][1:].tolist(),
        },
        "left_out": manifest["left_out"],
        "made_by": survey["values"],
    }


def _rows_by_video(clips):
    """Return the row indices of `tables.CLIPS` by (subject, video), sorted by name; rows are in the order of their windows."""
    found = defaultdict(list)
    for row in np.lexsort((clips["clip"],)):
        found[clips["subject"][row], clips["video"][row]].append(row)
    return {name: np.array(found[name]) for name in sorted(found)}


def _union_length(starts, ends):
    """Return the length of the union of intervals [start, end), sorted by their starts."""
    previous_end = np.maximum.accumulate(np.concatenate([starts[:1], ends[:-1]]))
    return float(np.sum(np.maximum(ends - np.maximum(starts, previous_end), 0)))


def _most_frequent_first(reasons):
    """Return the count of each reason, most frequent first."""
    counts = Counter(str(reason) for reason in reasons)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _quantiles(values):
    """Return the quantiles of an array, rounded to 4 digits; an empty dict if there are no values."""
    if not len(values):
        return {}
    return {f"{q:g}": round(float(v), 4) for q, v in zip(VISIBILITY_QUANTILES, np.quantile(values, VISIBILITY_QUANTILES), strict=True)}
