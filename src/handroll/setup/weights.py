"""List the weights that a configuration can need, each with its path, source, licence and check."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import distribution
from pathlib import Path

from handroll.config.pipeline import lookup, parse_config

SPEECH_ENCODERS = {"hubert": "HuBERT", "wav2vec2": "wav2vec 2.0"}
"""Names of the speech encoders by kind of features. The kinds are also their keys in `benchmark.weights`."""

PATH_KEYS = (
    "music.kong.checkpoint",
    "pose.hamer.checkpoint",
    "pose.hamer.mano",
    "motion.mapnet.checkpoint",
    "benchmark.weights.hubert",
    "benchmark.weights.wav2vec2",
    "benchmark.weights.released",
    "benchmark.weights.released_autoencoder",
)
"""Configuration keys whose values are files or folders of weights. Relative paths are relative to the current folder."""

PIANOMOTION10M_URL = "https://github.com/agnJason/PianoMotion10M"
"""Page of PianoMotion10M's authors with instructions to download data and weights."""


@dataclass(frozen=True)
class Weights:
    """A requirement: a file of network weights, a related file such as settings or a hand model, or a folder of such files.

    Attributes
    ----------
    name : str
        Name in reports.
    use : str
        Purpose, such as "transcription".
    path_in : function of handroll.config.pipeline.Config to path
        Returns the expected path. Raises PackageNotFoundError if a package that contains the file is not installed.
    source : str
        Address of a page, or the Python package that contains the file.
    licence : str
        Licence and its conditions.
    check : function of path to str or None
        Opens the file in the same way as its engine, and returns details for the report. Raises FileNotFoundError if a file is
        missing in a folder, and another exception if a file is not the expected one.
    needed_by : (key, value) or None
        Configuration key and value that need this requirement; None: every configuration needs it.
    get : str
        Instruction for a missing requirement, as an imperative. The report prints it after "do:".
    size_bytes : int, optional
        Size of the released file, if known.
    sha256 : str, optional
        SHA-256 of the released file, in hexadecimal, if known.
    url : str, optional
        Address of the file; only for files that need no consent to a licence. `handroll doctor --fetch` downloads only these.
    on_device : bool
        Whether the weights are loaded into GPU memory.
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
        """Return whether a configuration needs this requirement."""
        return self.needed_by is None or lookup(config, self.needed_by[0]) == self.needed_by[1]


def _path_in_package(package, name):
    """Build a function for `Weights.path_in` that returns the path of the file `name` in an installed package."""
    return lambda config: Path(distribution(package).locate_file(name))


def _check_kong(path):
    from handroll.music import kong

    _, sha256 = kong.load_model(path)
    return f"SHA-256 {sha256}, " + ("the released file" if sha256 == kong.SHA256 else "not the released file, but of the same layout")


def _check_transkun(path):
    from handroll.music.transkun import load_model

    return f"SHA-256 {load_model()[1]}"


def _check_silero(path):
    import numpy as np

    from handroll.music.silero import HOP, RATE_HZ, classify

    probabilities, _ = classify(np.zeros(4 * HOP, np.float32), RATE_HZ)
    if probabilities.shape != (4,):
        raise ValueError(f"{path}: expected 4 probabilities, one for every {HOP} samples, found an array of shape {probabilities.shape}")


def _check_mediapipe(path):
    with open(path, "rb") as file:
        if (found := file.read(8)[4:]) != b"TFL3":
            raise ValueError(f"{path}: expected a TensorFlow Lite model (TFL3), found {found!r}")
    _start_tracker()


@cache
def _start_tracker():
    """Load MediaPipe's models by running the hand tracker on a video without frames."""
    from handroll.detection.hand_tracker import detect_hands

    detect_hands(lambda: iter(()), 8, 8)


def _kong_weights():
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


def _hamer_weights():
    """Return the Weights of HaMeR's files. None has a `url`: the archive is large, and MANO needs consent to its licence."""
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
            licence="same as HaMeR",
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


def _check_mapnet(path):
    from handroll.models.correction import MAPNETS, load_corrector

    model, about = load_corrector(path, MAPNETS)
    return f"{model.parameters} parameters, features {about['features']}, {about['rate_hz']:g} Hz"


def _mapnet_weights():
    return Weights(
        name="MAPnet",
        use="correction of motion",
        needed_by=("motion.correction", "mapnet"),
        path_in=lambda config: Path(config.motion.mapnet.checkpoint),
        source="your own training",
        licence="that of its training data",
        get="train it as docs/how-to/correct-motion.md describes, or set motion.correction: none",
        check=_check_mapnet,
    )


def all_weights():
    """Return all `Weights` that a configuration can need, as a tuple, except those of its experiment (`experiment_weights`)."""
    from handroll.detection.hand_tracker import MODELS

    return (
        *(
            Weights(
                name=f"MediaPipe {Path(model).stem}",
                use="hand detection",
                path_in=_path_in_package("mediapipe", f"mediapipe/modules/{model}"),
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
            path_in=_path_in_package("silero-vad", "silero_vad/data/silero_vad.jit"),
            source="the package silero-vad",
            licence="MIT",
            check=_check_silero,
        ),
        Weights(
            name="Transkun 2",
            use="transcription",
            needed_by=("music.engine", "transkun"),
            path_in=_path_in_package("transkun", "transkun/pretrained/2.0.pt"),
            source="the package transkun",
            licence="MIT",
            check=_check_transkun,
            on_device=True,
        ),
        _kong_weights(),
        *_hamer_weights(),
        _mapnet_weights(),
    )


def _check_speech_encoder(kind, folder):
    from handroll.models.speech_encoder import load_speech_encoder

    config = load_speech_encoder(folder).network.config
    if config.model_type != kind:
        raise ValueError(f"{folder}: expected a network of type {kind}, found {config.model_type!r}")
    return f"{config.num_hidden_layers} layers, {config.hidden_size} wide"


def _speech_encoder_weights(kind):
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


def _pianomotion10m_weights(paths):
    """Yield the Weights of PianoMotion10M's checkpoints that the section `benchmark.weights` contains."""
    released = {
        "source": PIANOMOTION10M_URL,
        "licence": "Apache-2.0 (the code); the weights were trained on data under CC BY-NC 4.0",
    }
    get = f"download it as {PIANOMOTION10M_URL} describes to this path, or leave benchmark.weights."
    if paths.released:
        yield Weights(
            name="PianoMotion10M's models",
            use="benchmark of the released models",
            path_in=lambda config: Path(config.benchmark.weights.released),
            get=f"{get}released empty",
            check=_check_gesture,
            on_device=True,
            **released,
        )
    if paths.released_autoencoder:
        yield Weights(
            name="PianoMotion10M's auto-encoder",
            use="FID of PianoMotion10M",
            path_in=lambda config: Path(config.benchmark.weights.released_autoencoder),
            get=f"{get}released_autoencoder empty",
            check=_check_autoencoder,
            **released,
        )


def experiment_weights(config):
    """Return the weights that a configuration's experiment needs, in addition to those of `all_weights`.

    They have no `url`: no checksum is known that could verify a download.

    Parameters
    ----------
    config : handroll.config.pipeline.Config

    Returns
    -------
    tuple of Weights
        Speech encoders of the experiment's features, and PianoMotion10M's checkpoints.
    """
    correction = config.benchmark.correction
    features = [*config.benchmark.features, *([correction.features] if correction.rows else [])]
    kinds = {name.removesuffix("_tuned") for name in features}
    encoders = (_speech_encoder_weights(kind) for kind in SPEECH_ENCODERS if kind in kinds)
    return (*encoders, *_pianomotion10m_weights(config.benchmark.weights))


def with_absolute_paths(config):
    """Return the configuration with absolute paths of weights, for a workflow that runs in another folder.

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
