"""Measure a video before its download, by its row of the sheet."""

from handroll.reasons import Reason
from handroll.screening.metadata import measure_resolution


def measure_listing(row, taken_down=False):
    """Measure a row of the sheet.

    Parameters
    ----------
    row : handroll.config.sheet.Video
        `duration_s` (s), `width_px` and `height_px` (px) are None where they are not known.
    taken_down : bool
        The video is on the takedown list; no override changes that.

    Returns
    -------
    dict
        `problems` and `scores` for `verdict.judge`; scores of `duration` and `resolution` where they are known.
    """
    scores = {}
    if row.duration_s is not None:
        scores["duration"] = {"duration_s": row.duration_s}
    if row.width_px is not None and row.height_px is not None:
        scores["resolution"] = measure_resolution(row.width_px, row.height_px)
    return {"problems": [str(Reason.TAKEN_DOWN)] if taken_down else [], "scores": scores}
