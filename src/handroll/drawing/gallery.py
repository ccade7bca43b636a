"""A page of all videos with thumbnails, verdicts and scores beside thresholds, so that a person can check the machine quickly."""

import re
from html import escape
from urllib.parse import quote

from handroll.reasons import Reason
from handroll.screening.verdict import KINDS, kind_of

_STYLE = """
:root { color-scheme: dark; }
body { margin: 0 auto; max-width: 1180px; padding: 20px; font: 15px/1.45 system-ui, sans-serif; background: #0e1117; color: #f0f2f5; }
h1 { font-size: 22px; margin: 0 0 4px; } p { color: #969ca6; margin: 4px 0 14px; }
nav { position: sticky; top: 0; z-index: 1; display: flex; gap: 10px; flex-wrap: wrap; padding: 10px 0; background: #0e1117; }
nav input, nav select { font: inherit; color: inherit; background: #1a1f29; border: 1px solid #333b49; border-radius: 6px; }
nav input, nav select { padding: 6px 9px; }
nav input { flex: 1; min-width: 180px; }
article { background: #161b24; border-left: 5px solid #56d67e; border-radius: 6px; padding: 12px 16px; margin: 12px 0; }
article.rejected { border-color: #dc5a5a; } article.motion { border-color: #facc48; } article[hidden] { display: none; }
h2 { font-size: 16px; margin: 0; overflow-wrap: anywhere; } h2 small { color: #969ca6; font-weight: normal; margin-left: 8px; }
img { display: block; width: 100%; max-width: 1120px; border-radius: 4px; margin: 10px 0; background: #000; }
h2 code { font-weight: normal; } ul { margin: 6px 0; padding-left: 20px; color: #ff9d9d; } code { color: #cdd6e4; }
dl { display: flex; flex-wrap: wrap; gap: 6px 8px; margin: 8px 0 0; }
dl div { background: #1f2632; border-radius: 5px; padding: 3px 9px; font-size: 13px; } dl div.failed { background: #4a2228; }
dt { display: inline; color: #969ca6; } dd { display: inline; margin: 0 0 0 6px; } dd i { color: #969ca6; font-style: normal; }
a { color: #8ab4ff; } summary { color: #969ca6; cursor: pointer; font-size: 13px; margin-top: 8px; }
"""

_SCRIPT = """
const shown = document.querySelector('#shown'), verdict = document.querySelector('#verdict');
const reason = document.querySelector('#reason'), text = document.querySelector('#text');
const articles = [...document.querySelectorAll('article')];
function show() {
  let count = 0;
  for (const one of articles) {
    const fits = (!verdict.value || one.className === verdict.value)
      && (!reason.value || one.dataset.reasons.split(' ').includes(reason.value))
      && one.textContent.toLowerCase().includes(text.value.toLowerCase());
    one.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${articles.length} shown`;
}
for (const control of [verdict, reason, text]) control.addEventListener('input', show);
show();
"""


def gallery_html(verdicts):
    """The page.

    Parameters
    ----------
    verdicts : list of dict
        `screening.verdict.Verdict.to_dict()` of each video with `subject`, `video`, `title`, `source` and `thumbnails` beside: the last
        is the path of a picture relative to the page; it and the title may be None.

    Returns
    -------
    str
        HTML that needs nothing else but the thumbnails; all text from outside is escaped.
    """
    counts = {name: sum(kind_of(verdict) == name for verdict in verdicts) for name in KINDS}
    reasons = sorted({reason for verdict in verdicts for reason in verdict["reasons"]})
    total = ", ".join(f"{counts[name]} {title}" for name, title in KINDS.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Screened videos</title>
<style>{_STYLE}</style></head><body>
<h1>Screened videos</h1>
<p>{len(verdicts)} videos: {total}. To overrule a verdict, write accept or reject into the column <code>override</code> of the video's
row in the sheet, and run again.</p>
<nav><input id="text" type="search" placeholder="search" aria-label="search">
<select id="verdict" aria-label="verdict"><option value="">all verdicts</option>{_options(KINDS)}</select>
<select id="reason" aria-label="reason"><option value="">all reasons</option>{_options({name: name for name in reasons})}</select>
<span id="shown"></span></nav>
{"".join(map(_article, verdicts))}
<script>{_SCRIPT}</script></body></html>
"""


def _options(titles):
    return "".join(f'<option value="{escape(value)}">{escape(title)}</option>' for value, title in titles.items())


def _article(verdict):
    name, source = f"{verdict['subject']}/{verdict['video']}", verdict["source"]
    link = f' <a href="{escape(source)}" rel="noreferrer">source</a>' if source.startswith(("http://", "https://")) else ""
    title = f"{escape(verdict['title'])} " if verdict["title"] else ""
    by_hand = f", {verdict['override']}ed by hand" if verdict["override"] else ""
    picture = f'<img loading="lazy" alt="" src="{escape(quote(verdict["thumbnails"]))}">' if verdict["thumbnails"] else ""
    why = "".join(f"<li><code>{escape(reason)}</code> {_sentence(reason)}</li>" for reason in verdict["reasons"])
    heading = f"{title}<code>{escape(name)}</code><small>{KINDS[kind_of(verdict)]}{by_hand}{link}</small>"
    return f"""<article class="{kind_of(verdict)}" data-reasons="{escape(" ".join(verdict["reasons"]))}">
<h2>{heading}</h2>{picture}{f"<ul>{why}</ul>" if why else ""}
{_scores([c for c in verdict["criteria"] if not c["passed"]])}
<details><summary>all scores</summary>{_scores(verdict["criteria"])}</details></article>
"""


def _sentence(reason):
    """A reason in words as HTML; names of settings, in backticks, as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(Reason(reason).sentence))


def _scores(criteria):
    return f"<dl>{''.join(map(_criterion, criteria))}</dl>" if criteria else ""


def _criterion(criterion):
    scores = ", ".join(f"{name} {_plain(value)}" for name, value in criterion["scores"].items())
    limits = ", ".join(f"{name} {_plain(value)}" for name, value in criterion["thresholds"].items())
    state = "" if criterion["passed"] else ' class="failed"'
    return f"<div{state}><dt>{escape(criterion['criterion'])}</dt><dd>{escape(scores)} <i>({escape(limits)})</i></dd></div>"


def _plain(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not known"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
