"""Measure a video before its download, from its row in the sheet of videos."""

from handroll.reasons import Reason
from handroll.screening.metadata import measure_resolution


def measure_listing(row, taken_down=False):
    """Measure a row of the sheet of videos.

    Parameters
    ----------
    row : handroll.config.sheet.Video
        Its `duration_s` (s), `width_px` and `height_px` (px) are None if they are not known.
    taken_down : bool
        Whether the video is on the takedown list. An override cannot accept such a video.

    Returns
    -------
    dict
        `problems` and `screening` for `verdict.judge`. The scores of `duration` and `resolution` are omitted if the row lacks them.
    """
    scores = {}
    if row.duration_s is not None:
        scores["duration"] = {"duration_s": row.duration_s}
    if row.width_px is not None and row.height_px is not None:
        scores["resolution"] = measure_resolution(row.width_px, row.height_px)
    return {"problems": [str(Reason.TAKEN_DOWN)] if taken_down else [], "screening": scores}
