"""Methods that an experiment compares, and the files of the speech encoders that they need.

To add a method, edit three places:

1. `comparison_methods` in this module: add the method's name and description.
2. `KINDS` in `handroll.generation.method_motion`: add the function that generates its motion.
3. `models_of` in `workflow/rules/experiment.smk`: return the checkpoints that the method needs, if any.
"""

ENCODER_FILES = "config.json", "model.safetensors", "pytorch_model.bin"
"""File names of a speech encoder in the layout of the package transformers. A folder contains `config.json` and one of the two
files of weights."""

TUNED = "_tuned"
"""Suffix in the name of features whose speech encoder is fine-tuned together with the first stage."""


DEFAULT_COSTS = "_default"
"""Suffix in the name of features for which fingers are chosen with default costs instead of learned ones."""

FINGERED_FEATURES = ("fingering", "planned", f"planned{DEFAULT_COSTS}")
"""Names of features that are computed from notes with hand and finger."""

NOTE_FEATURES = ("notes", *FINGERED_FEATURES)
"""Names of features that are computed from notes. All others are computed from audio."""

MASKED, UNMASKED = "fingertips", "fingertips_unmasked"
"""Names of the trained variants of the model `fingertips`."""

FITS = 3
"""Maximum number of fits in the correction of a motion; see `generation.contacts.make_playable`."""


def comparison_methods(benchmark):
    """Return every method of an experiment by name.

    Four reference methods come first: the ground truth, the ground truth of other windows, the mean pose of the training data, and the
    training motion with the most similar features. In the keyboard frame, planned motion follows, with default and with learned costs of
    the fingering. The trained models are next: a two-stage model for each combination of features, decoder and sampler, and
    `fingertips`. Each is followed by its corrected motion. The released checkpoint of PianoMotion10M is last, if the configuration
    contains its path.

    Parameters
    ----------
    benchmark : handroll.config.experiment.Benchmark

    Returns
    -------
    dict of str to dict
        Description of each method: `kind`, and what applies to this kind: `features`, `decoder`, `sampler`, `steps`; `model`, the trained
        variant of `fingertips`; `of` and `fits`, the corrected method and the maximum number of fits; `fingering`, "learned" if fingers are
        chosen with learned costs; `variant`, how the method differs from others of its name.
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
    trained = {
        method_name("two_stage", features, decoder, **sampler): {
            "kind": "two_stage",
            "features": features,
            "decoder": decoder,
            **sampler,
        }
        for features in benchmark.features
        for decoder in benchmark.decoders
        for sampler in samplers
        if "two_stage" in benchmark.models
    }
    if on_keys and "fingertips" in benchmark.models:
        trained["fingertips"] = {"kind": "fingertips", "model": MASKED, "features": "planned"}
    for name, method in trained.items():
        methods[name] = method
        if on_keys and benchmark.contacts:
            methods[f"{name}-contacts"] = _corrected(name, method)
    if on_keys and benchmark.ablations:
        methods |= _ablations()
    if benchmark.weights.released:
        methods |= {method_name("released", **sampler): {"kind": "released", **sampler} for sampler in samplers}
    return methods


def _corrected(name, method, fits=FITS):
    """Describe the method that corrects the motion of another method."""
    fingering = {"fingering": "learned"} if method["features"] in ("fingering", "planned") else {}
    variant = ", ".join(filter(None, (method.get("variant"), "contacts" if fits == FITS else f"contacts of {fits} fit")))
    return {"kind": "contacts", "of": name, "fits": fits, "variant": variant, **fingering}


def _ablations():
    """Return the variants of the model `fingertips` in which a part is missing, by name."""
    name = "fingertips"
    masked = {"kind": "fingertips", "model": MASKED, "features": "planned"}
    without_mask = masked | {"model": UNMASKED, "variant": "no mask"}
    default = masked | {"features": f"planned{DEFAULT_COSTS}", "variant": "default fingering"}
    return {
        f"{name}-no_mask": without_mask,
        f"{name}-no_mask-contacts": _corrected(f"{name}-no_mask", without_mask),
        f"{name}-default_fingering": default,
        f"{name}-default_fingering-contacts": _corrected(f"{name}-default_fingering", default),
        f"{name}-one_fit": _corrected(name, masked, fits=1),
    }


def method_name(*parts, sampler, steps):
    """Return the name of a method for file names, such as `two_stage-notes-transformer-dpmsolverpp-20`."""
    return "-".join([*parts, sampler.replace("++", "pp"), str(steps)])


def is_sampled(method):
    """Return whether a method samples from a diffusion model. Such a method needs a seed, a number of samples and a device."""
    return method["kind"] in ("two_stage", "released")


def all_features(benchmark):
    """List the features that the methods of an experiment need, without repetition."""
    return list(dict.fromkeys(method["features"] for method in comparison_methods(benchmark).values() if "features" in method))


def input_of(features):
    """Return what a method with these features receives of the music: `notes` or `audio`."""
    return "notes" if features in NOTE_FEATURES else "audio"


def is_tuned(features):
    """Return whether the experiment fine-tunes the speech encoder of these features."""
    return features.endswith(TUNED)


def pretrained_encoder(features, weights):
    """Return the folder of the pretrained speech encoder for features; empty for features without a speech encoder.

    Parameters
    ----------
    features : str
        Name of the features, such as `hubert`, `hubert_tuned` or `notes`.
    weights : handroll.config.experiment.Weights
        Section `weights` of the configuration, which contains the folders.
    """
    return getattr(weights, features.removesuffix(TUNED), "")


def encoder_files(folder):
    """List the paths of the files that a speech encoder in a folder may have."""
    return [f"{folder}/{name}" for name in ENCODER_FILES]


def encoder_modules(features):
    """List the additional modules that these features need, as names within the package `handroll`."""
    return () if features in ("logmel", *NOTE_FEATURES) else ("models.speech_encoder",)
