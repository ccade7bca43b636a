"""Write the table of rejection reasons into a page: `python -m handroll.screening.reason_docs docs/troubleshooting.md`."""

import re
import sys
from pathlib import Path

from handroll.provenance import atomic_path
from handroll.reasons import Reason

START, END = "<!-- rejection reasons -->", "<!-- end of rejection reasons -->"
"""Lines of the page before and after the generated table."""


def reason_table():
    """Return a Markdown table of all rejection reasons: name, effect, meaning and advice."""
    lines = ["| reason | rejects | meaning | what to do |", "|---|---|---|---|"]
    for reason in Reason:
        effect = "the video or clip" if reason.stops == "motion" else "its audio"
        advice = reason.advice[0].upper() + reason.advice[1:]
        lines.append(f"| `{reason}` | {effect} | {reason.description} | {advice}. |")
    return "\n".join(lines)


def with_reasons(page):
    """Replace the table of rejection reasons in a page.

    Parameters
    ----------
    page : str
        Markdown with the lines `START` and `END`.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        The page does not contain the lines `START` and `END`.
    """
    pattern = re.compile(re.escape(START) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"expected the lines {START} and {END} in the page, found a page without them")
    return pattern.sub(lambda _: f"{START}\n{reason_table()}\n{END}", page)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    text = with_reasons(path.read_text(encoding="utf-8"))
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
