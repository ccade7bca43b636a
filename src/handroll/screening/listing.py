"""What a listing tells of a video before it is fetched."""

from handroll.reasons import Reason
from handroll.screening import duration, resolution


def measure_listing(row, taken_down=False):
    """Scores of a row of the sheet.

    Parameters
    ----------
    row : handroll.config.sheet.Video
        `duration_s`, `width_px` and `height_px`, where the listing told them.

    taken_down : bool
        The video stands on the takedown list, which nothing overrules.

    Returns
    -------
    dict
        `problems`, and `screen`: scores of `duration` and `resolution`, as far as they are known, for `verdict.judge`.
    """
    scores = {}
    if row.duration_s is not None:
        scores["duration"] = duration.measure(row.duration_s)
    if row.width_px is not None and row.height_px is not None:
        scores["resolution"] = resolution.measure(row.width_px, row.height_px)
    return {"problems": [str(Reason.TAKEN_DOWN)] if taken_down else [], "scores": scores}
