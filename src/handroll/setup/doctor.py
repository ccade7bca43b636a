"""What a configuration needs from outside (weights, licences, a device, disk, a login) and whether it is there: `handroll doctor`."""

import importlib.util
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import yaml

from handroll.acquire.cookies import ENVIRONMENT_VARIABLE, CookieFileError, read_cookies
from handroll.acquire.http_file import download_file
from handroll.acquire.limits import GB, MB, free_bytes
from handroll.acquire.sites import site_of
from handroll.config.pipeline import ConfigError, parse_config
from handroll.config.sheet import SheetError, read_sheet
from handroll.device import DeviceError, torch_device
from handroll.setup.weights import PIANOMOTION10M_URL, all_weights, experiment_weights
from handroll.text import shown

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
            found = _load_yaml(Path(file).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ConfigError(f"{file}: expected a configuration file, found: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{file}: expected YAML, found: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{file}: expected keys with values, found {shown(found)}")
        _merge(values, found)
    for setting in settings:
        key, equals, value = setting.partition("=")
        try:
            found = _load_yaml(value)
        except ValueError:
            equals = ""
        if not equals or not key:
            raise ConfigError(f"--config: expected KEY=VALUE, such as 'music={{engine: kong}}', found {shown(setting)}")
        _merge(values, {key: found})
    return parse_config(values)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error; the later value would silently replace the earlier one."""

    def construct_mapping(self, node, deep=False):
        """As of the base class."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {shown(twice[0])} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _load_yaml(text):
    """The values of a YAML text; raises ValueError where there are none, saying what is wrong."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("lists or keys nested too deep") from None


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
    config : handroll.config.pipeline.Config
    weights : sequence of Weights, optional
        `all_weights()` and the experiment's if not given.

    Returns
    -------
    list of Finding
    """
    weights = (*all_weights(), *experiment_weights(config)) if weights is None else weights
    sheet, sites = _sheet(config)
    return [
        *(weights_finding(one, config) for one in weights),
        *_pianomotion10m(config),
        _device(config, weights),
        sheet,
        _writing(),
        _disk(config, sites),
        _javascript(sites),
        _cookies(),
    ]


def weights_finding(weights, config):
    """What is found of weights. Those that the configuration does not need are not opened."""
    licence = f"licence: {weights.licence}; from {weights.source}"
    try:
        path = weights.place(config)
    except PackageNotFoundError as error:
        return Finding(Status.MISSING, weights.name, f"no package {error.name}, which holds it", (licence, f"do: {weights.get}"))
    if not weights.is_needed(config):
        key, value = weights.needed_by
        there = "there, not opened" if path.exists() else "not there"
        return Finding(Status.OPTIONAL, weights.name, f"{path} is {there}; only {key}: {value} needs it", (licence,))
    if not path.exists():
        size = f" ({weights.size_bytes / MB:.0f} MB)" if weights.size_bytes else ""
        # Relative to the folder that the command is called in, as of `handroll run` and `snakemake`.
        found = f"{weights.use} needs {path.absolute()}{size}: no such file or folder"
        return Finding(Status.MISSING, weights.name, found, (licence, f"do: {weights.get}"))
    try:
        told = weights.check(path)
    except FileNotFoundError as error:
        # A folder may lack a file.
        return Finding(Status.MISSING, weights.name, str(error), (licence, f"do: {weights.get}"))
    except Exception as error:
        # A damaged file raises whatever its reader stumbles over.
        again = f"do: remove it, then {weights.get}"
        return Finding(Status.WRONG, weights.name, str(error) or f"{path}: {type(error).__name__}", (licence, again))
    size = f", {path.stat().st_size / MB:.1f} MB" if path.is_file() else ""
    return Finding(Status.OK, weights.name, f"{weights.use}: {path}{size}{f', {told}' if told else ''}", (licence,))


def fetch(config, weights=None, schemes=("https",)):
    """Download what a configuration needs, is not there, and may be fetched freely.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
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
    handroll.acquire.http_file.DownloadError
    """
    for one in all_weights() if weights is None else weights:
        if one.url is None or not one.is_needed(config) or (path := one.place(config)).is_file():
            continue
        yield f"fetching {one.name} from {one.url}; {one.licence}"
        limit = round(one.size_bytes * SIZE_SLACK)
        sha256 = download_file(one.url, path, limit, one.sha256, one.check, schemes)
        compared = "as released" if one.sha256 else "nothing to compare it with is known"
        yield f"fetched {path}, {path.stat().st_size} bytes, SHA-256 {sha256} ({compared})"


def _pianomotion10m(config):
    """What is found of the released dataset, where the experiment is on it: one finding, or none."""
    if config.benchmark.data != "pianomotion10m":
        return
    from handroll.exchange.pianomotion10m_import import list_clips

    name, folder = "PianoMotion10M", config.pianomotion10m.folder
    licence = f"licence: CC BY-NC 4.0: for no commercial use; from {PIANOMOTION10M_URL}"
    get = f"do: get it as {PIANOMOTION10M_URL} says and unpack it to {folder}; see docs/pianomotion10m.md"
    try:
        clips, left_out = list_clips(folder, config.pianomotion10m.subjects)
    except OSError as error:
        yield Finding(Status.MISSING, name, str(error), (licence, get))
        return
    found = f"benchmark.data: {folder}, {len(clips)} clips listed, {len(left_out)} left out for their names or lists"
    yield Finding(Status.OK, name, found, (licence,)) if clips else Finding(Status.WRONG, name, found, (licence, get))


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
