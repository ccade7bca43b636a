"""Gather all verdicts: reads what every step measured and the thumbnails; writes verdicts.json, summary.tsv and gallery.html.

A row a video of the sheet, also of those that are not fetched: what it is usable for, why not for more, scores beside thresholds.
"""

import os
from collections import Counter
from pathlib import Path

from handroll.drawing.gallery import gallery_html
from handroll.logs import step_log
from handroll.provenance import atomic_path
from handroll.screening.verdict import KINDS, in_words, judge, kind_of, summary_tsv
from handroll.storage import read_json, write_json

SAID = 20
"""Verdicts that the log spells out, at most; all are in summary.tsv."""


def main(snakemake):
    """Judge every video once more, for people to read."""
    params, given, made = snakemake.params, snakemake.input, snakemake.output
    with step_log(snakemake.log[0], snakemake.rule) as log:
        verdicts, page = [], Path(made.gallery).parent
        steps = zip(*(given[step] for step in params.steps), strict=True)
        for (row, override), paths, picture in zip(params.videos, steps, given.thumbnails, strict=True):
            measured = [read_json(path) for path in paths]
            thumbnails = os.path.relpath(picture, page) if Path(picture).stat().st_size else None
            verdict = judge(measured, params.thresholds, override).to_dict()
            verdicts.append({**row, "thumbnails": thumbnails, **verdict})
        verdicts += [{**row, "thumbnails": None, **verdict} for row, verdict in params.unfetched]
        write_json(made.verdicts, verdicts)
        for path, text in ((made.summary, summary_tsv(verdicts)), (made.gallery, gallery_html(verdicts))):
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
        turned_away = [verdict for verdict in verdicts if kind_of(verdict) != "accepted"]
        for verdict in turned_away[:SAID]:
            log.info("%s/%s: %s", verdict["subject"], verdict["video"], in_words(verdict))
        if len(turned_away) > SAID:
            log.info("and %d more, see %s", len(turned_away) - SAID, made.summary)
        counts = Counter(map(kind_of, verdicts))
        log.info("%s", ", ".join(f"{counts[kind]} {title}" for kind, title in KINDS.items()))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
