# For all phases: the checked configuration, the sheet, and helpers for `params` and paths.
import gc
import inspect
import os
import re
from functools import lru_cache
from math import ceil
from pathlib import Path

import smart_open
import snakemake.script
from snakemake.exceptions import WorkflowError

from handroll.acquire.takedown import read_takedown, taken_down_names
from handroll.config.pipeline import ConfigError, lookup, parse_config
from handroll.evaluation.videos import distinct_rows, simulated_rows
from handroll.provenance import code_hash, file_identity, module_versions
from handroll.storage import SchemaError, read_json
from handroll.screening.listing import measure_listing
from handroll.screening.verdict import MEASURED, judge
from handroll.config.sheet import SheetError, is_url, read_sheet, source_name

try:
    CONFIG = parse_config(config)
    SHEET = {(row.subject, row.video): row for row in read_sheet(CONFIG.sheet)}
    TAKEN_DOWN = taken_down_names(read_takedown(CONFIG.acquire.takedown), SHEET.values())
    SIMULATED = simulated_rows(CONFIG.evaluation)
    RECORDINGS = (
        {(row.subject, row.video): row for row in read_sheet(CONFIG.evaluation.recordings)}
        if CONFIG.evaluation.recordings
        else {}
    )
    # What `evaluation` runs the rules on, beside the sheet: in no dataset, table or target but its own.
    EVALUATED = distinct_rows(SHEET, RECORDINGS, SIMULATED)
except (ConfigError, SheetError) as error:
    raise WorkflowError(str(error)) from None

# A plan is millions of objects that all stay: searching them for garbage, again and again while they become more, finds nothing
# and is a fifth of the time that planning takes. What is young is still searched, and a thousand times less often what is old.
gc.set_threshold(*gc.get_threshold()[:2], 10_000)

if not SHEET:
    raise WorkflowError(f"sheet {CONFIG.sheet}: expected at least one video below the header, found none")

# GPUs that a job of a rule that runs networks takes; profiles say how many jobs may have one at a time.
GPUS = int(CONFIG.device == "cuda")
# Their environment, relative to the files of rules.
NETWORKS_ENV = "../../envs/gpu.yaml" if GPUS else "../../envs/base.yaml"

THRESHOLDS = CONFIG.screening.model_dump()

# A video that its listing, a person or the takedown list rejects is never fetched: it has no jobs, only a line in the summary.
LISTED = {
    name: judge([measure_listing(row, name in TAKEN_DOWN)], THRESHOLDS, row.override) for name, row in SHEET.items()
}
VIDEOS = {name: row for name, row in SHEET.items() if LISTED[name].usable_for_motion}
# Every video that a job may be about.
ROWS = SHEET | EVALUATED


def once_a_path(get_source):
    """Snakemake's function for the source of a job's script, which now answers once a path instead of once a job.

    It took a twelfth of the time that planning takes. The answer for a path without wildcards does not change while the process
    lives: Snakemake reads the copy that it made when it was first asked.
    """
    kept = lru_cache(maxsize=None)(get_source)

    def answer(path, sourcecache, basedir=None, wildcards=None, params=None):
        if isinstance(path, str) and "{" not in path:
            return kept(path, sourcecache, basedir)
        return get_source(path, sourcecache, basedir, wildcards, params)

    return answer


snakemake.script.get_source = once_a_path(snakemake.script.get_source)
# It then asks where its copy of the script lies, and takes the address apart each time: a tenth of the time that planning takes.
smart_open.parse_uri = lru_cache(maxsize=None)(smart_open.parse_uri)


wildcard_constraints:
    subject=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    video=r"[A-Za-z0-9][A-Za-z0-9_.-]*",


def cfg(**keys):
    """Selected configuration values for `params`: one dict, name of the library's argument to value, in fixed order."""
    return {name: lookup(CONFIG, keys[name]) for name in sorted(keys)}


def code_of(script, *chosen):
    """For `params`: a hash of what a script and the handroll modules that it runs mean; see docs/rerun.md.

    Those that are imported by name, such as engines, are named as `chosen`, without "handroll.".
    """
    return code_hash(script_path(script), [f"handroll.{module}" for module in chosen])


@lru_cache(maxsize=None)
def versions_of(script, *modules):
    """For `params` of steps too costly to rerun for a refactoring: the hand-raised VERSIONs of all that their script runs."""
    return module_versions(script_path(script), [f"handroll.{module}" for module in modules])


def script_path(script):
    """Path of a rule's script."""
    return Path(workflow.basedir) / "workflow" / "scripts" / script


def shown(row):
    """What a verdict tells of its row of the sheet."""
    return {"subject": row.subject, "video": row.video, "title": row.title, "source": source_name(row.source)}


def per_video(*patterns):
    """For inputs: the path of each pattern for every video of the sheet, in its order.

    A function, since planning takes time with the square of the length of a plain list.
    """
    paths = [pattern.format(subject=subject, video=video) for subject, video in VIDEOS for pattern in patterns]
    return lambda wildcards: paths


def drawn_before(pattern):
    """For the input of `all`: the overlays of those videos that have a folder of overlays, so that none is left behind a change.

    The folder counts, not the file: it outlives a job that fails.
    """
    paths = per_video(pattern)
    return lambda wildcards: [path for path in paths(wildcards) if os.path.isdir(os.path.dirname(path))]


# The steps of a video in the order in which the data flow.
STEPS = [
    "fetch_video",
    "probe_video",
    "extract_audio",
    "survey_video",
    "find_segments",
    "measure_audio",
    "detect_hands",
    "measure_visibility",
    "transcribe_audio",
    "check_midi",
    "register_keyboard",
    "fit_pose",
    "label_fingering",
    "refine_pose",
    "clean_motion",
    "cut_clips",
]


def steps_to(last):
    """For the inputs of targets: a file of every step of every video, up to the one named.

    Snakemake makes a missing file only if a target asks for it or a job that runs anyway. Else a job that fails after a change, which
    takes its files away, would not be tried again: what was made before the change would pass for up to date.
    """
    return per_video(*(getattr(rules, step).output[0] for step in STEPS[: STEPS.index(last) + 1]))


@lru_cache(maxsize=None)
def values_of(path, _mtime_ns):
    """The values of a JSON file, read once for each time it was written."""
    try:
        return read_json(path)
    except SchemaError as error:
        raise WorkflowError(str(error)) from None


def verdict_of(subject, video, *steps):
    """The verdict on a video by what these steps measured; those that have not run yet do not count."""
    paths = (MEASURED[step].format(subject=subject, video=video) for step in steps)
    # Asked a dozen times a video: `Path` would take twice as long.
    measured = [values_of(path, os.stat(path).st_mtime_ns) for path in paths if os.path.exists(path)]
    return judge(measured, THRESHOLDS, ROWS[subject, video].override)


def asked_often(function):
    """A function for inputs, params or resources, with its signature, which Snakemake else works out anew at each of a job's calls."""
    function.__signature__ = inspect.signature(function)
    return function


def rejected(*steps, reasons_of="motion"):
    """For `params`: names of the reasons against a video, by what these steps measured; all must be above the rule.

    "motion": none where its motion is of use; "dataset": none where it can give clips. A rule does nothing for a video that has
    any. Being a param, a verdict that changes makes the jobs of its video run again, and no others. Snakemake asks again when
    the job is about to start, so the measurements are those of this run; but on a cluster it does so only for rules that have a
    `message`, so every rule with this param has one.
    """

    @asked_often
    def reasons(wildcards):
        verdict = verdict_of(wildcards.subject, wildcards.video, *steps)
        usable = verdict.usable_for_dataset if reasons_of == "dataset" else verdict.usable_for_motion
        return [] if usable else [str(reason) for reason in verdict.reasons]

    return reasons


def row_of(wildcards):
    """The sheet's row of a job."""
    return ROWS[wildcards.subject, wildcards.video]


def of_row(column):
    """For `params`: a value of a job's row of the sheet."""
    return asked_often(lambda wildcards: getattr(row_of(wildcards), column))


def hours_of(wildcards):
    """Length (h) of a job's video: by its probe, before that by its listing; an hour where neither tells."""
    path = Path(MEASURED["probe"].format(subject=wildcards.subject, video=wildcards.video))
    probed = values_of(path, path.stat().st_mtime_ns).get("duration_s") if path.exists() else None
    return (probed or row_of(wildcards).duration_s or 3600.0) / 3600.0


def grows(least, an_hour=0):
    """For `resources`: so much for any video and so much for an hour of one; with each attempt as much again."""
    return asked_often(lambda wildcards, attempt: attempt * ceil(least + (an_hour and an_hour * hours_of(wildcards))))


def weights(*paths):
    """For inputs: those of these files that are there, so that others under the same name make their jobs run again.

    One that is missing is an error of the job that needs it, which says where to get it.
    """
    return [path for path in paths if Path(path).is_file()]


def identity(column):
    """For `params`: what a job's row names in a column. A URL as written, a local file's size and time, the name of a missing file.

    Another spelling of a path or another place of the project changes nothing; another file, or one that appears, does.
    """

    @asked_often
    def found(wildcards):
        value = getattr(row_of(wildcards), column)
        if value is None or is_url(value) or tuple(wildcards) in SIMULATED:
            return value
        return file_identity(value) or source_name(value)

    return found


def path_of(column):
    """For `params`, beside its `identity`: the path or URL itself. Functions of `input` are not compared."""
    return lambda wildcards, input: getattr(row_of(wildcards), column)


BENCHMARK = CONFIG.benchmark
# All of an experiment lies below.
EXPERIMENT = f"results/experiments/{BENCHMARK.name}"
# The features by which the nearest training motion is found: the first ones.
FIRST_FEATURES = BENCHMARK.features[0]


def method_name(*parts, sampler, steps):
    """Name of a method in files."""
    return "-".join([*parts, sampler.replace("++", "pp"), str(steps)])


# Rows that every table has: the truth, the truth of other windows, the mean of the training motion, and the training motion that
# sounds most alike.
METHODS = {
    "ground_truth": {"kind": "ground_truth"},
    "other_half": {"kind": "other_half"},
    "mean_pose": {"kind": "mean_pose"},
    f"nearest-{FIRST_FEATURES}": {"kind": "nearest", "features": FIRST_FEATURES},
}
SAMPLINGS = [dict(zip(("sampler", "steps"), (name, int(steps)))) for name, steps in map(str.split, BENCHMARK.samplers)]
METHODS |= {
    method_name("two_stage", features, decoder, **sampling): {
        "kind": "two_stage",
        "features": features,
        "decoder": decoder,
        **sampling,
    }
    for features in BENCHMARK.features
    for decoder in BENCHMARK.decoders
    for sampling in SAMPLINGS
}
if BENCHMARK.weights.released:
    METHODS |= {method_name("released", **sampling): {"kind": "released", **sampling} for sampling in SAMPLINGS}


def untuned(features):
    """The folder of a speech encoder as others trained it; empty for features that need none."""
    return getattr(BENCHMARK.weights, features.removesuffix("_tuned"), "")


def encoder_folder(wildcards):
    """For `params`: the folder of the speech encoder that gives these features; empty where none does."""
    tuned = wildcards.features.endswith("_tuned")
    return f"{EXPERIMENT}/encoders/{wildcards.features}" if tuned else untuned(wildcards.features)


def encoder_modules(wildcards):
    """For `params`: what of the library runs the speech encoder of these features, beside what encodes all of them."""
    return () if wildcards.features in ("notes", "logmel") else ("models.speech_encoder",)


def encoder_weights(wildcards):
    """For inputs: its weights, made by the workflow or put there."""
    if wildcards.features.endswith("_tuned"):
        return f"{encoder_folder(wildcards)}/model.safetensors"
    return encoder_files(encoder_folder(wildcards))


def encoder_files(folder):
    """For inputs: the files of a speech encoder that somebody put there, those that there are."""
    return weights(*(f"{folder}/{name}" for name in ("config.json", "model.safetensors", "pytorch_model.bin")))


def features_of(wildcards):
    """For inputs: the features that a method hears."""
    features = METHODS[wildcards.method].get("features")
    return expand(rules.encode_audio.output.features, features=features) if features else []


def run_of(wildcards):
    """For `params`: how a method's models are run; nothing for methods without."""
    runs = METHODS[wildcards.method]["kind"] in ("two_stage", "released")
    return cfg(seed="benchmark.seed", samples="benchmark.samples", device="device") if runs else {}


def released_of(wildcards):
    """For `params`: the released checkpoint where a method is that; empty for other methods."""
    return BENCHMARK.weights.released if METHODS[wildcards.method]["kind"] == "released" else ""


def models_of(wildcards):
    """For inputs: the models of a method, position first, and how their training went."""
    method = METHODS[wildcards.method]
    if method["kind"] == "released":
        return weights(released_of(wildcards))
    stages = (rules.train_position.output, rules.train_gesture.output)
    patterns = [*(stage.model for stage in stages), *(stage.training_log for stage in stages)]
    chosen = {name: method.get(name) for name in ("features", "decoder")}
    return [expand(pattern, **chosen)[0] for pattern in patterns] if method["kind"] == "two_stage" else []
