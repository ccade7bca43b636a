"""Build the table of downloads: a row with the status of each video of the sheet."""

import numpy as np

from handroll.acquire.sites import without_credentials
from handroll.tables import STATUS

NOT_FETCHED = "not_fetched"
"""Status of a video that is never requested, since it is rejected by a person, or by the screening of its data in the sheet."""


def status_table(fetched, unfetched):
    """Build the table of downloads, with a row for each video of the sheet.

    Parameters
    ----------
    fetched : iterable of ((subject, video), dict)
        Ids of each fetched video, and the content of its info.json: the result of `download.fetch`, and `tries`.
    unfetched : iterable of (subject, video, source, list of str)
        Videos that are never requested, and the reasons.

    Returns
    -------
    dict of str to array (rows,)
        Columns of `handroll.tables.STATUS`, sorted by subject, then video.
    """
    names = [column.name for column in STATUS.columns]
    rows = [{**info, "subject": subject, "video": video} for (subject, video), info in fetched]
    for subject, video, source, reasons in unfetched:
        values = {"source": without_credentials(source), "status": NOT_FETCHED, "message": ", ".join(reasons)}
        rows.append({"subject": subject, "video": video, **values})
    rows.sort(key=lambda row: (row["subject"], row["video"]))
    table = STATUS.empty()
    return {name: np.array([_value_or_empty(row.get(name), table[name].dtype) for row in rows], dtype=table[name].dtype) for name in names}


def _value_or_empty(value, dtype):
    """Return the value; for None, return the empty value of the column's dtype: an empty text or 0."""
    if value is None:
        return "" if dtype.kind == "O" else 0
    return value
