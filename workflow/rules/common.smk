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

# Conda environment of jobs with a neural network, relative to the rule files.
NETWORKS_ENV = "../../envs/gpu.yaml" if GPUS else "../../envs/base.yaml"

# Thresholds of the screening: section `screening` of the configuration, as nested dicts.
THRESHOLDS = CONFIG.screening.model_dump()

# Verdict on each video from the sheet and the takedown list. If it rejects a video, the video is never fetched: it has
# no jobs, only a row in the summary.
LISTED = {
    name: judge([measure_listing(row, name in TAKEN_DOWN)], THRESHOLDS, row.override) for name, row in SHEET.items()
}
VIDEOS = {name: row for name, row in SHEET.items() if LISTED[name].usable_for_motion}

# Every video that can have a job.
ROWS = SHEET | EVALUATED

# Folder of the scripts of the rules.
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
    """For inputs: those of the paths that are files. A job that needs a missing file fails with a message that names the file's source."""
    return [path for path in paths if Path(path).is_file()]


def row_of(wildcards):
    """Return the row of the sheet for the video of a job."""
    return ROWS[wildcards.subject, wildcards.video]


def row_value(column):
    """For `params`: a value of the job's row of the sheet."""
    return lambda wildcards: getattr(row_of(wildcards), column)


def identity(column):
    """For `params`: identity of a file in the sheet: size and time of the file, its URL, or the name of a missing file.

    A different file reruns jobs. A different spelling of its path or a different project folder does not.
    """

    def version(wildcards):
        value = getattr(row_of(wildcards), column)
        if value is None or is_url(value) or tuple(wildcards) in SIMULATED:
            return value
        return file_identity(value) or source_name(value)

    return version


def path_of(column):
    """For `params`, next to `identity`: the path or URL.

    A change of the path alone reruns nothing, because Snakemake does not compare params that are functions of `input`.
    """
    return lambda wildcards, input: getattr(row_of(wildcards), column)


def measured_of(wildcards, *steps):
    """Return the values that steps measured in a job's video. Steps that have not run yet are left out."""
    try:
        return read_measured(wildcards.subject, wildcards.video, steps)
    except SchemaError as error:
        raise WorkflowError(str(error)) from None


def rejected(*steps, purpose="motion"):
    """For `params`: names of the reasons that reject a video for a purpose ("motion" or "dataset"); empty if it is usable.

    The reasons follow from the values that the given steps measured. All these steps must be upstream of the rule. A
    job with reasons writes empty outputs. A changed verdict reruns only the jobs of its video. Every rule with this
    param needs a `message`: without one, Snakemake does not evaluate params again on a cluster before a job starts.
    """

    def reasons(wildcards):
        measured = measured_of(wildcards, *steps)
        return judge(measured, THRESHOLDS, row_of(wildcards).override).rejection(purpose)

    return reasons


def grows(base, per_hour=0):
    """For `resources`: a fixed amount plus an amount per hour of video, both multiplied by the number of the attempt."""
    return lambda wildcards, attempt: request(base, per_hour, per_hour and hours_of(wildcards), attempt)


def hours_of(wildcards):
    """Return the length (h) of a job's video."""
    return video_hours(next(iter(measured_of(wildcards, "probe")), None), row_of(wildcards).duration_s)
