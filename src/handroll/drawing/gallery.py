"""Gallery of screened videos: an HTML page with thumbnails, verdicts and scores next to thresholds, for the review of the verdicts."""

import jinja2

from handroll.reasons import Reason
from handroll.screening.criteria import CRITERIA
from handroll.screening.verdict import KINDS, kind_of

_PAGE = """\
{% macro scores(criteria) %}
{% if criteria %}
<dl>
{% for criterion in criteria %}
<div{% if not criterion.passed %} class="failed" title="expected: {{ meanings[criterion.criterion] }}"{% endif %}>
<dt>{{ criterion.criterion }}</dt><dd>{{ listed(criterion.scores) }} <i>({{ listed(criterion.thresholds) }})</i></dd></div>
{% endfor %}
</dl>
{% endif %}
{% endmacro %}
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Screened videos</title>
<style>
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
</style></head><body>
<h1>Screened videos</h1>
<p>{{ verdicts | length }} videos: {{ counts }}. To overrule a verdict, write accept or reject into the column <code>override</code> of the
video's row in the sheet, and run again.</p>
<nav><input id="text" type="search" placeholder="search" aria-label="search">
<select id="verdict" aria-label="verdict"><option value="">all verdicts</option>
{% for kind, title in kinds.items() %}
<option value="{{ kind }}">{{ title }}</option>
{% endfor %}
</select>
<select id="reason" aria-label="reason"><option value="">all reasons</option>
{% for reason in reasons %}
<option value="{{ reason }}">{{ reason }}</option>
{% endfor %}
</select>
<span id="shown"></span></nav>
{% for verdict in verdicts %}
<article class="{{ kind_of(verdict) }}" data-reasons="{{ verdict.reasons | join(" ") }}">
<h2>{% if verdict.title %}{{ verdict.title }} {% endif %}<code>{{ verdict.subject }}/{{ verdict.video }}</code>
<small>{{ kinds[kind_of(verdict)] }}{% if verdict.override %}, {{ verdict.override }}ed by hand{% endif %}
{% if verdict.source.startswith(("http://", "https://")) %}
 <a href="{{ verdict.source }}" rel="noreferrer">source</a>
{% endif %}
</small></h2>
{% if verdict.thumbnails %}
<img loading="lazy" alt="" src="{{ verdict.thumbnails | urlencode }}">
{% endif %}
{% if verdict.reasons %}
<ul>
{% for reason in verdict.reasons %}
<li><code>{{ reason }}</code>{{ " " }}
{#- Names of settings are between backticks. #}
{% for part in sentence(reason).split("`") %}
{% if loop.index is even %}<code>{{ part }}</code>{% else %}{{ part }}{% endif %}
{%- endfor %}
</li>
{% endfor %}
</ul>
{% endif %}
{{ scores(verdict.criteria | rejectattr("passed") | list) }}
<details><summary>all scores</summary>
{{ scores(verdict.criteria) }}
</details></article>
{% endfor %}
<script>
const shown = document.querySelector('#shown'), verdict = document.querySelector('#verdict');
const reason = document.querySelector('#reason'), text = document.querySelector('#text');
const articles = [...document.querySelectorAll('article')];
function show() {
  let count = 0;
  for (const article of articles) {
    const matches = (!verdict.value || article.className === verdict.value)
      && (!reason.value || article.dataset.reasons.split(' ').includes(reason.value))
      && article.textContent.toLowerCase().includes(text.value.toLowerCase());
    article.hidden = !matches;
    count += matches;
  }
  shown.textContent = `${count} of ${articles.length} shown`;
}
for (const control of [verdict, reason, text]) control.addEventListener('input', show);
show();
</script></body></html>
"""


def gallery_html(verdicts):
    """Return the gallery as an HTML page.

    Parameters
    ----------
    verdicts : list of dict
        `screening.verdict.Verdict.to_dict` of each video, with these keys added: `subject`, `video`, `source`; `title` or None;
        `thumbnails`, the path of an image relative to the page, or None.

    Returns
    -------
    str
        HTML that needs no files except the thumbnails. All text from the sheet of videos is escaped.
    """
    counts = {name: sum(kind_of(verdict) == name for verdict in verdicts) for name in KINDS}
    template = jinja2.Template(_PAGE, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return template.render(
        verdicts=verdicts,
        counts=", ".join(f"{counts[name]} {title}" for name, title in KINDS.items()),
        reasons=sorted({reason for verdict in verdicts for reason in verdict["reasons"]}),
        kinds=KINDS,
        meanings={name: criterion.meaning for name, criterion in CRITERIA.items()},
        kind_of=kind_of,
        sentence=lambda reason: Reason(reason).sentence,
        listed=_format_values,
    )


def _format_values(values):
    """Format named values on one line."""
    return ", ".join(f"{name} {_format_value(value)}" for name, value in values.items())


def _format_value(value):
    """Format a value for readers: yes or no, four significant digits, "not known" for None."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not known"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
