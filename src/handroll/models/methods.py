"""Methods that an experiment compares, and the files of the speech encoders that they need.

To add a method: name it in `comparison_methods`, and generate its motion in `handroll.generation.method_motion`.
"""

ENCODER_FILES = "config.json", "model.safetensors", "pytorch_model.bin"
"""Files of a speech encoder in the layout of transformers; a folder has one of the last two."""

TUNED = "_tuned"
"""Suffix of features whose encoder is fine-tuned with the first stage."""


def comparison_methods(benchmark):
    """Every method of an experiment by name.

    Four reference methods come first: the ground truth, the ground truth of other windows, the mean pose of the training data, and the
    training motion with the most similar audio. The trained two-stage models follow, one for each choice of features, decoder and
    sampler. The released checkpoint of PianoMotion10M is last, where the configuration names one.

    Parameters
    ----------
    benchmark : handroll.config.experiment.Benchmark

    Returns
    -------
    dict of str to dict
        `kind` of each method, and, as far as they apply, `features`, `decoder`, `sampler` and `steps`.
    """
    nearest = benchmark.features[0]
    methods = {
        "ground_truth": {"kind": "ground_truth"},
        "other_half": {"kind": "other_half"},
        "mean_pose": {"kind": "mean_pose"},
        f"nearest-{nearest}": {"kind": "nearest", "features": nearest},
    }
    samplers = [{"sampler": name, "steps": int(steps)} for name, steps in map(str.split, benchmark.samplers)]
    methods |= {
        method_name("two_stage", features, decoder, **sampler): {
            "kind": "two_stage",
            "features": features,
            "decoder": decoder,
            **sampler,
        }
        for features in benchmark.features
        for decoder in benchmark.decoders
        for sampler in samplers
    }
    if benchmark.weights.released:
        methods |= {method_name("released", **sampler): {"kind": "released", **sampler} for sampler in samplers}
    return methods


def method_name(*parts, sampler, steps):
    """Name of a method in file names, such as `two_stage-notes-transformer-dpmsolverpp-20`."""
    return "-".join([*parts, sampler.replace("++", "pp"), str(steps)])


def is_sampled(method):
    """Whether a method samples from a diffusion model, so that it needs a seed, a number of samples and a device."""
    return method["kind"] in ("two_stage", "released")


def is_tuned(features):
    """Whether the encoder of these features is fine-tuned by the experiment."""
    return features.endswith(TUNED)


def pretrained_encoder(features, weights):
    """Folder of the pretrained speech encoder of some features; empty for features without one.

    Parameters
    ----------
    features : str
        Such as `hubert`, `hubert_tuned` or `notes`.
    weights : handroll.config.experiment.Weights
    """
    return getattr(weights, features.removesuffix(TUNED), "")


def encoder_files(folder):
    """Paths that a speech encoder in a folder may consist of."""
    return [f"{folder}/{name}" for name in ENCODER_FILES]


def encoder_modules(features):
    """Names, below `handroll`, of the modules that only these features run."""
    return () if features in ("notes", "logmel") else ("models.speech_encoder",)
