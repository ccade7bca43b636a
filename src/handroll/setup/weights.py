"""The weights that a configuration can ask for: where each has to be, where it comes from, its licence, and its check."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path

from handroll.config.pipeline import lookup, parse_config

SPEECH_ENCODERS = {"hubert": "HuBERT", "wav2vec2": "wav2vec 2.0"}
"""Names of the speech encoders, by their features, which are also their keys below `benchmark.weights`."""

PATH_KEYS = (
    "music.kong.checkpoint",
    "pose.hamer.checkpoint",
    "pose.hamer.mano",
    "benchmark.weights.hubert",
    "benchmark.weights.wav2vec2",
    "benchmark.weights.released",
    "benchmark.weights.released_autoencoder",
)
"""Configuration keys of files and folders with weights. Relative paths are relative to the folder that a command is called in."""

PIANOMOTION10M_URL = "https://github.com/agnJason/PianoMotion10M"
"""Where its authors say how to get their data and weights."""


@dataclass(frozen=True)
class Weights:
    """A file with weights, one that belongs to them, or a folder of both.

    Attributes
    ----------
    name, use : str
        What it is and what for.
    place : function of handroll.config.pipeline.Config to path
        Where it has to be; raises PackageNotFoundError where the package that holds it is not installed.
    source : str
        Where it comes from: a page's address, or the package that it lies in.
    licence : str
        Its licence, and what that asks or forbids.
    check : function of path to str or None
        Opens it for real, as the engine will; raises where it is not the right one, FileNotFoundError where a folder lacks a file.
        What it returns is told.
    needed_by : (key, value) or None
        The configuration's value that asks for it; None: every configuration.
    get : str
        What to do where it is missing.
    size_bytes, sha256 : optional
        Of the released file, where known.
    url : str, optional
        Its own address, where anybody may fetch it without agreeing to anything: only then `--fetch` does.
    on_device : bool
        Goes into the memory of the GPU that networks run on.
    """

    name: str
    use: str
    place: Callable
    source: str
    licence: str
    check: Callable
    needed_by: tuple[str, str] | None = None
    get: str = "install handroll's packages again: pip install -e ."
    size_bytes: int | None = None
    sha256: str | None = None
    url: str | None = None
    on_device: bool = False

    def is_needed(self, config):
        """Whether a configuration asks for it."""
        return self.needed_by is None or lookup(config, self.needed_by[0]) == self.needed_by[1]


def _in_package(package, name):
    return lambda config: Path(distribution(package).locate_file(name))


def _check_kong(path):
    from handroll.music import kong

    _, sha256 = kong.load_model(path)
    return f"SHA-256 {sha256}, " + ("the released file" if sha256 == kong.SHA256 else "not the released file, but of its layout")


def _check_transkun(path):
    from handroll.music.transkun import load_model

    return f"SHA-256 {load_model()[1]}"


def _check_silero(path):
    import numpy as np

    from handroll.music.silero import HOP, RATE_HZ, classify

    probabilities, _ = classify(np.zeros(4 * HOP, np.float32), RATE_HZ)
    if probabilities.shape != (4,):
        raise ValueError(f"{path}: expected a probability every {HOP} samples (4,), found shape {probabilities.shape}")


def _check_mediapipe(path):
    with open(path, "rb") as file:
        if (found := file.read(8)[4:]) != b"TFL3":
            raise ValueError(f"{path}: expected a TensorFlow Lite model (TFL3), found {found!r}")
    _start_tracker()


@cache
def _start_tracker():
    """Let MediaPipe load its models, and look at a black picture."""
    from handroll.detection.hand_tracker import detect_hands

    detect_hands(lambda: iter(()), 8, 8)


def _kong():
    from handroll.music.kong import FILE_NAME, PAGE_URL, SHA256, SIZE_BYTES

    return Weights(
        name="Kong et al. 2021",
        use="transcription",
        needed_by=("music.engine", "kong"),
        place=lambda config: Path(config.music.kong.checkpoint),
        source=PAGE_URL,
        licence="CC BY 4.0 (as the page states): name the authors where you pass it on",
        get=f"`handroll doctor --fetch` with the same options, or get {FILE_NAME} from {PAGE_URL} and put it there",
        size_bytes=SIZE_BYTES,
        sha256=SHA256,
        url=f"{PAGE_URL}/files/{FILE_NAME.replace('=', '%3D')}?download=1",
        check=_check_kong,
        on_device=True,
    )


def _check_hamer(path):
    from handroll.pose.hamer.checkpoint import load_checkpoint
    from handroll.pose.hamer.settings import read_settings, settings_path

    return f"SHA-256 {load_checkpoint(path, read_settings(settings_path(path))).sha256}"


def _check_hamer_settings(path):
    from handroll.pose.hamer.settings import read_settings

    settings = read_settings(path)
    return f"ViT of width {settings.backbone.dim} and depth {settings.backbone.depth}"


def _check_mano(path):
    from handroll.hand.mano_file import read_mano

    return f"SHA-256 {read_mano(path).sha256}"


def _hamer():
    """HaMeR's files, none of which may be fetched without the user: its archive is large, and MANO asks for a signature."""
    from handroll.pose.hamer.checkpoint import URL
    from handroll.pose.hamer.settings import settings_path

    unpack = f"get {URL} (the authors' archive), unpack it, and put its hamer_ckpts/ where pose.hamer.checkpoint says, or name yours there"
    archive = {"needed_by": ("pose.engine", "hamer"), "source": URL, "get": unpack}
    return (
        Weights(
            name="HaMeR",
            use="poses",
            place=lambda config: Path(config.pose.hamer.checkpoint),
            licence="MIT (the code); the weights come without one of their own, and were trained with MANO",
            check=_check_hamer,
            size_bytes=2_689_000_000,
            on_device=True,
            **archive,
        ),
        Weights(
            name="HaMeR's settings",
            use="poses",
            place=lambda config: settings_path(config.pose.hamer.checkpoint),
            licence="as HaMeR's",
            check=_check_hamer_settings,
            **archive,
        ),
        Weights(
            name="MANO, right hand",
            use="hands of HaMeR's poses",
            needed_by=("pose.engine", "hamer"),
            place=lambda config: Path(config.pose.hamer.mano),
            source="https://mano.is.tue.mpg.de",
            licence="MANO's own, for research: sign there; never pass the file on",
            get="sign in at https://mano.is.tue.mpg.de, get MANO v1.2, and put its models/MANO_RIGHT.pkl there",
            check=_check_mano,
        ),
    )


def all_weights():
    """All weights that a configuration can ask for, but those of an experiment, as a tuple of `Weights`."""
    from handroll.detection.hand_tracker import MODELS

    return (
        *(
            Weights(
                name=f"MediaPipe {Path(model).stem}",
                use="finding hands",
                place=_in_package("mediapipe", f"mediapipe/modules/{model}"),
                source="the package mediapipe",
                licence="Apache-2.0",
                check=_check_mediapipe,
            )
            for model in MODELS
        ),
        Weights(
            name="Silero VAD",
            use="telling speech from music",
            needed_by=("survey.speech_classifier", "silero"),
            place=_in_package("silero-vad", "silero_vad/data/silero_vad.jit"),
            source="the package silero-vad",
            licence="MIT",
            check=_check_silero,
        ),
        Weights(
            name="Transkun 2",
            use="transcription",
            needed_by=("music.engine", "transkun"),
            place=_in_package("transkun", "transkun/pretrained/2.0.pt"),
            source="the package transkun",
            licence="MIT",
            check=_check_transkun,
            on_device=True,
        ),
        _kong(),
        *_hamer(),
    )


def _check_speech_encoder(kind, folder):
    from handroll.models.speech_encoder import load_speech_encoder

    config = load_speech_encoder(folder).network.config
    if config.model_type != kind:
        raise ValueError(f"{folder}: expected a network of type {kind}, found {config.model_type!r}")
    return f"{config.num_hidden_layers} layers, {config.hidden_size} wide"


def _speech_encoder(kind):
    from handroll.models.speech_encoder import PAGE_URL, RELEASED

    released = " or ".join(name for name in RELEASED if name.startswith(kind))
    return Weights(
        name=SPEECH_ENCODERS[kind],
        use=f"features {kind}",
        place=lambda config: Path(lookup(config, f"benchmark.weights.{kind}")),
        source=PAGE_URL,
        licence="Apache-2.0",
        get=f"get config.json and model.safetensors (or pytorch_model.bin) of {released} from {PAGE_URL} and put them there",
        check=partial(_check_speech_encoder, kind),
        on_device=True,
    )


def _check_gesture(path):
    from handroll.models.released import load_gesture
    from handroll.provenance import file_sha256

    load_gesture(path)
    return f"SHA-256 {file_sha256(path)}"


def _check_autoencoder(path):
    from handroll.models.released import load_autoencoder
    from handroll.provenance import file_sha256

    load_autoencoder(path)
    return f"SHA-256 {file_sha256(path)}"


def _pianomotion10m(named):
    """PianoMotion10M's checkpoints, as far as the section `benchmark.weights` names them."""
    released = {
        "source": PIANOMOTION10M_URL,
        "licence": "Apache-2.0 (the code); the weights were trained on data under CC BY-NC 4.0",
    }
    get = f"get it as {PIANOMOTION10M_URL} says and put it there, or leave benchmark.weights."
    if named.released:
        yield Weights(
            name="PianoMotion10M's models",
            use="method released",
            place=lambda config: Path(config.benchmark.weights.released),
            get=f"{get}released empty",
            check=_check_gesture,
            on_device=True,
            **released,
        )
    if named.released_autoencoder:
        yield Weights(
            name="PianoMotion10M's auto-encoder",
            use="its FID",
            place=lambda config: Path(config.benchmark.weights.released_autoencoder),
            get=f"{get}released_autoencoder empty",
            check=_check_autoencoder,
            **released,
        )


def experiment_weights(config):
    """The weights that a configuration's experiment asks for, beside those of `all_weights`.

    None of them has a `url`: handroll knows no checksum that a download could be held against.

    Parameters
    ----------
    config : handroll.config.pipeline.Config

    Returns
    -------
    tuple of Weights
        Speech encoders that give its features, and PianoMotion10M's checkpoints that it names.
    """
    heard = {features.removesuffix("_tuned") for features in config.benchmark.features}
    encoders = (_speech_encoder(kind) for kind in SPEECH_ENCODERS if kind in heard)
    return (*encoders, *_pianomotion10m(config.benchmark.weights))


def with_absolute_paths(config):
    """The configuration with absolute paths of weights, for a workflow that works in another folder than this one.

    Relative paths are relative to the working directory; an empty path stays empty.

    Parameters
    ----------
    config : handroll.config.pipeline.Config

    Returns
    -------
    handroll.config.pipeline.Config
    """
    values = config.model_dump()
    for key in PATH_KEYS:
        *sections, name = key.split(".")
        section = values
        for part in sections:
            section = section[part]
        if section[name]:
            section[name] = str(Path(section[name]).expanduser().absolute())
    return parse_config(values)
