"""A rule, its script and its heading in the page of all rules bear one name."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_rule_has_its_script_and_its_heading():
    rules = [
        name for file in (ROOT / "workflow/rules").glob("*.smk") for name in re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE)
    ]
    scripts = [script.stem for script in (ROOT / "workflow/scripts").glob("*.py")]
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/rules.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rules) == sorted(scripts) == sorted(headings)
