"""Names of the features that models receive, what they need, and the files of the speech encoders."""

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
