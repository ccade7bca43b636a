"""The weights that a configuration can need: path, source, licence and check of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path

from handroll.config.pipeline import lookup, parse_config

SPEECH_ENCODERS = {"hubert": "HuBERT", "wav2vec2": "wav2vec 2.0"}
"""Names of the speech encoders by their features, which are also their keys in `benchmark.weights`."""

PATH_KEYS = (
    "music.kong.checkpoint",
    "pose.hamer.checkpoint",
    "pose.hamer.mano",
    "benchmark.weights.hubert",
    "benchmark.weights.wav2vec2",
    "benchmark.weights.released",
    "benchmark.weights.released_autoencoder",
)
"""Configuration keys of files and folders with weights. Relative paths are relative to the current folder."""

PIANOMOTION10M_URL = "https://github.com/agnJason/PianoMotion10M"
"""Page with the authors' instructions to download data and weights."""


@dataclass(frozen=True)
class Weights:
    """A file of weights, a file that belongs to them, or a folder of both.

    Attributes
    ----------
    name, use : str
        Name and purpose.
    path_in : function of handroll.config.pipeline.Config to path
        Expected path; raises PackageNotFoundError if the package that contains it is not installed.
    source : str
        Address of a page, or the package that contains it.
    licence : str
        Licence and its conditions.
    check : function of path to str or None
        Opens it as the engine does; raises an exception if it is not the expected one, FileNotFoundError if a file is missing in a
        folder. The text is reported.
    needed_by : (key, value) or None
        The configuration value that needs it; None: every configuration.
    get : str
        What to do if it is missing.
    size_bytes, sha256 : optional
        Of the released file, if known.
    url : str, optional
        Address of the file, if it needs no consent to a licence. `--fetch` downloads only such files.
    on_device : bool
        Whether it is loaded into GPU memory.
    """

    name: str
    use: str
    path_in: Callable
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
        """Whether a configuration needs it."""
        return self.needed_by is None or lookup(config, self.needed_by[0]) == self.needed_by[1]


def _in_package(package, name):
    return lambda config: Path(distribution(package).locate_file(name))


def _check_kong(path):
    from handroll.music import kong

    _, sha256 = kong.load_model(path)
    return f"SHA-256 {sha256}, " + ("the released file" if sha256 == kong.SHA256 else "another file of the same layout")


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
    """Make MediaPipe load its models."""
    from handroll.detection.hand_tracker import detect_hands

    detect_hands(lambda: iter(()), 8, 8)


def _kong():
    from handroll.music.kong import FILE_NAME, PAGE_URL, SHA256, SIZE_BYTES

    return Weights(
        name="Kong et al. 2021",
        use="transcription",
        needed_by=("music.engine", "kong"),
        path_in=lambda config: Path(config.music.kong.checkpoint),
        source=PAGE_URL,
        licence="CC BY 4.0 (as the page states): name the authors when you share it",
        get=f"run `handroll doctor --fetch` with the same options, or download {FILE_NAME} from {PAGE_URL} to this path",
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
    """HaMeR's files. None is downloaded automatically: the archive is large, and MANO needs consent to its licence."""
    from handroll.pose.hamer.checkpoint import URL
    from handroll.pose.hamer.settings import settings_path

    unpack = f"download {URL} (the authors' archive), unpack it, and set pose.hamer.checkpoint to the checkpoint in its hamer_ckpts/"
    archive = {"needed_by": ("pose.engine", "hamer"), "source": URL, "get": unpack}
    return (
        Weights(
            name="HaMeR",
            use="poses",
            path_in=lambda config: Path(config.pose.hamer.checkpoint),
            licence="MIT (the code); the weights have no licence of their own and were trained with MANO",
            check=_check_hamer,
            size_bytes=2_689_000_000,
            on_device=True,
            **archive,
        ),
        Weights(
            name="HaMeR's settings",
            use="poses",
            path_in=lambda config: settings_path(config.pose.hamer.checkpoint),
            licence="as HaMeR",
            check=_check_hamer_settings,
            **archive,
        ),
        Weights(
            name="MANO, right hand",
            use="hand model of HaMeR's poses",
            needed_by=("pose.engine", "hamer"),
            path_in=lambda config: Path(config.pose.hamer.mano),
            source="https://mano.is.tue.mpg.de",
            licence="MANO's licence, for research: sign up there; never share the file",
            get="sign in at https://mano.is.tue.mpg.de, download MANO v1.2, and copy its models/MANO_RIGHT.pkl to this path",
            check=_check_mano,
        ),
    )


def all_weights():
    """List all weights that a configuration can need, except those of an experiment, as a tuple of `Weights`."""
    from handroll.detection.hand_tracker import MODELS

    return (
        *(
            Weights(
                name=f"MediaPipe {Path(model).stem}",
                use="hand detection",
                path_in=_in_package("mediapipe", f"mediapipe/modules/{model}"),
                source="the package mediapipe",
                licence="Apache-2.0",
                check=_check_mediapipe,
            )
            for model in MODELS
        ),
        Weights(
            name="Silero VAD",
            use="speech detection",
            needed_by=("survey.speech_classifier", "silero"),
            path_in=_in_package("silero-vad", "silero_vad/data/silero_vad.jit"),
            source="the package silero-vad",
            licence="MIT",
            check=_check_silero,
        ),
        Weights(
            name="Transkun 2",
            use="transcription",
            needed_by=("music.engine", "transkun"),
            path_in=_in_package("transkun", "transkun/pretrained/2.0.pt"),
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
        path_in=lambda config: Path(lookup(config, f"benchmark.weights.{kind}")),
        source=PAGE_URL,
        licence="Apache-2.0",
        get=f"download config.json and model.safetensors (or pytorch_model.bin) of {released} from {PAGE_URL} to this folder",
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


def _pianomotion10m(paths):
    """Yield PianoMotion10M's checkpoints that the section `benchmark.weights` contains."""
    released = {
        "source": PIANOMOTION10M_URL,
        "licence": "Apache-2.0 (the code); the weights were trained on data under CC BY-NC 4.0",
    }
    get = f"download it as {PIANOMOTION10M_URL} describes to this path, or leave benchmark.weights."
    if paths.released:
        yield Weights(
            name="PianoMotion10M's models",
            use="method released",
            path_in=lambda config: Path(config.benchmark.weights.released),
            get=f"{get}released empty",
            check=_check_gesture,
            on_device=True,
            **released,
        )
    if paths.released_autoencoder:
        yield Weights(
            name="PianoMotion10M's auto-encoder",
            use="its FID",
            path_in=lambda config: Path(config.benchmark.weights.released_autoencoder),
            get=f"{get}released_autoencoder empty",
            check=_check_autoencoder,
            **released,
        )


def experiment_weights(config):
    """List the weights that a configuration's experiment needs, besides those of `all_weights`.

    None of them has a `url`, because no checksum is known that would verify a download.

    Parameters
    ----------
    config : handroll.config.pipeline.Config

    Returns
    -------
    tuple of Weights
        Speech encoders of its features, and PianoMotion10M's checkpoints.
    """
    kinds = {features.removesuffix("_tuned") for features in config.benchmark.features}
    encoders = (_speech_encoder(kind) for kind in SPEECH_ENCODERS if kind in kinds)
    return (*encoders, *_pianomotion10m(config.benchmark.weights))


def with_absolute_paths(config):
    """Make the paths of weights absolute, for a workflow that runs in another folder.

    Relative paths are relative to the current folder; an empty path stays empty.

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
