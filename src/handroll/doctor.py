"""What a configuration needs from outside (weights, licences, a device, disk, a login) and whether it is there: `handroll doctor`."""

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from handroll.acquire.cookies import ENVIRONMENT_VARIABLE, CookieFileError, read_cookies
from handroll.acquire.limits import GB, MB, free_bytes
from handroll.acquire.one_file import download_file
from handroll.acquire.sites import site_of
from handroll.config import ConfigError, lookup, parse_config
from handroll.device import DeviceError, torch_device
from handroll.sheet import SheetError, read_sheet

RESULTS = Path("results")
"""Where the workflow writes, in the folder that it works in."""

SIZE_SLACK = 1.1
"""A download may be this much longer than the released file is known to be."""


class Status(StrEnum):
    """What is found of an item."""

    OK = "OK"
    MISSING = "MISSING"
    WRONG = "WRONG"
    OPTIONAL = "OPTIONAL"


@dataclass(frozen=True)
class Finding:
    """An item: its status, its name, what was found, and more lines (licence, what to do)."""

    status: Status
    name: str
    found: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Weights:
    """A file with weights, or one that belongs to them.

    Attributes
    ----------
    name, use : str
        What it is and what for.
    file : function of handroll.config.Config to path
        Where it has to be; raises PackageNotFoundError where the package that holds it is not installed.
    source : str
        Where it comes from: a page's address, or the package that it lies in.
    licence : str
        Its licence, and what that asks or forbids.
    check : function of path to str or None
        Opens the file for real, as the engine will; raises where it is not the right one. What it returns is told.
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
    file: Callable
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
    from handroll.detect.mediapipe import detect_hands

    detect_hands(lambda: iter(()), 8, 8)


def _kong():
    from handroll.music.kong import FILE_NAME, PAGE_URL, SHA256, SIZE_BYTES

    return Weights(
        name="Kong et al. 2021",
        use="transcription",
        needed_by=("music.engine", "kong"),
        file=lambda config: Path(config.music.kong.checkpoint),
        source=PAGE_URL,
        licence="CC BY 4.0 (as the page states): name the authors where you pass it on",
        get=f"`handroll doctor --fetch` with the same options, or get {FILE_NAME} from {PAGE_URL} and put it there",
        size_bytes=SIZE_BYTES,
        sha256=SHA256,
        url=f"{PAGE_URL}/files/{FILE_NAME.replace('=', '%3D')}?download=1",
        check=_check_kong,
        on_device=True,
    )


def all_weights():
    """Every file with weights that a configuration can ask for, as a tuple of `Weights`."""
    from handroll.detect.mediapipe import MODELS

    return (
        *(
            Weights(
                name=f"MediaPipe {Path(model).stem}",
                use="finding hands",
                file=_in_package("mediapipe", f"mediapipe/modules/{model}"),
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
            file=_in_package("silero-vad", "silero_vad/data/silero_vad.jit"),
            source="the package silero-vad",
            licence="MIT",
            check=_check_silero,
        ),
        Weights(
            name="Transkun 2",
            use="transcription",
            needed_by=("music.engine", "transkun"),
            file=_in_package("transkun", "transkun/pretrained/2.0.pt"),
            source="the package transkun",
            licence="MIT",
            check=_check_transkun,
            on_device=True,
        ),
        _kong(),
    )


def read_config(files, settings=()):
    """A configuration as Snakemake puts it together: later files over earlier ones, then single settings.

    Parameters
    ----------
    files : sequence of paths
        YAML; keys that none names have their defaults.
    settings : sequence of str
        `KEY=VALUE`, the value in YAML, as of Snakemake's `--config`.

    Raises
    ------
    ConfigError
        A file that is missing or no mapping, a setting that is none, or values that are not right.
    """
    values = {}
    for file in files:
        try:
            found = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ConfigError(f"{file}: expected a configuration file, found: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: expected YAML, found: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{file}: expected keys with values, found {found!r}")
        _merge(values, found)
    for setting in settings:
        key, equals, value = setting.partition("=")
        try:
            found = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key:
            raise ConfigError(f"--config: expected KEY=VALUE, such as 'music={{engine: kong}}', found {setting!r}")
        _merge(values, {key: found})
    return parse_config(values)


def _merge(values, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def examine(config, weights=None):
    """Look at everything that a configuration needs.

    Parameters
    ----------
    config : handroll.config.Config
    weights : sequence of Weights, optional
        `all_weights()` if not given.

    Returns
    -------
    list of Finding
    """
    weights = all_weights() if weights is None else weights
    sheet, sites = _sheet(config)
    return [
        *(weights_finding(one, config) for one in weights),
        _device(config, weights),
        sheet,
        _writing(),
        _disk(config, sites),
        _javascript(sites),
        _cookies(),
    ]


def weights_finding(weights, config):
    """What is found of a file with weights. One that the configuration does not need is not opened."""
    licence = f"licence: {weights.licence}; from {weights.source}"
    try:
        path = weights.file(config)
    except PackageNotFoundError as error:
        return Finding(Status.MISSING, weights.name, f"no package {error.name}, which holds it", (licence, f"do: {weights.get}"))
    if not weights.is_needed(config):
        key, value = weights.needed_by
        there = "there, not opened" if path.is_file() else "not there"
        return Finding(Status.OPTIONAL, weights.name, f"{path} is {there}; only {key}: {value} needs it", (licence,))
    if not path.is_file():
        size = f" ({weights.size_bytes / MB:.0f} MB)" if weights.size_bytes else ""
        return Finding(Status.MISSING, weights.name, f"{weights.use} needs {path}{size}: no such file", (licence, f"do: {weights.get}"))
    try:
        told = weights.check(path)
    except Exception as error:
        # A damaged file raises whatever its reader stumbles over.
        again = f"do: remove it, then {weights.get}"
        return Finding(Status.WRONG, weights.name, str(error) or f"{path}: {type(error).__name__}", (licence, again))
    size = f"{path.stat().st_size / MB:.1f} MB"
    return Finding(Status.OK, weights.name, f"{weights.use}: {path}, {size}{f', {told}' if told else ''}", (licence,))


def fetch(config, weights=None, schemes=("https",)):
    """Download what a configuration needs, is not there, and may be fetched freely.

    Parameters
    ----------
    config : handroll.config.Config
    weights : sequence of Weights, optional
        `all_weights()` if not given.
    schemes : tuple of str
        Of addresses that may be asked.

    Yields
    ------
    str
        A line on each.

    Raises
    ------
    handroll.acquire.one_file.DownloadError
    """
    for one in all_weights() if weights is None else weights:
        if one.url is None or not one.is_needed(config) or (path := one.file(config)).is_file():
            continue
        yield f"fetching {one.name} from {one.url}; {one.licence}"
        limit = round(one.size_bytes * SIZE_SLACK)
        sha256 = download_file(one.url, path, limit, one.sha256, one.check, schemes)
        compared = "as released" if one.sha256 else "nothing to compare it with is known"
        yield f"fetched {path}, {path.stat().st_size} bytes, SHA-256 {sha256} ({compared})"


def _device(config, weights):
    name = f"device: {config.device}"
    try:
        device = torch_device(config.device)
    except DeviceError as error:
        return Finding(Status.MISSING, name, str(error))
    if device.type != "cuda":
        return Finding(Status.OK, name, "networks run on the processor")
    import torch

    free, total = torch.cuda.mem_get_info(device)
    found = f"{torch.cuda.get_device_name(device)}, {free / GB:.1f} of {total / GB:.1f} GB free"
    # The least that is needed for certain: what networks need beside their weights depends on the GPU.
    least = max((one.size_bytes or 0 for one in weights if one.on_device and one.is_needed(config)), default=0)
    if free < least:
        more = (f"do: end what else runs there; the weights alone take {least / GB:.1f} GB",)
        return Finding(Status.WRONG, name, found, more)
    return Finding(Status.OK, name, found)


def _sheet(config):
    """What is found of the sheet of videos, and the sites that it names."""
    try:
        videos = read_sheet(config.sheet)
    except (SheetError, OSError) as error:
        return Finding(Status.WRONG, "sheet of videos", str(error)), set()
    sites = {site for video in videos if (site := site_of(video.source))}
    where = f", from {', '.join(sorted(sites))}" if sites else ", all local files"
    return Finding(Status.OK, "sheet of videos", f"{config.sheet}: {len(videos)} videos{where if videos else ''}"), sites


def _existing(folder):
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


def _writing():
    place = _existing(RESULTS)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"handroll")
    except OSError as error:
        more = ("do: make it writable, or work in another folder (snakemake --directory)",)
        return Finding(Status.WRONG, f"writing {RESULTS}/", f"{place}: {error.strerror}", more)
    return Finding(Status.OK, f"writing {RESULTS}/", f"{place} can be written to")


def _disk(config, sites):
    free, reserve = free_bytes(_existing(RESULTS)), config.acquire.min_free_gb * GB
    found = f"{free / GB:.1f} GB free; downloads leave {reserve / GB:g} GB (acquire.min_free_gb)"
    if free >= reserve:
        return Finding(Status.OK, "disk space", found)
    if sites:
        return Finding(Status.WRONG, "disk space", found, ("do: make room, or lower acquire.min_free_gb",))
    return Finding(Status.OPTIONAL, "disk space", f"{found}; nothing is to be downloaded")


def _javascript(sites):
    """Whether yt-dlp has what it needs to see all formats of YouTube: a runtime that it uses, and its scripts."""
    import yt_dlp

    name = "JavaScript runtime"
    found = {key: runtime.info for key, runtime in yt_dlp.YoutubeDL({"quiet": True})._js_runtimes.items() if runtime}
    used = {key: info for key, info in found.items() if info and info.supported}
    scripts = importlib.util.find_spec("yt_dlp_ejs") is not None
    if used and scripts:
        return Finding(Status.OK, name, ", ".join(f"{key} {info.version}" for key, info in used.items()))
    lacks = [] if used else [f"none that yt-dlp uses ({', '.join(found) or 'none known'})"]
    lacks += [] if scripts else ["no package yt-dlp-ejs"]
    why = "without them YouTube's formats may be missing" if "youtube" in sites else "only videos of YouTube want them"
    more = ("do: install deno (https://deno.com) and the package yt-dlp-ejs; see docs/acquire.md",) if "youtube" in sites else ()
    return Finding(Status.OPTIONAL, name, f"{', '.join(lacks)}; {why}", more)


def _cookies():
    try:
        cookies = read_cookies()
    except CookieFileError as error:
        return Finding(Status.WRONG, "cookies", str(error))
    if not cookies.text:
        return Finding(Status.OPTIONAL, "cookies", f"{ENVIRONMENT_VARIABLE} names no file; only sites that want a login need it")
    # Counted without the line that names the format; never shown.
    return Finding(Status.OK, "cookies", f"{len(cookies.text.splitlines()) - 1} in the file that {ENVIRONMENT_VARIABLE} names")


def report(findings):
    """The findings as lines of text: a table, and what came of it."""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        first, *rest = finding.found.splitlines()
        yield f"{finding.status:<8}  {finding.name:<{width}}  {first}".rstrip()
        for line in (*rest, *finding.more):
            yield f"{'':<8}  {'':<{width}}  {line}"
    lacking = lacks(findings)
    yield ""
    if lacking:
        yield f"{len(lacking)} of {len(findings)} missing or wrong: {', '.join(finding.name for finding in lacking)}"
    else:
        yield "all that this configuration needs is there"


def lacks(findings):
    """Those that are missing or wrong."""
    return [finding for finding in findings if finding.status in (Status.MISSING, Status.WRONG)]
