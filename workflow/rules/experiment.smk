# Experiment: values and input functions that follow from the configuration section `benchmark`. training.smk, benchmark.smk and
# correction.smk use them.
import re

from handroll.models.correction_rows import compared_rows
from handroll.models.feature_names import (
    DEFAULT_COSTS,
    FINGERED_FEATURES,
    encoder_files,
    encoder_modules,
    is_tuned,
    pretrained_encoder,
)
from handroll.models.methods import (
    LOADERS,
    MODELS,
    all_features,
    comparison_methods,
    is_sampled,
    stage_training,
    stage_variants,
    trained_variants,
)

BENCHMARK = CONFIG.benchmark

# Folder of the experiment.
EXPERIMENT = f"results/experiments/{BENCHMARK.name}"

# Modules that load trained models.
MODEL_MODULES = sorted({module.removeprefix("handroll.") for module in LOADERS.values()})

# Comparison of methods that correct motion: its settings, the length of a window in frames, and each row at each frame rate ratio.
CORRECTION = BENCHMARK.correction
CORRECTION_WINDOW = round(CORRECTION.window_s * BENCHMARK.rate_hz)
COMPARED = compared_rows(CORRECTION, CORRECTION_WINDOW)

# The trained rows by the path of the checkpoint below `models`, such as mapnet-3/mapnet.
CORRECTORS = {f"{name}/{row['kind']}": row for name, row in COMPARED.items() if row["kind"]}

# Description of each method, by name.
METHODS = comparison_methods(BENCHMARK)

# What is trained: the models by folder, and the variant of each stage by folder and stage.
TRAINED = trained_variants(BENCHMARK)
NETWORKS = stage_variants(BENCHMARK)


def one_of(names):
    """For `wildcard_constraints`: a pattern that matches exactly these names."""
    # An empty constraint would match everything; this pattern matches nothing.
    return "|".join(re.escape(name) for name in sorted(names)) or "(?!)"


def encoder_folder(wildcards):
    """For `params`: folder of the speech encoder of these features; empty for features without one."""
    if is_tuned(wildcards.features):
        return f"{EXPERIMENT}/encoders/{wildcards.features}"
    return pretrained_encoder(wildcards.features, BENCHMARK.weights)


def encoder_weights(wildcards):
    """For inputs: weights of this encoder, made by the workflow or supplied by the user."""
    if is_tuned(wildcards.features):
        return f"{encoder_folder(wildcards)}/model.safetensors"
    return existing_files(*encoder_files(encoder_folder(wildcards)))


def pretrained_files(wildcards):
    """For inputs: files of the pretrained encoder that is fine-tuned."""
    return existing_files(*encoder_files(pretrained_encoder(wildcards.encoder, BENCHMARK.weights)))


def fingering_of_features(wildcards):
    """For inputs: learned costs of the fingering; empty for features that do not need them."""
    learned = wildcards.features in FINGERED_FEATURES and not wildcards.features.endswith(DEFAULT_COSTS)
    return rules.train_fingering.output.costs if learned else []


def training_features(wildcards):
    """For inputs: the features with which a model is trained."""
    return f"{EXPERIMENT}/features/{NETWORKS[wildcards.folder, wildcards.stage].features}/features.json"


def earlier_stages(wildcards):
    """For inputs: checkpoints of the stages of a model that are trained before this one."""
    folders = NETWORKS[wildcards.folder, wildcards.stage].folders
    before = list(folders)[: list(folders).index(wildcards.stage)]
    return [f"{EXPERIMENT}/models/{folders[stage]}/{stage}.safetensors" for stage in before]


def stage_settings(wildcards):
    """For `params`: settings of the network of a stage."""
    return NETWORKS[wildcards.folder, wildcards.stage].settings[wildcards.stage]


def settings_of_training(wildcards):
    """For `params`: settings of the training of a stage."""
    model = NETWORKS[wildcards.folder, wildcards.stage].model
    return stage_training(model, wildcards.stage, BENCHMARK).model_dump()


def features_of(wildcards):
    """For inputs: the audio features that a method reads."""
    features = METHODS[wildcards.method].get("features")
    return expand(rules.encode_audio.output.features, features=features) if features else []


def run_of(wildcards):
    """For `params`: settings of the generation; empty for methods without noise and without a network."""
    if is_sampled(METHODS[wildcards.method]):
        return cfg("benchmark.seed", "benchmark.samples", "device")
    return cfg("device") if METHODS[wildcards.method]["kind"] in ("trained", "contacts") else {}


def released_of(wildcards):
    """For `params`: path of PianoMotion10M's released checkpoint; empty for methods that do not use it."""
    return BENCHMARK.weights.released if METHODS[wildcards.method]["kind"] == "released" else ""


def models_of(wildcards):
    """For inputs: what a method needs, in the order in which `generation.method_motion` expects it.

    Checkpoints of the stages, followed by their training logs; or the motion that is corrected and its report, followed by
    the costs of the fingering.
    """
    method = METHODS[wildcards.method]
    costs = [rules.train_fingering.output.costs] if method.get("fingering") == "learned" else []
    if method["kind"] == "planned":
        return costs
    if method["kind"] == "contacts":
        return [
            *expand([f"{EXPERIMENT}/motion/{{of}}.{kind}" for kind in ("parquet", "json")], of=method["of"]),
            *costs,
        ]
    if method["kind"] == "released":
        return existing_files(released_of(wildcards))
    if method["kind"] != "trained":
        return []
    folders = TRAINED[method["folder"]].folders
    paths = [f"{EXPERIMENT}/models/{folder}/{stage}" for stage, folder in folders.items()]
    return [f"{path}.{kind}" for kind in ("safetensors", "json") for path in paths]


def corrector_files(wildcards):
    """For inputs: checkpoint and training log of a row of the comparison of correction; none for methods without weights."""
    kind = COMPARED[wildcards.corrected]["kind"]
    return [f"{EXPERIMENT}/models/{wildcards.corrected}/{kind}.{suffix}" for suffix in ("safetensors", "json") if kind]
