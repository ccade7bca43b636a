"""Table of the status of every source."""

import numpy as np

from handroll.acquire.sites import without_credentials
from handroll.tables import STATUS

NOT_FETCHED = "not_fetched"
"""Status of a video that is never requested, because its listing or a person rejects it."""


def status_table(fetched, unfetched):
    """Make the table of the status of every video of the sheet.

    Parameters
    ----------
    fetched : iterable of ((subject, video), dict)
        Content of each info.json: as `download.fetch` returns, with `tries`.
    unfetched : iterable of (subject, video, source, list of str)
        Videos that are never requested, with the reasons.

    Returns
    -------
    dict of str to array (rows,)
        `handroll.tables.STATUS`, by subject, then video.
    """
    names = [column.name for column in STATUS.columns]
    rows = [{**info, "subject": subject, "video": video} for (subject, video), info in fetched]
    for subject, video, source, reasons in unfetched:
        values = {"source": without_credentials(source), "status": NOT_FETCHED, "message": ", ".join(reasons)}
        rows.append({"subject": subject, "video": video, **values})
    rows.sort(key=lambda row: (row["subject"], row["video"]))
    table = STATUS.empty()
    return {name: np.array([_cell(row.get(name), table[name].dtype) for row in rows], dtype=table[name].dtype) for name in names}


def _cell(value, dtype):
    """Return a value, or the column's empty value for None."""
    if value is None:
        return "" if dtype.kind == "O" else 0
    return value
