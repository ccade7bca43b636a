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
"""Maximum size of a downloaded file, as a multiple of the size of the released file."""


class Status(StrEnum):
    """Status of a requirement: satisfied, missing, wrong, or not necessary."""

    OK = "OK"
    MISSING = "MISSING"
    WRONG = "WRONG"
    OPTIONAL = "OPTIONAL"


@dataclass(frozen=True)
class Finding:
    """Result of checking a requirement.

    Attributes
    ----------
    status : Status
    name : str
        Name of the requirement.
    found : str
        What the check found.
    more : tuple of str
        Further lines of text: licence, and what to do.
    """

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
        Weights to check. Default: `all_weights()` and the weights of the experiment.

    Returns
    -------
    list of Finding
    """
    weights = (*all_weights(), *experiment_weights(config)) if weights is None else weights
    sheet, sites = _check_sheet(config)
    return [
        *(check_weights(one, config) for one in weights),
        *_check_pianomotion10m(config),
        _check_device(config, weights),
        sheet,
        _check_writing(),
        _check_disk(config, sites),
        _check_javascript(sites),
        _check_cookies(),
    ]


def check_weights(weights, config):
    """Check weights and return the Finding. Weights that the configuration does not need are not opened."""
    licence = f"licence: {weights.licence}; from {weights.source}"
    try:
        path = weights.path_in(config)
    except PackageNotFoundError as error:
        return Finding(
            Status.MISSING,
            weights.name,
            f"the package {error.name}, which contains these weights, is not installed",
            (licence, f"do: {weights.get}"),
        )
    if not weights.is_needed(config):
        key, value = weights.needed_by
        state = "exists (not opened)" if path.exists() else "does not exist"
        return Finding(Status.OPTIONAL, weights.name, f"{path} {state}; only {key}: {value} needs it", (licence,))
    if not path.exists():
        size = f" ({weights.size_bytes / MB:.0f} MB)" if weights.size_bytes else ""
        # `handroll run` and `snakemake` also resolve relative paths from the current folder.
        found = f"{weights.use} needs {path.absolute()}{size}: no such file or folder"
        return Finding(Status.MISSING, weights.name, found, (licence, f"do: {weights.get}"))
    try:
        details = weights.check(path)
    except FileNotFoundError as error:
        # The path is a folder of weights, and a file in the folder is missing.
        return Finding(Status.MISSING, weights.name, str(error), (licence, f"do: {weights.get}"))
    except Exception as error:
        # Opening a damaged file may raise any exception.
        remedy = f"do: remove it, then {weights.get}"
        return Finding(Status.WRONG, weights.name, str(error) or f"{path}: {type(error).__name__}", (licence, remedy))
    size = f", {path.stat().st_size / MB:.1f} MB" if path.is_file() else ""
    return Finding(Status.OK, weights.name, f"{weights.use}: {path}{size}{f', {details}' if details else ''}", (licence,))


def fetch(config, weights=None, schemes=("https",)):
    """Download the missing weights that a configuration needs, except those that need consent to a licence.

    Parameters
    ----------
    config : handroll.config.pipeline.Config
    weights : sequence of Weights, optional
        Weights to download. Default: `all_weights()`.
    schemes : tuple of str
        Allowed schemes of addresses.

    Yields
    ------
    str
        A line of text before and after each download.

    Raises
    ------
    handroll.acquire.http_file.DownloadError
        A download failed, or the downloaded file is not the expected one.
    """
    for one in all_weights() if weights is None else weights:
        if one.url is None or not one.is_needed(config) or (path := one.path_in(config)).is_file():
            continue
        yield f"downloading {one.name} from {one.url}; {one.licence}"
        limit = round(one.size_bytes * SIZE_SLACK)
        sha256 = download_file(one.url, path, limit, one.sha256, one.check, schemes)
        compared = "as released" if one.sha256 else "no released checksum to compare with"
        yield f"downloaded {path}, {path.stat().st_size} bytes, SHA-256 {sha256} ({compared})"


def _check_pianomotion10m(config):
    """Yield the finding on the released dataset PianoMotion10M, if the experiment uses it."""
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


def _check_device(config, weights):
    """Return the Finding on the device of neural networks, and on its free memory."""
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
    # The size of the largest weights is a lower bound of the needed memory. Activations need more, and how much depends on the GPU.
    needed = max((one.size_bytes or 0 for one in weights if one.on_device and one.is_needed(config)), default=0)
    if free < needed:
        more = (f"do: end other processes on this GPU; the weights alone need {needed / GB:.1f} GB",)
        return Finding(Status.WRONG, name, found, more)
    return Finding(Status.OK, name, found)


def _check_sheet(config):
    """Check the sheet of videos; return the Finding and the set of sites of its videos."""
    try:
        videos = read_sheet(config.sheet)
    except (SheetError, OSError) as error:
        return Finding(Status.WRONG, "sheet of videos", str(error)), set()
    sites = {site for video in videos if (site := site_of(video.source))}
    origin = f", from {', '.join(sorted(sites))}" if sites else ", all local files"
    return Finding(Status.OK, "sheet of videos", f"{config.sheet}: {len(videos)} videos{origin if videos else ''}"), sites


def _nearest_existing(folder):
    """Return the nearest existing folder among a folder and its parents."""
    folder = folder.absolute()
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _check_writing():
    """Return the Finding on write access to the folder of results."""
    folder = _nearest_existing(RESULTS)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"handroll")
    except OSError as error:
        more = ("do: make this folder writable, or use another folder (snakemake --directory)",)
        return Finding(Status.WRONG, f"writing {RESULTS}/", f"{folder}: {error.strerror}", more)
    return Finding(Status.OK, f"writing {RESULTS}/", f"{folder} is writable")


def _check_disk(config, sites):
    """Return the Finding on free disk space; `sites` are the sites from which videos are downloaded."""
    free, reserve = free_bytes(_nearest_existing(RESULTS)), config.acquire.min_free_gb * GB
    found = f"{free / GB:.1f} GB free; downloads leave {reserve / GB:g} GB (acquire.min_free_gb)"
    if free >= reserve:
        return Finding(Status.OK, "disk space", found)
    if sites:
        return Finding(Status.WRONG, "disk space", found, ("do: free some disk space, or lower acquire.min_free_gb",))
    return Finding(Status.OPTIONAL, "disk space", f"{found}; no video has to be downloaded")


def _check_javascript(sites):
    """Check the requirements of yt-dlp for all formats of YouTube: a JavaScript runtime, and the package yt-dlp-ejs."""
    import yt_dlp

    name = "JavaScript runtime"
    found = {key: runtime.info for key, runtime in yt_dlp.YoutubeDL({"quiet": True})._js_runtimes.items() if runtime}
    used = {key: info for key, info in found.items() if info and info.supported}
    scripts = importlib.util.find_spec("yt_dlp_ejs") is not None
    if used and scripts:
        return Finding(Status.OK, name, ", ".join(f"{key} {info.version}" for key, info in used.items()))
    missing = [] if used else [f"no JavaScript runtime that yt-dlp supports (found: {', '.join(found) or 'none'})"]
    missing += [] if scripts else ["no package yt-dlp-ejs"]
    effect = "formats of YouTube may be missing" if "youtube" in sites else "only videos of YouTube need it"
    more = ("do: install deno (https://deno.com) and the package yt-dlp-ejs; see docs/how-to/download.md",) if "youtube" in sites else ()
    return Finding(Status.OPTIONAL, name, f"{', '.join(missing)}; {effect}", more)


def _check_cookies():
    """Return the Finding on the cookie file."""
    try:
        cookies = read_cookies()
    except CookieFileError as error:
        return Finding(Status.WRONG, "cookies", str(error))
    if not cookies.text:
        return Finding(Status.OPTIONAL, "cookies", f"{ENVIRONMENT_VARIABLE} is not set; only sites that ask for a login need it")
    # The first line of the file is its format. Cookies are never printed.
    return Finding(Status.OK, "cookies", f"number of cookies in the file of {ENVIRONMENT_VARIABLE}: {len(cookies.text.splitlines()) - 1}")


def report_lines(findings):
    """Yield findings as lines of text: a table, then a summary."""
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
    """Return the findings of requirements that are missing or wrong."""
    return [finding for finding in findings if finding.status in (Status.MISSING, Status.WRONG)]
