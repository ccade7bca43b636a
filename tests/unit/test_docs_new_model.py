"""The toy model of docs/how-to/new-model.md: added to a copy of the library exactly as written, trained, and asked for motion."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from handroll.config.pipeline import parse_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/new-model.md").read_text(encoding="utf-8")
NETWORK, GENERATION, TRAINING, ENTRY, STAGE = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)

SCRIPT = """
import sys
from pathlib import Path

import numpy as np

from handroll.config.experiment import Benchmark
from handroll.generation.method_motion import generate
from handroll.generation.trained import checkpoints_in
from handroll.models.methods import comparison_methods, stage_training, trained_variants
from handroll.training.toy import train_toy
from handroll.training_data.loader import Source

corpus, out = map(Path, sys.argv[1:])
benchmark = Benchmark(models=["toy"], networks={"toy": {"training": {"steps": 30, "batch": 4, "learning_rate": 1e-2}}})
[(folder, variant)] = trained_variants(benchmark).items()
assert folder == "toy-notes" and variant.settings == {"toy": {}}
settings = stage_training("toy", "toy", benchmark).model_dump() | {"seed": 0, "precision": "fp32", "device": "cpu"}
source = Source(corpus / "shards", features=corpus / "features")
train_toy(source, corpus / "windows.json", variant.settings["toy"], {}, settings, out / "toy.training", out / "toy.safetensors")
assert checkpoints_in(out) == ("toy", [out.resolve() / "toy.safetensors"])
method = comparison_methods(benchmark)["toy-notes"]
columns, facts = generate(method, source, corpus / "windows.json", [out / "toy.safetensors"])
assert facts["input"] == "notes" and facts["parameters"] == 178 * 102, facts
assert np.isfinite(np.stack(columns["pose"])).all() and len(columns["pose"][0]) == 120
print("toy-notes-contacts" in comparison_methods(benchmark))
"""


def test_a_model_is_added_as_the_page_says(corpus, tmp_path):
    package = tmp_path / "src" / "handroll"
    shutil.copytree(ROOT / "src" / "handroll", package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in (("models/toy_network.py", NETWORK), ("models/toy.py", GENERATION), ("training/toy.py", TRAINING)):
        (package / path).write_text(text, encoding="utf-8")
    kinds = package / "models" / "checkpoint.py"
    line = '    "toy": (ToySettings, ToyNetwork),\n'
    assert line.strip(" ,\n") in PAGE
    text = kinds.read_text(encoding="utf-8").replace("KINDS = {\n", f"KINDS = {{\n{line}", 1)
    imported = "from handroll.models.toy_network import ToyNetwork, ToySettings\n"
    kinds.write_text(text.replace("from handroll.provenance", f"{imported}from handroll.provenance", 1), encoding="utf-8")
    methods = package / "models" / "methods.py"
    text = methods.read_text(encoding="utf-8")
    marker = "\n\n@dataclass(frozen=True)\nclass Variant"
    assert marker in text
    methods.write_text(text.replace(marker, f"\n\n{ENTRY}{marker}", 1), encoding="utf-8")
    # The script of the rule runs the training by the name of the stage.
    script = (ROOT / "workflow/scripts/train_network.py").read_text(encoding="utf-8")
    table = {"TRAININGS": {}}
    exec(STAGE, table)
    assert table["TRAININGS"] == {"toy": "handroll.training.toy"} and "TRAININGS[stage]" in script
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", SCRIPT, str(corpus), str(tmp_path)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "True\n"


def test_the_experiment_of_the_page_is_a_valid_configuration():
    block = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[1])
    block["benchmark"]["models"].remove("toy")
    config = parse_config(block)
    assert config.benchmark.networks["toy"].training.steps == 200
