"""Code blocks of README, CONTRIBUTING and docs run as written, on a small synthetic dataset.

A block that cannot run here has a comment with the reason before it: `<!-- not run: needs a GPU -->`. Where a command takes minutes,
the test runs less of it: `snakemake` commands are planned (dry runs), commands with the same configuration together; `handroll run`,
`generate` and `list` check their arguments only.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from handroll.config.pipeline import parse_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "sh", "yaml", "text"}
NOT_RUN = re.compile(r"<!-- not run: (\w.{7,}) -->")

SNAKEMAKE = """#!/bin/sh
printf '%s\\0' "$PWD" "$@" >> "$RECORD"
printf '\\n' >> "$RECORD"
"""

HANDROLL = """#!{python}
import argparse, sys

from handroll import cli

parse = argparse.ArgumentParser.parse_args


def check_only(parser, *arguments):
    parse(parser, *arguments)
    sys.exit(0)


if sys.argv[1] in ("run", "generate", "list"):
    argparse.ArgumentParser.parse_args = check_only
sys.exit(cli.main())
"""


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None


def blocks_of(page):
    """Code blocks of a page, also indented ones, in order."""
    lines, found, start = page.read_text(encoding="utf-8").splitlines(), [], None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        before = next((text for text in reversed(lines[:start]) if text.strip()), "")
        marker = NOT_RUN.fullmatch(before.strip())
        text = "\n".join(lines[start + 1 : number]) + "\n"
        name = str(page.relative_to(ROOT))
        found.append(Block(name, start + 1, lines[start].strip().removeprefix("```"), text, marker and marker[1]))
        start = None
    assert start is None, f"{page}: code block without an end"
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def to_run(language):
    return [block for block in BLOCKS if block.language == language and block.not_run is None]


def place(block):
    return f"{block.page}:{block.line}"


@pytest.fixture(scope="module")
def ground(tmp_path_factory, corpus):
    """A folder like a checkout after `make demo`: workflow, configuration and a small dataset."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("workflow", "config", "profiles", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("resources", "src"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(corpus / "shards", folder / "results" / "dataset")
    (folder / "mine").mkdir()
    sheet = (ROOT / "config" / "videos.tsv").read_text(encoding="utf-8")
    (folder / "mine" / "videos.tsv").write_text(sheet, encoding="utf-8")
    programs = folder / "bin"
    programs.mkdir()
    for name, text in (("snakemake", SNAKEMAKE), ("handroll", HANDROLL.format(python=sys.executable))):
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    for block in to_run("yaml"):
        (folder / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def environment(ground):
    path = os.pathsep.join((str(ground / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "RECORD": str(ground / "commands")}


def test_every_block_names_its_language_and_a_marker_stands_before_a_block():
    assert [place(block) for block in BLOCKS if block.language not in LANGUAGES] == []
    for page in PAGES:
        markers = len(re.findall("<!-- not run", page.read_text(encoding="utf-8")))
        name = str(page.relative_to(ROOT))
        inline = name == "CONTRIBUTING.md"  # explains the marker once
        assert markers - inline == sum(block.page == name and block.not_run is not None for block in BLOCKS), name
    assert len(to_run("sh")) >= 20 and len(to_run("python")) >= 5


@pytest.mark.parametrize("block", to_run("yaml"), ids=place)
def test_settings_are_valid(block):
    name, settings = block.text.splitlines()[0], yaml.safe_load(block.text)
    assert re.fullmatch(r"# [\w/.-]+\.yaml", name), "the first line of a settings file names it"
    parse_config(settings)


@pytest.mark.parametrize("block", to_run("python"), ids=place)
def test_python_runs(block, ground, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(ground)
    exec(compile(block.text, place(block), "exec"), {"__name__": "__main__"})


def test_shell_commands_run_and_workflow_commands_can_be_planned(ground, environment):
    written = {}
    for block in to_run("sh"):
        (ground / "commands").write_bytes(b"")
        done = subprocess.run(["bash", "-euc", block.text], cwd=ground, env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{place(block)}\n{block.text}\n{done.stdout}{done.stderr}"
        for line in (ground / "commands").read_text(encoding="utf-8").split("\0\n")[:-1]:
            written.setdefault(tuple(line.lstrip("\n").split("\0")), place(block))
    assert len(written) >= 15
    plans = defaultdict(list)
    for command, where in written.items():
        plans[settings_of(command, where)].append((command, where))
    for settings, commands in plans.items():
        assert_planned(settings, commands, ground, environment)


def settings_of(command, where):
    """What commands share that are planned together, as options and values; their targets and forced rules may differ."""
    folder, *arguments = command
    options = parsed(arguments, where)
    shared = {"--directory": [folder], "--configfile": options.configfile, "--config": config_values(arguments), "--until": options.until}
    return tuple((option, tuple(map(str, values))) for option, values in shared.items() if values)


def assert_planned(settings, commands, ground, environment):
    """Plan the targets of all commands in one dry run."""
    options = [parsed(command[1:], where) for command, where in commands]
    targets = dict.fromkeys(target for option in options for target in option.targets or ["all"])
    forced = dict.fromkeys(str(rule) for option in options for rule in option.forcerun or ())
    arguments = ["--dry-run", "--cores", "1"]
    for option, values in (*settings, ("--forcerun", forced)):
        arguments += [option, *values] if values else []
    command = [sys.executable, "-m", "snakemake", *arguments, "--", *targets]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=ground, env=environment, check=False, **streams)
    written = "\n".join(f"{where}: snakemake {shlex.join(command[1:])}" for command, where in commands)
    assert done.returncode == 0, f"{written}\n{shlex.join(command)}\n{done.stdout[-3000:]}"


def parsed(arguments, where):
    """Options of a `snakemake` command, by Snakemake's own parser."""
    from snakemake.cli import get_argument_parser

    try:
        return get_argument_parser().parse_args(list(arguments))
    except SystemExit:
        raise AssertionError(f"{where}: snakemake {shlex.join(arguments)}: wrong options") from None


def config_values(arguments):
    """The values of `--config`, as written."""
    values = arguments[arguments.index("--config") + 1 :] if "--config" in arguments else []
    return values[: next((number for number, value in enumerate(values) if value.startswith("--")), len(values))]
