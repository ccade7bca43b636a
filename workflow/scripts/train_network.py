"""Train one stage of a model: reads shards, motion.json, training.json, features.json and the checkpoints of earlier stages; writes
<stage>.safetensors and <stage>.json.

Saved states, from which a killed job resumes, and the TensorBoard log are in the folder `<stage>.training`.
"""

from importlib import import_module
from pathlib import Path

from handroll.device import torch_threads
from handroll.logs import step_log
from handroll.training.training_run import run_training

# Module with the function `train_<stage>` that trains each stage.
TRAININGS = {
    "position": "handroll.training.position",
    "gesture": "handroll.training.gesture",
    "mixer": "handroll.training.mixer",
    "regression": "handroll.training.regression",
    "s2c_position": "handroll.training.s2c_position",
    "s2c_gesture": "handroll.training.s2c_gesture",
    "fingertips": "handroll.training.fingertips",
}


def main(snakemake):
    """Train the network with the function that is registered for its stage, and save it from the main process."""
    params, files, stage = snakemake.params, dict(snakemake.input.items()), snakemake.wildcards.stage
    with step_log(snakemake.log[0], f"{snakemake.rule} {'-'.join(snakemake.wildcards)}"), torch_threads(snakemake.threads):
        train = getattr(import_module(TRAININGS[stage]), f"train_{stage}")
        earlier = {Path(path).stem: path for path in snakemake.input.get("earlier", [])}
        run_training(train, files, params.source, params.training | params.run, (params.model, earlier), snakemake.output.model)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
