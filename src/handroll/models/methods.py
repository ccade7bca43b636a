"""Registry of the models and other methods that an experiment compares.

To add a model: write its network and its training, and add entries to `MODELS` and `LOADERS`. docs/how-to/new-model.md shows the steps.
"""

from dataclasses import dataclass, field
from importlib import import_module

from handroll.config.experiment import FurtherNetwork
from handroll.models.feature_names import DEFAULT_COSTS

FLOW_SAMPLERS = ("euler", "heun")
"""Names of the samplers of flow matching; see `models.flow`."""

FITS = 3
"""Maximum number of fits in the correction of a motion; see `generation.contacts.make_playable`."""


@dataclass(frozen=True)
class Model:
    """Model that an experiment can train.

    Attributes
    ----------
    stages : tuple of str
        Networks in the order in which they are trained. The stage `x` is a kind of checkpoint (`models.checkpoint.KINDS`). It is trained
        by the function `train_x` of the module `handroll.training.x`. Its settings are the section `benchmark.x` of the configuration, if
        there is one, and the entry `x` of `benchmark.networks`.
    load : str
        Name of the function that loads the model from the checkpoints of its stages and a device; empty: `load_<model>`. It is in the
        module that `LOADERS` names.
    shares : dict of str to str
        Stages that are those of another model: name of the stage to name of the model. They are trained once.
    sections : dict of str to str
        Section of the configuration with the settings of a stage; default: that with the name of the stage, or none.
    settings : dict of str to dict
        Settings of stages that their sections of the configuration do not contain.
    sampled : bool
        Whether the model samples motions from noise, with each sampler of `benchmark.samplers` that suits its objective.
    flow : bool
        Whether the objective of a sampled model is flow matching (`models.objectives`).
    features : str
        Features that the model receives; empty: each of `benchmark.features`.
    decoders : tuple of str
        Stages with a setting `decoder`. One model is trained for each of `benchmark.decoders`.
    keyboard : bool
        Whether the model needs the keyboard frame.
    ablations : dict of str to dict of str to dict
        Variants that are trained if `benchmark.ablations` is true: name of the variant to changed settings of its stages. A variant and
        its model share the stages before the first changed one.
    sampling : dict of str to dict
        Variants of the sampling of a trained model, scored if `benchmark.ablations` is true: name of the variant to options of `generate`.
    """

    stages: tuple[str, ...]
    load: str = ""
    shares: dict = field(default_factory=dict)
    sections: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)
    sampled: bool = False
    flow: bool = False
    features: str = ""
    decoders: tuple[str, ...] = ()
    keyboard: bool = False
    ablations: dict = field(default_factory=dict)
    sampling: dict = field(default_factory=dict)


_BOTH = ("position", "gesture")

# Small sizes of the encoder of the condition, as in the section `gesture` of the configuration.
_SMALL = {"condition_width": 128, "layers": 2, "state": 8, "feedforward": 256, "context_layers": 3, "dropout": 0.0}

MODELS = {
    "two_stage": Model(_BOTH, sampled=True, decoders=_BOTH),
    "two_stage_flow": Model(
        _BOTH,
        load="load_two_stage",
        shares={"position": "two_stage"},
        settings={"gesture": {"objective": "flow"}},
        sampled=True,
        flow=True,
        decoders=_BOTH,
    ),
    "emotalk": Model(
        ("regression",),
        load="load_regression",
        settings={"regression": {"context_width": 128, "context_layers": 3, "width": 128, "layers": 2, "dropout": 0.0}},
    ),
    "livelyspeaker": Model(
        ("position", "mixer"),
        load="load_two_stage",
        shares={"position": "two_stage"},
        sampled=True,
        decoders=("position", "mixer"),
        settings={"mixer": {**_SMALL, "width": 192, "blocks": 4}},
    ),
    "s2c": Model(
        ("s2c_position", "s2c_gesture"),
        load="load_s2c",
        sections={"s2c_position": "position", "s2c_gesture": "gesture"},
        sampled=True,
        decoders=("s2c_position", "s2c_gesture"),
        ablations={f"fusion {mode}": {"s2c_gesture": {"fusion": mode}} for mode in range(4)},
        sampling={"shared noise": {"shared_noise": True}},
    ),
    "fingertips": Model(("fingertips",), features="planned", keyboard=True, ablations={"no mask": {"fingertips": {"masked": False}}}),
}
"""The models by name."""

LOADERS = {
    "two_stage": "handroll.models.two_stage",
    "two_stage_flow": "handroll.models.two_stage",
    "emotalk": "handroll.models.direct",
    "livelyspeaker": "handroll.models.two_stage",
    "s2c": "handroll.models.two_stage",
    "fingertips": "handroll.models.direct",
}
"""Module with the function that loads each model."""


@dataclass(frozen=True)
class Variant:
    """A model with features and settings: what is trained once.

    Attributes
    ----------
    model : str
        Name in `MODELS`.
    features : str
    settings : dict of str to dict
        Settings of the network of each stage.
    folders : dict of str to str
        Folder of the checkpoint of each stage, in the order of training.
    about : dict
        What describes the variant in tables: `features`, and, if they apply, `decoder` and `variant`.
    """

    model: str
    features: str
    settings: dict
    folders: dict
    about: dict


def trained_variants(benchmark):
    """Return what an experiment trains.

    Parameters
    ----------
    benchmark : handroll.config.experiment.Benchmark

    Returns
    -------
    dict of str to Variant
        By the name of the folder of its checkpoints, such as `two_stage-notes-transformer`.

    Raises
    ------
    ValueError
        A model has no entry in `MODELS`, or no model has a stage of `benchmark.networks`.
    """
    if unknown := [name for name in benchmark.models if name not in MODELS]:
        raise ValueError(f"the configuration: benchmark.models: expected names of models ({', '.join(MODELS)}), found {unknown[0]!r}")
    stages = [stage for model in MODELS.values() for stage in model.stages]
    if unknown := [stage for stage in benchmark.networks if stage not in stages]:
        names = ", ".join(dict.fromkeys(stages))
        raise ValueError(f"the configuration: benchmark.networks: expected names of stages ({names}), found {unknown[0]!r}")
    found = {}
    for name in benchmark.models:
        if not MODELS[name].keyboard or benchmark.frame == "keyboard":
            found |= _variants_of(name, benchmark)
    return found


def _variants_of(name, benchmark):
    """Return the variants of a model; see `trained_variants`."""
    model, found = MODELS[name], {}
    for features in [model.features] if model.features else benchmark.features:
        for decoder in benchmark.decoders if model.decoders else [""]:
            parts = [*([features] if not model.features else []), *([decoder] if decoder else [])]
            about = {"features": features} | ({"decoder": decoder} if decoder else {})
            settings = {
                stage: _settings(model, stage, benchmark) | ({"decoder": decoder} if stage in model.decoders else {})
                for stage in model.stages
            }
            for variant, changed in [("", {}), *(model.ablations.items() if benchmark.ablations else ())]:
                folder = _in_names(name, *parts, variant)
                kept = model.stages[: min(map(model.stages.index, changed), default=0)]
                folders = {stage: _in_names(model.shares.get(stage, name), *parts) for stage in (*kept, *model.shares)}
                folders = {stage: folders.get(stage, folder) for stage in model.stages}
                merged = {stage: values | changed.get(stage, {}) for stage, values in settings.items()}
                found[folder] = Variant(name, features, merged, folders, about | ({"variant": variant} if variant else {}))
    return found


def _in_names(*parts):
    """Join the parts of the name of a folder or of a method; empty parts are left out."""
    return "-".join(part.replace(" ", "_") for part in parts if part)


def _settings(model, stage, benchmark):
    """Return the settings of the network of a stage: those of the model, then of its section of the configuration, then of `networks`."""
    section = getattr(benchmark, model.sections.get(stage, stage), None)
    further = benchmark.networks.get(stage)
    return model.settings.get(stage, {}) | (section.settings() if section else {}) | (further.settings() if further else {})


def stage_training(model, stage, benchmark):
    """Return the settings of the training of a stage of a model (name in `MODELS`): a `config.experiment.Training`.

    They are those of its section of the configuration, changed by its entry of `benchmark.networks`.
    """
    section = getattr(benchmark, MODELS[model].sections.get(stage, stage), None)
    training = section.training if section else FurtherNetwork().training
    further = benchmark.networks.get(stage)
    return training.model_copy(update=further.training.model_dump(exclude_unset=True)) if further else training


def stage_variants(benchmark):
    """Return the variant to which each trained stage belongs: dict of (folder, stage) to `Variant`.

    A stage that models share belongs to the model that it is named after, even if the experiment does not compare this model.
    """
    found = {}
    for folder, variant in trained_variants(benchmark).items():
        shared = {other for other in variant.folders.values() if other != folder}
        known = {folder: variant}
        for other in shared:
            known |= {other: _variants_of(other.split("-")[0], benchmark)[other]}
        found |= {(of, stage): known[of] for stage, of in variant.folders.items()}
    return found


def comparison_methods(benchmark):
    """Return every method of an experiment by name.

    Four reference methods come first: the ground truth, the ground truth of other windows, the mean pose of the training data, and the
    training motion with the most similar features. In the keyboard frame, planned motion follows, with default and with learned costs of
    the fingering. The trained models are next (`trained_variants`), each with every sampler that suits it. Variants for ablations, and
    corrected motions, exist for the first of these samplers only. The released checkpoint of PianoMotion10M is last, if the configuration
    contains its path.

    Parameters
    ----------
    benchmark : handroll.config.experiment.Benchmark

    Returns
    -------
    dict of str to dict
        Description of each method: `kind`, and what applies to this kind: `features`, `decoder`, `sampler`, `steps`; `model` and `folder`
        of a trained model; `options` of its sampling; `of` and `fits`, the corrected method and the maximum number of fits; `fingering`,
        "learned" if fingers are chosen with learned costs; `variant`, how the method differs from others of its name; `ablation`, true for
        the variants of an ablation.

    Raises
    ------
    ValueError
        `trained_variants` raises it, or no sampler suits a model.
    """
    nearest = benchmark.features[0]
    methods = {
        "ground_truth": {"kind": "ground_truth"},
        "other_half": {"kind": "other_half"},
        "mean_pose": {"kind": "mean_pose"},
        f"nearest-{nearest}": {"kind": "nearest", "features": nearest},
    }
    samplers = [{"sampler": name, "steps": int(steps)} for name, steps in map(str.split, benchmark.samplers)]
    on_keys = benchmark.frame == "keyboard"
    if on_keys:
        methods["planned"] = {"kind": "planned"}
        methods["planned-learned"] = {"kind": "planned", "fingering": "learned", "variant": "learned fingering"}
    for folder, variant in trained_variants(benchmark).items():
        model = MODELS[variant.model]
        suitable = [sampler for sampler in samplers if (sampler["sampler"] in FLOW_SAMPLERS) == model.flow]
        if model.sampled and not suitable:
            wanted = "euler or heun" if model.flow else "a sampler of diffusion, such as dpmsolver++"
            raise ValueError(
                f"the configuration: benchmark.samplers: expected {wanted} for the model {variant.model}, found "
                f"{', '.join(benchmark.samplers) or 'none'}; add one, or remove the model from benchmark.models"
            )
        ablation = {"ablation": True} if "variant" in variant.about else {}
        for number, sampler in enumerate(suitable if model.sampled else [{}]):
            if number and ablation:
                break
            name = method_name(folder, **sampler)
            methods[name] = {"kind": "trained", "model": variant.model, "folder": folder, **variant.about, **sampler, **ablation}
            if number:
                continue
            if benchmark.ablations and not ablation:
                for title, options in MODELS[variant.model].sampling.items():
                    methods[_in_names(name, title)] = {**methods[name], "variant": title, "options": options, "ablation": True}
            if on_keys and benchmark.contacts:
                methods[f"{name}-contacts"] = _corrected(name, methods[name])
    if on_keys and benchmark.ablations and "fingertips" in benchmark.models:
        methods |= _ablations(methods["fingertips"], benchmark.contacts)
    if benchmark.weights.released:
        diffusion = [sampler for sampler in samplers if sampler["sampler"] not in FLOW_SAMPLERS]
        methods |= {method_name("released", **sampler): {"kind": "released", **sampler} for sampler in diffusion}
    return methods


def _corrected(name, method, fits=FITS):
    """Describe the method that corrects the motion of another method."""
    fingering = {"fingering": "learned"} if method["features"] in ("fingering", "planned") else {}
    variant = ", ".join(filter(None, (method.get("variant"), "contacts" if fits == FITS else f"contacts of {fits} fit")))
    ablation = {"ablation": True} if "ablation" in method or fits != FITS else {}
    return {"kind": "contacts", "of": name, "fits": fits, "variant": variant, **fingering, **ablation}


def _ablations(fingertips, contacts):
    """Return the methods that generate motion with the model `fingertips` without a part, by name; with `contacts` also corrected ones."""
    default = fingertips | {"features": f"planned{DEFAULT_COSTS}", "variant": "default fingering", "ablation": True}
    name = "fingertips-default_fingering"
    corrected = {f"{name}-contacts": _corrected(name, default), "fingertips-one_fit": _corrected("fingertips", fingertips, fits=1)}
    return {name: default} | (corrected if contacts else {})


def method_name(folder, sampler="", steps=0):
    """Return the name of a method for file names, such as `two_stage-notes-transformer-dpmsolverpp-20`."""
    return "-".join([folder, *([sampler.replace("++", "pp"), str(steps)] if sampler else [])])


def is_sampled(method):
    """Return whether a method samples from a diffusion model. Such a method needs a seed, a number of samples and a device."""
    return "sampler" in method


def load_model(name, paths, device="cpu"):
    """Load a trained model.

    Parameters
    ----------
    name : str
        Name in `MODELS`.
    paths : sequence of path
        Checkpoints of its stages.
    device : str
        Device on which the networks run.

    Returns
    -------
    model : object
        With `generate`, `generate_long` and `parameters`; see `models.two_stage.TwoStage` for a model that is sampled, and
        `models.direct.DirectModel` for one that is not.
    about : dict
        The `about` of the last stage's checkpoint.

    Raises
    ------
    FileNotFoundError, handroll.models.checkpoint.CheckpointError
        A checkpoint is missing or does not match.
    """
    return loader_of(name)(*paths, device)


def loader_of(name):
    """Return the function that loads a model of `MODELS`."""
    return getattr(import_module(LOADERS[name]), MODELS[name].load or f"load_{name}")


def all_features(benchmark):
    """List the features that the methods of an experiment and its comparison of correction need, without repetition."""
    found = [method["features"] for method in comparison_methods(benchmark).values() if "features" in method]
    return list(dict.fromkeys([*found, *([benchmark.correction.features] if benchmark.correction.rows else [])]))
