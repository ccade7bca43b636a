"""What became of every source, as a table."""

import numpy as np

from handroll.acquire.sites import without_credentials
from handroll.tables import STATUS

NOT_FETCHED = "not_fetched"
"""Status of a video that is never asked for: its listing or a person rejects it."""


def status_table(fetched, unfetched):
    """The status of every video of the sheet.

    Parameters
    ----------
    fetched : iterable of ((subject, video), dict)
        What info.json of each holds: as `download.fetch` returns, with `tries`.
    unfetched : iterable of (subject, video, source, list of str)
        Videos that are never asked for, with the reasons.

    Returns
    -------
    dict of str to array (rows,)
        `handroll.tables.STATUS`, by subject, then video.
    """
    names = [column.name for column in STATUS.columns]
    rows = [{**info, "subject": subject, "video": video} for (subject, video), info in fetched]
    for subject, video, source, reasons in unfetched:
        told = {"source": without_credentials(source), "status": NOT_FETCHED, "message": ", ".join(reasons)}
        rows.append({"subject": subject, "video": video, **told})
    rows.sort(key=lambda row: (row["subject"], row["video"]))
    table = STATUS.empty()
    return {name: np.array([_cell(row.get(name), table[name].dtype) for row in rows], dtype=table[name].dtype) for name in names}


def _cell(value, dtype):
    """A value of a row; where there is none, what the column holds for that."""
    if value is None:
        return "" if dtype.kind == "O" else 0
    return value
