"""`handroll doctor`: check the external requirements of a configuration (weights, licences, device, disk space, cookies)."""

import importlib.util
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from handroll.acquire.cookies import ENVIRONMENT_VARIABLE, CookieFileError, read_cookies
from handroll.acquire.http_file import download_file
from handroll.acquire.limits import GB, MB, free_bytes
from handroll.acquire.sites import site_of
from handroll.config.sheet import SheetError, read_sheet
from handroll.device import DeviceError, torch_device
from handroll.setup.weights import PIANOMOTION10M_URL, all_weights, experiment_weights

RESULTS = Path("results")
"""Folder of results, relative to the working directory."""

SIZE_SLACK = 1.1
"""Maximum size of a download, relative to the size of the released file."""


class Status(StrEnum):
    """Status of a requirement."""

    OK = "OK"
    MISSING = "MISSING"
    WRONG = "WRONG"
    OPTIONAL = "OPTIONAL"


@dataclass(frozen=True)
class Finding:
    """Result of checking a requirement: status, name, what was found, and more lines (licence, what to do)."""

    status: Status
    name: str
    found: str
    more: tuple[str, ...] = ()


def examine(config, weights=None):
    """Check all external requirements of a configuration.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
    weights : sequence of Weights, optional
        `all_weights()` and those of the experiment if not given.

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
    """Check weights. Those that the configuration does not need are not opened."""
    licence = f"licence: {weights.licence}; from {weights.source}"
    try:
        path = weights.path_in(config)
    except PackageNotFoundError as error:
        return Finding(
            Status.MISSING, weights.name, f"the package {error.name}, which contains it, is not installed", (licence, f"do: {weights.get}")
        )
    if not weights.is_needed(config):
        key, value = weights.needed_by
        state = "exists (not opened)" if path.exists() else "does not exist"
        return Finding(Status.OPTIONAL, weights.name, f"{path} {state}; only {key}: {value} needs it", (licence,))
    if not path.exists():
        size = f" ({weights.size_bytes / MB:.0f} MB)" if weights.size_bytes else ""
        # Relative to the current folder, as for `handroll run` and `snakemake`.
        found = f"{weights.use} needs {path.absolute()}{size}: no such file or folder"
        return Finding(Status.MISSING, weights.name, found, (licence, f"do: {weights.get}"))
    try:
        details = weights.check(path)
    except FileNotFoundError as error:
        # A file is missing in a folder.
        return Finding(Status.MISSING, weights.name, str(error), (licence, f"do: {weights.get}"))
    except Exception as error:
        # A damaged file may raise any exception.
        remedy = f"do: remove it, then {weights.get}"
        return Finding(Status.WRONG, weights.name, str(error) or f"{path}: {type(error).__name__}", (licence, remedy))
    size = f", {path.stat().st_size / MB:.1f} MB" if path.is_file() else ""
    return Finding(Status.OK, weights.name, f"{weights.use}: {path}{size}{f', {details}' if details else ''}", (licence,))


def fetch(config, weights=None, schemes=("https",)):
    """Download missing weights that a configuration needs and that need no consent to a licence.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
    weights : sequence of Weights, optional
        `all_weights()` if not given.
    schemes : tuple of str
        Allowed schemes of addresses.

    Yields
    ------
    str
        A line of text on each download.

    Raises
    ------
    handroll.acquire.http_file.DownloadError
    """
    for one in all_weights() if weights is None else weights:
        if one.url is None or not one.is_needed(config) or (path := one.path_in(config)).is_file():
            continue
        yield f"downloading {one.name} from {one.url}; {one.licence}"
        limit = round(one.size_bytes * SIZE_SLACK)
        sha256 = download_file(one.url, path, limit, one.sha256, one.check, schemes)
        compared = "as released" if one.sha256 else "no released checksum to compare with"
        yield f"downloaded {path}, {path.stat().st_size} bytes, SHA-256 {sha256} ({compared})"


def _pianomotion10m(config):
    """Check the released dataset if the experiment uses it: yield one finding or none."""
    if config.benchmark.data != "pianomotion10m":
        return
    from handroll.exchange.pianomotion10m_import import list_clips

    name, folder = "PianoMotion10M", config.pianomotion10m.folder
    licence = f"licence: CC BY-NC 4.0: no commercial use; from {PIANOMOTION10M_URL}"
    get = f"do: download it as {PIANOMOTION10M_URL} describes and unpack it to {folder}; see docs/how-to/pianomotion10m.md"
    try:
        clips, left_out = list_clips(folder, config.pianomotion10m.subjects)
    except OSError as error:
        yield Finding(Status.MISSING, name, str(error), (licence, get))
        return
    found = f"benchmark.data: {folder}, {len(clips)} clips listed, {len(left_out)} left out because of their names or lists"
    yield Finding(Status.OK, name, found, (licence,)) if clips else Finding(Status.WRONG, name, found, (licence, get))


def _device(config, weights):
    name = f"device: {config.device}"
    try:
        device = torch_device(config.device)
    except DeviceError as error:
        return Finding(Status.MISSING, name, str(error))
    if device.type != "cuda":
        return Finding(Status.OK, name, "neural networks run on the CPU")
    import torch

    free, total = torch.cuda.mem_get_info(device)
    found = f"{torch.cuda.get_device_name(device)}, {free / GB:.1f} of {total / GB:.1f} GB free"
    # A lower bound: the memory that networks need besides their weights depends on the GPU.
    needed = max((one.size_bytes or 0 for one in weights if one.on_device and one.is_needed(config)), default=0)
    if free < needed:
        more = (f"do: end other processes on this GPU; the weights alone need {needed / GB:.1f} GB",)
        return Finding(Status.WRONG, name, found, more)
    return Finding(Status.OK, name, found)


def _sheet(config):
    """Check the sheet of videos; return the finding and the sites of its videos."""
    try:
        videos = read_sheet(config.sheet)
    except (SheetError, OSError) as error:
        return Finding(Status.WRONG, "sheet of videos", str(error)), set()
    sites = {site for video in videos if (site := site_of(video.source))}
    origin = f", from {', '.join(sorted(sites))}" if sites else ", all local files"
    return Finding(Status.OK, "sheet of videos", f"{config.sheet}: {len(videos)} videos{origin if videos else ''}"), sites


def _existing(folder):
    """Find the nearest existing folder among a folder and its parents."""
    folder = folder.absolute()
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _writing():
    folder = _existing(RESULTS)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"handroll")
    except OSError as error:
        more = ("do: make it writable, or use another folder (snakemake --directory)",)
        return Finding(Status.WRONG, f"writing {RESULTS}/", f"{folder}: {error.strerror}", more)
    return Finding(Status.OK, f"writing {RESULTS}/", f"{folder} is writable")


def _disk(config, sites):
    free, reserve = free_bytes(_existing(RESULTS)), config.acquire.min_free_gb * GB
    found = f"{free / GB:.1f} GB free; downloads leave {reserve / GB:g} GB (acquire.min_free_gb)"
    if free >= reserve:
        return Finding(Status.OK, "disk space", found)
    if sites:
        return Finding(Status.WRONG, "disk space", found, ("do: free some disk space, or lower acquire.min_free_gb",))
    return Finding(Status.OPTIONAL, "disk space", f"{found}; no video has to be downloaded")


def _javascript(sites):
    """Check what yt-dlp needs for all formats of YouTube: a JavaScript runtime and its scripts."""
    import yt_dlp

    name = "JavaScript runtime"
    found = {key: runtime.info for key, runtime in yt_dlp.YoutubeDL({"quiet": True})._js_runtimes.items() if runtime}
    used = {key: info for key, info in found.items() if info and info.supported}
    scripts = importlib.util.find_spec("yt_dlp_ejs") is not None
    if used and scripts:
        return Finding(Status.OK, name, ", ".join(f"{key} {info.version}" for key, info in used.items()))
    missing = [] if used else [f"no runtime that yt-dlp uses ({', '.join(found) or 'none known'})"]
    missing += [] if scripts else ["no package yt-dlp-ejs"]
    effect = "formats of YouTube may be missing" if "youtube" in sites else "only videos of YouTube need it"
    more = ("do: install deno (https://deno.com) and the package yt-dlp-ejs; see docs/how-to/download.md",) if "youtube" in sites else ()
    return Finding(Status.OPTIONAL, name, f"{', '.join(missing)}; {effect}", more)


def _cookies():
    try:
        cookies = read_cookies()
    except CookieFileError as error:
        return Finding(Status.WRONG, "cookies", str(error))
    if not cookies.text:
        return Finding(Status.OPTIONAL, "cookies", f"{ENVIRONMENT_VARIABLE} is not set; only sites that ask for a login need it")
    # The first line names the format. The cookies are never printed.
    return Finding(Status.OK, "cookies", f"{len(cookies.text.splitlines()) - 1} in the file that {ENVIRONMENT_VARIABLE} names")


def report(findings):
    """Format findings as lines of text: a table and a summary."""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        first, *rest = finding.found.splitlines()
        yield f"{finding.status:<8}  {finding.name:<{width}}  {first}".rstrip()
        for line in (*rest, *finding.more):
            yield f"{'':<8}  {'':<{width}}  {line}"
    problems = unsatisfied(findings)
    yield ""
    if problems:
        yield f"{len(problems)} of {len(findings)} requirements are missing or wrong: {', '.join(finding.name for finding in problems)}"
    else:
        yield "All requirements are satisfied."


def unsatisfied(findings):
    """Select the findings that are missing or wrong."""
    return [finding for finding in findings if finding.status in (Status.MISSING, Status.WRONG)]
