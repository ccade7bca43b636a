"""Pages of the documentation agree with the code: names of pages, rules, packages, options, reasons and dependencies."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from handroll.reasons import Reason
from handroll.screening.reason_docs import with_reasons

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(DOCS)): page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md"))}
PACKAGES = sorted(path.parent.name for path in (ROOT / "src" / "handroll").glob("*/__init__.py"))


def navigation(entries):
    """Paths of all pages below an entry of `nav`."""
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            yield from navigation(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation_and_opens_with_a_title():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(navigation(site["nav"])) == sorted(PAGES)
    assert all(re.match(r"(<!--.*?-->\s*)?# \S", text, re.DOTALL) for text in PAGES.values())


def test_the_index_links_every_page_but_those_of_the_api():
    links = set(re.findall(r"\]\(([\w/.-]+\.md)", PAGES["index.md"]))
    assert links == {name for name in PAGES if name != "index.md" and (not name.startswith("api/") or name == "api/index.md")}


def test_links_of_readme_and_contributing_lead_to_files():
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert target.startswith("https://") or (ROOT / target).is_file(), f"{name}: {target}"
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 100


def test_pages_that_code_and_settings_mention_exist():
    folders = ("src", "config", "workflow", "profiles", "envs", "evaluation", "resources", "tests")
    files = [ROOT / "Snakefile", ROOT / "Makefile"] + [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml", ".smk", ".md", ".tsv")
    ]
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|json|svg|png)", path.read_text(encoding="utf-8"))
        if not (ROOT / name).is_file()
    }
    assert missing == set()


def test_every_package_has_a_page_of_the_api_and_a_row_in_the_architecture():
    assert [name for name in PACKAGES if f"::: handroll.{name}\n" not in PAGES.get(f"api/{name}.md", "")] == []
    assert [name for name in PACKAGES if f"| `{name}` |" not in PAGES["architecture.md"]] == []
    modules = {path.stem for path in (ROOT / "src" / "handroll").glob("*.py")} - {"__init__", "cli"}
    assert set(re.findall(r"::: handroll\.(\w+)", PAGES["api/root.md"])) == modules
    assert all(f"`{name}`" in PAGES["architecture.md"] for name in modules)


def test_the_picture_of_the_pipeline_names_rules_that_exist():
    rules = set(re.findall(r"^### (\w+)$", PAGES["rules.md"], re.MULTILINE))
    drawn = set(re.findall(r">([a-z]+_[a-z]+)<", (DOCS / "images" / "pipeline.svg").read_text(encoding="utf-8")))
    assert len(drawn) > 20 and drawn <= rules


def test_troubleshooting_has_every_rejection_reason():
    assert with_reasons(PAGES["troubleshooting.md"]) == PAGES["troubleshooting.md"], (
        "run: python -m handroll.screening.reason_docs docs/troubleshooting.md"
    )
    assert all(f"| `{reason}` |" in PAGES["troubleshooting.md"] for reason in Reason)
    with pytest.raises(ValueError, match="expected the lines"):
        with_reasons("no such lines")


@pytest.mark.parametrize("command", ["run", "generate", "list", "takedown", "doctor"])
def test_every_option_of_a_command_is_on_its_page(command):
    done = subprocess.run([sys.executable, "-m", "handroll.cli", command, "--help"], check=True, capture_output=True, text=True)
    section = PAGES["cli.md"].split(f"## handroll {command}\n")[1].split("\n## ")[0]
    options = set(re.findall(r"^  (--[\w-]+)", done.stdout, re.MULTILINE)) - {"--help"}
    assert options and options == set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE))


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    packages = {re.split(r"[=<>\[ ]", package)[0] for each in lists for package in each} - {"handroll"}
    named = {name for row in re.findall(r"^\| ([\w, -]+) \|", PAGES["dependencies.md"], re.MULTILINE) for name in row.split(", ")}
    assert packages == named - {"package"}


def test_measurements_has_every_script_of_the_evaluation():
    scripts = [path.name for path in (ROOT / "evaluation").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert scripts and [name for name in scripts if f"python evaluation/{name}" not in PAGES["measurements.md"]] == []
