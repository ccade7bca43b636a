"""Collect all verdicts: reads the scores of every step and the thumbnails; writes verdicts.json, summary.tsv and gallery.html.

Every video of the sheet has a row, even if it is not downloaded. A row contains the uses of the video, rejection reasons, scores and
thresholds.
"""

import os
from collections import Counter
from pathlib import Path

from handroll.drawing.gallery import gallery_html
from handroll.logs import step_log
from handroll.provenance import atomic_path
from handroll.screening.verdict import KINDS, in_words, judge, kind_of, summary_tsv
from handroll.storage import read_json, write_json

MAX_LOGGED = 20
"""Maximum number of verdicts in the log. summary.tsv contains all verdicts."""


def main(snakemake):
    """Compute all verdicts from the measured scores, and write the table and the gallery."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        verdicts, page = [], Path(made.gallery).parent
        steps = zip(*(given[step] for step in params.steps), strict=True)
        for (row, override), paths, thumbnail in zip(params.videos, steps, given.thumbnails, strict=True):
            measured = [read_json(path) for path in paths]
            thumbnails = os.path.relpath(thumbnail, page) if Path(thumbnail).stat().st_size else None
            verdict = judge(measured, params.thresholds, override).to_dict()
            verdicts.append({**row, "thumbnails": thumbnails, **verdict})
        verdicts += [{**row, "thumbnails": None, **verdict} for row, verdict in params.unfetched]
        write_json(made.verdicts, verdicts)
        for path, text in ((made.summary, summary_tsv(verdicts)), (made.gallery, gallery_html(verdicts))):
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        not_accepted = [verdict for verdict in verdicts if kind_of(verdict) != "accepted"]
        for verdict in not_accepted[:MAX_LOGGED]:
            log.info("%s/%s: %s", verdict["subject"], verdict["video"], in_words(verdict))
        if len(not_accepted) > MAX_LOGGED:
            log.info("and %d more, see %s", len(not_accepted) - MAX_LOGGED, made.summary)
        counts = Counter(map(kind_of, verdicts))
        log.info("%s", ", ".join(f"{counts[kind]} {title}" for kind, title in KINDS.items()))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
