# Shared by all files of rules: the checked configuration, the sheet, and helpers for paths, params and resources.
import os
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from handroll.acquire.takedown import read_takedown, taken_down_names
from handroll.config.pipeline import ConfigError, parse_config
from handroll.config.resources import request, video_hours
from handroll.config.selection import select
from handroll.config.sheet import SheetError, is_url, read_sheet, source_name
from handroll.evaluation.videos import distinct_rows, simulated_rows
from handroll.provenance import code_hash, file_identity, module_versions
from handroll.screening.listing import measure_listing
from handroll.screening.verdict import MEASURED, judge, read_measured
from handroll.storage import SchemaError

try:
    CONFIG = parse_config(config)
    SHEET = {(row.subject, row.video): row for row in read_sheet(CONFIG.sheet)}
    TAKEN_DOWN = taken_down_names(read_takedown(CONFIG.acquire.takedown), SHEET.values())
    SIMULATED = simulated_rows(CONFIG.evaluation)
    recordings = read_sheet(CONFIG.evaluation.recordings) if CONFIG.evaluation.recordings else []
    RECORDINGS = {(row.subject, row.video): row for row in recordings}
    # Videos of the target `evaluation`. They are in no dataset and in no other target.
    EVALUATED = distinct_rows(SHEET, RECORDINGS, SIMULATED)
except (ConfigError, SheetError) as error:
    raise WorkflowError(str(error)) from None
if not SHEET:
    raise WorkflowError(f"sheet {CONFIG.sheet}: expected at least one video below the header, found none")

# GPUs that a job with a neural network requests. Profiles limit how many such jobs run at a time.
GPUS = int(CONFIG.device == "cuda")
# Conda environment of these jobs, relative to the rule files.
NETWORKS_ENV = "../../envs/gpu.yaml" if GPUS else "../../envs/base.yaml"
THRESHOLDS = CONFIG.screening.model_dump()
# A video that the sheet or the takedown list rejects is never fetched. It has no jobs, only a row in the summary.
LISTED = {
    name: judge([measure_listing(row, name in TAKEN_DOWN)], THRESHOLDS, row.override) for name, row in SHEET.items()
}
VIDEOS = {name: row for name, row in SHEET.items() if LISTED[name].usable_for_motion}
# Every video that can have a job.
ROWS = SHEET | EVALUATED
SCRIPTS = Path(workflow.basedir, "workflow", "scripts")


wildcard_constraints:
    subject=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    video=r"[A-Za-z0-9][A-Za-z0-9_.-]*",


def cfg(*keys, without=(), **renamed):
    """For `params`: configuration values as one dict in fixed order; see `handroll.config.selection.select`."""
    return select(CONFIG, *keys, without=without, **renamed)


def code_of(script, *chosen):
    """For `params`: hash of the code of a script and of all handroll modules that it runs.

    `chosen` are the modules, without "handroll.", that the script imports by a configured name, such as engines.
    """
    return code_hash(SCRIPTS / script, [f"handroll.{module}" for module in chosen])


@cache
def versions_of(script, *modules):
    """For `params` of rules that are too costly to rerun after a refactoring: the VERSION numbers of these modules."""
    return module_versions(SCRIPTS / script, [f"handroll.{module}" for module in modules])


def per_video(*patterns):
    """For inputs: the path of each pattern for every video of the sheet, in the order of the sheet.

    The result is a function, because the planning time of a list grows with the square of its length.
    """
    paths = [pattern.format(subject=subject, video=video) for subject, video in VIDEOS for pattern in patterns]
    return lambda wildcards: paths


def existing_files(*paths):
    """For inputs: those of these files that exist. A job that needs a missing one fails and says where to get it."""
    return [path for path in paths if Path(path).is_file()]


def row_of(wildcards):
    """Row of the sheet for the video of a job."""
    return ROWS[wildcards.subject, wildcards.video]


def row_value(column):
    """For `params`: a value of the job's row of the sheet."""
    return lambda wildcards: getattr(row_of(wildcards), column)


def identity(column):
    """For `params`: identity of the file in a column of the sheet: its size and time, or the URL, or the name if it is missing.

    Another spelling of the path or another project folder reruns nothing. Another file does.
    """

    def version(wildcards):
        value = getattr(row_of(wildcards), column)
        if value is None or is_url(value) or tuple(wildcards) in SIMULATED:
            return value
        return file_identity(value) or source_name(value)

    return version


def path_of(column):
    """For `params`, next to `identity`: the path or URL itself. Snakemake does not compare functions of `input`."""
    return lambda wildcards, input: getattr(row_of(wildcards), column)


def measured_of(wildcards, *steps):
    """Values that these steps measured of a job's video; steps that have not run yet are left out."""
    try:
        return read_measured(wildcards.subject, wildcards.video, steps)
    except SchemaError as error:
        raise WorkflowError(str(error)) from None


def rejected(*steps, purpose="motion"):
    """For `params`: names of the reasons that reject a video for a purpose ("motion" or "dataset"); empty if it is usable.

    The reasons come from what the given steps measured, which must all be upstream of the rule. A job with reasons writes empty
    outputs. A changed verdict reruns the jobs of its video only. Snakemake evaluates params again before a job starts, but on a
    cluster only for rules with a `message`: every rule with this param needs one.
    """

    def reasons(wildcards):
        measured = measured_of(wildcards, *steps)
        return judge(measured, THRESHOLDS, row_of(wildcards).override).rejection(purpose)

    return reasons


def grows(base, per_hour=0):
    """For `resources`: an amount for any video plus an amount for each hour of video, multiplied by the attempt."""
    return lambda wildcards, attempt: request(base, per_hour, per_hour and hours_of(wildcards), attempt)


def hours_of(wildcards):
    """Length (h) of a job's video."""
    return video_hours(next(iter(measured_of(wildcards, "probe")), None), row_of(wildcards).duration_s)
