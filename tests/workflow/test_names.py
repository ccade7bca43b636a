"""Names in the workflow: a rule, its script and its heading in the page of all rules have one name; no name hides one of Snakemake's."""

import re
from pathlib import Path

import snakemake.api
import snakemake.io
import snakemake.ioutils
import snakemake.workflow

ROOT = Path(__file__).parents[2]
registered = {}
snakemake.ioutils.register_in_globals(registered)
# Read when pytest collects the tests: a workflow that runs in this process adds its own names to these modules.
SNAKEMAKES = {*registered, *vars(snakemake.io), *vars(snakemake.workflow)}


def test_every_rule_has_its_script_and_its_heading():
    rules = [
        name for file in (ROOT / "workflow/rules").glob("*.smk") for name in re.findall(r"^rule (\w+):", file.read_text(), re.MULTILINE)
    ]
    scripts = [script.stem for script in (ROOT / "workflow/scripts").glob("*.py")]
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/rules.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rules) == sorted(scripts) == sorted(headings)


def test_no_name_of_the_workflow_hides_one_of_snakemake():
    own = set()
    for path in (ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        own |= set(re.findall(r"^(?:def |class )?(\w+)(?:\(.*\):| = |:$)", text, re.MULTILINE)) - {"all"}
        for names in re.findall(r"^from handroll\S* import (\([^)]*\)|.+)$", text, re.MULTILINE):
            own |= {name.split(" as ")[-1].strip() for name in names.strip("()").split(",")} - {""}
    assert {"cfg", "rejected", "METHODS", "existing_files", "select", "is_tuned"} <= own
    assert own & SNAKEMAKES == set()
