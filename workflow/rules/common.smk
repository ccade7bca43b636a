# For all phases: the checked configuration, the sheet, and helpers for `params` and paths.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from handroll.config import ConfigError, is_url, lookup, parse_config, read_sheet
from handroll.provenance import code_hash, module_version

try:
    CONFIG = parse_config(config)
    VIDEOS = {(row.subject, row.video): row for row in read_sheet(CONFIG.sheet)}
except ConfigError as error:
    raise WorkflowError(str(error)) from None

if not VIDEOS:
    raise WorkflowError(f"sheet {CONFIG.sheet}: expected at least one video below the header, found none")


wildcard_constraints:
    subject=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    video=r"[A-Za-z0-9][A-Za-z0-9_.-]*",


def cfg(**keys):
    """Selected configuration values for `params`: one dict, name of the library's argument to value, in fixed order."""
    return {name: lookup(CONFIG, keys[name]) for name in sorted(keys)}


def code_of(script):
    """For `params`: a hash of what a script and the handroll modules it imports mean; see docs/rerun.md."""
    return code_hash(Path(workflow.basedir) / "workflow" / "scripts" / script)


def version_of(module):
    """For `params` of steps too costly to rerun for a refactoring: the hand-raised VERSION of their library module."""
    return module_version(module)


def per_video(pattern):
    """One path a video of the sheet, in its order."""
    return [pattern.format(subject=subject, video=video) for subject, video in VIDEOS]


def row_of(wildcards):
    """The sheet's row of a job."""
    return VIDEOS[wildcards.subject, wildcards.video]


def local_file(path):
    """An input that is absent when the path is, so that a file that appears later makes its job run again."""
    return [path] if path and not is_url(path) and Path(path).is_file() else []
