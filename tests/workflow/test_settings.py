"""A new configuration key reaches schema, documentation, default configuration, params and dataset card without being typed again."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from handroll.config.pipeline import Config
from handroll.config.section import Section
from handroll.config.selection import DATASET_SECTIONS

MODELS = ("src/handroll/config/pipeline.py", "src/handroll/config/experiment.py")
SCREENING = ("resolution", "audio", "editing", "camera_motion", "performers", "viewpoint", "silence", "clipping", "speech", "visibility")
# Rules whose params contain a new key of a section. A key of a section without rules decides which jobs there are, or belongs to an
# engine that is not in use.
RULES = {
    "": "",
    "acquire": "list_channels fetch_video",
    "survey": "survey_video",
    "detection": "detect_hands",
    **dict.fromkeys(("screening", *(f"screening.{name}" for name in (*SCREENING, "purity"))), "screen_videos"),
    "screening.duration": "screen_videos fetch_video",
    "pose": "fit_pose refine_pose",
    "pose.temporal": "refine_pose",
    "pose.hamer": "",
    **dict.fromkeys(("motion", "motion.hampel", "motion.gap", "motion.run", "motion.savgol"), "clean_motion"),
    "motion.mapnet": "correct_motion",
    **dict.fromkeys(("music", "music.transkun"), "transcribe_audio"),
    "music.kong": "",
    "music.midi_check": "check_midi",
    "keyboard": "register_keyboard label_fingering",
    "clips": "cut_clips synthesise_corpus",
    "splits": "split_videos synthesise_corpus",
    "dataset": "write_shards import_pianomotion10m synthesise_corpus",
    "dataset.rights": "write_shards describe_dataset",
    "pianomotion10m": "import_pianomotion10m",
    "synthetic": "synthesise_corpus",
    "overlay": "draw_overlay",
    "evaluation": "render_performance summarise_evaluation",
    **dict.fromkeys(("benchmark", "benchmark.weights", "benchmark.autoencoder", "benchmark.tuning", "benchmark.correction"), ""),
    **dict.fromkeys([f"benchmark.correction.{name}" for name in ("transformers", "lstm", "training")], "train_corrector"),
    "benchmark.position": "train_network tune_encoder",
    "benchmark.gesture": "train_network",
    "benchmark.fingertips": "train_network",
    "benchmark.fingertips.training": "train_network",
    "benchmark.position.training": "train_network",
    "benchmark.gesture.training": "train_network",
    "benchmark.autoencoder.training": "train_autoencoder",
    "benchmark.tuning.training": "tune_encoder",
}
# At the end of the Snakefile: write the params of every rule, of the video anna/one where they depend on the wildcards.
DUMP = """

import inspect
import json


class OneVideo(tuple):
    subject, video = "anna", "one"


class OneStage(tuple):
    def __init__(self, names):
        self.folder, self.stage = names


class OneRow(str):
    corrector = corrected = property(str)


def value_of(param, wildcards=OneVideo(("anna", "one"))):
    if not callable(param):
        return param
    return param(wildcards, **({"input": {}} if "input" in inspect.signature(param).parameters else {}))


found = {}
for rule in workflow.rules:
    if "stage" in rule.wildcard_names:
        params = {name: param for name, param in rule.params.items() if name != "code"}
        found[rule.name] = {name: [value_of(param, OneStage(of)) for of in NETWORKS] for name, param in params.items()}
    elif {"corrector", "corrected"} & set(rule.wildcard_names):
        names = {"corrector": CORRECTORS, "corrected": COMPARED}[next(iter(rule.wildcard_names))]
        found[rule.name] = {name: [value_of(param, OneRow(of)) for of in names] for name, param in rule.params.items()}
    elif not {"features", "method"} & set(rule.wildcard_names):
        found[rule.name] = {name: value_of(param) for name, param in rule.params.items() if name != "encoder"}
    else:
        found[rule.name] = {name: param for name, param in rule.params.items() if not callable(param)}
with open("params.json", "w") as file:
    json.dump(found, file)
"""


def sections(section, key=""):
    """Every section by its dotted key, the whole configuration first."""
    yield key, section
    for name, value in section:
        if isinstance(value, Section):
            yield from sections(value, f"{key}.{name}".removeprefix("."))


def leaves(value):
    """All scalars in nested dicts and lists."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


CLASSES = {key: type(section).__name__ for key, section in sections(Config())}
# The default of the new key, which identifies the class.
NUMBERS = {name: 70_001 + number for number, name in enumerate(sorted(set(CLASSES.values())))}


@pytest.fixture(scope="module")
def extended(project):
    """The project with a new key in every section, its generated files, the params of all rules, and the settings of the card."""
    for model in MODELS:
        path = project.root / model

        def with_key(match):
            if match[1] not in NUMBERS:
                return match[0]
            return f'{match[0]}    new_{match[1].lower()}: int = Field({NUMBERS[match[1]]}, description="a new key")\n'

        text = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(r'^class (\w+)\((?:Section|Network)\):\n    """.*?"""\n\n', with_key, text, flags=re.M | re.S), encoding="utf-8"
        )
    (project.root / "docs").mkdir()
    environment = project.command()[1]
    subprocess.run([sys.executable, "-m", "handroll.config.reference", "."], cwd=project.root, env=environment, check=True)
    with (project.root / "Snakefile").open("a", encoding="utf-8") as file:
        file.write(DUMP)
    (project.root / "videos.tsv").write_text("subject\tvideo\tsource\nanna\tone\tmedia/one.mp4\n", encoding="utf-8")
    project.run("--list-target-rules", "--config", "benchmark={correction: {rows: [lstm, mapnet]}}")
    params = json.loads((project.root / "params.json").read_text(encoding="utf-8"))
    return project.root, params, params["describe_dataset"].pop("settings")


def test_every_section_is_in_the_table_above():
    assert set(RULES) == set(CLASSES)


@pytest.mark.parametrize("section", RULES)
def test_a_new_key_reaches_everything_that_lists_keys(extended, section):
    root, params, card = extended
    new, number = f"new_{CLASSES[section].lower()}", NUMBERS[CLASSES[section]]
    name = f"{section}.{new}".removeprefix(".")
    value = yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8"))
    for part in name.split("."):
        value = value[part]
    assert value == number
    schema = json.loads((root / "workflow/schemas/config.schema.json").read_text(encoding="utf-8"))
    model = schema["$defs"][CLASSES[section]] if section else schema
    assert model["properties"][new]["description"] == "a new key"
    assert f"| `{name}` | int | {number} | a new key |" in (root / "docs/configuration.md").read_text(encoding="utf-8")

    same_class = [key for key in CLASSES if CLASSES[key] == CLASSES[section]]
    expected = {rule for key in same_class for rule in RULES[key].split()}
    assert {rule for rule, values in params.items() if number in leaves(values)} == expected

    of_card = any(f"{section}.".startswith(f"{part}.") for part in DATASET_SECTIONS)
    left_out = any(f"{section}.".startswith(f"{part}.{key}.") for part, keys in DATASET_SECTIONS.items() for key in keys)
    assert (name in card) == (of_card and not left_out)
