"""The `handroll` command: run the workflow, generate motion, list channels, take videos down, check requirements."""

import argparse
import logging
import sys
import time
from pathlib import Path

from handroll import __version__
from handroll.config.sheet import SheetError, read_sheet
from handroll.text import printable

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the checkout, which contains the Snakefile."""

SHEET = Path("config/videos.tsv")
"""Default path of the sheet of videos; the same as in config/config.yaml."""

TAKEDOWN = Path("config/takedown.tsv")
"""Default path of the takedown list; the same as in config/config.yaml."""


def main(arguments=None):
    """Parse the command line, run the command and return the exit status."""
    parser = argparse.ArgumentParser(prog="handroll", description="From videos of piano playing to 3D hand motion.")
    parser.add_argument("--version", action="version", version=f"handroll {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="create motion, MIDI and an overlay video from your own videos")
    run.add_argument("videos", nargs="+", metavar="VIDEO", help="video files or URLs")
    run.add_argument(
        "--midi", action="append", default=[], metavar="FILE", help="MIDI file of a video; repeat the option for each video, in their order"
    )
    run.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="NAME",
        help="name of a video's results; repeat the option for each video, in their order",
    )
    run.add_argument("--out", type=Path, default=Path("handroll-output"), help="folder for all results (default: %(default)s)")
    run.add_argument("--cores", type=_cores, default="all", help="processor cores to use (default: %(default)s)")
    run.add_argument("--configfile", type=Path, action="append", default=[], help="your own settings, which override config/own-files.yaml")
    run.add_argument("--verbose", action="store_true", help="print Snakemake's full log instead of one line for each stage")
    run.set_defaults(call=run_videos)
    hands = commands.add_parser("generate", help="generate hand motion for your recordings: motion, fingering, MIDI and video")
    hands.add_argument("recordings", nargs="+", metavar="AUDIO", help="audio files, videos with audio, MIDI, MusicXML or PIG files")
    hands.add_argument("--model", type=Path, metavar="FOLDER", help="trained model: a folder of results/experiments/<name>/models")
    hands.add_argument("--out", type=Path, default=Path("handroll-output"), help="folder for all results (default: %(default)s)")
    hands.add_argument("--notes", type=Path, metavar="FILE.mid", help="MIDI file of the recording, used instead of a transcription")
    hands.add_argument(
        "--tempo", type=float, default=1.0, metavar="X", help="factor of the tempo of a file with notes (default: %(default)s)"
    )
    hands.add_argument(
        "--hands", choices=("auto", "tracks", "ignore"), default="auto", help="use of given hands and fingers (default: %(default)s)"
    )
    hands.add_argument(
        "--hand-size",
        type=float,
        default=1.0,
        metavar="X",
        help="size of the hands (default: %(default)s)",
    )
    hands.add_argument("--fingering", type=Path, metavar="FILE.json", help="learned costs of a fingering (default: those of the model)")
    hands.add_argument("--fps", type=float, default=60.0, help="frames per second of the motion without a model (default: %(default)s)")
    hands.add_argument("--camera", choices=("top", "player"), default="top", help="position of the camera (default: %(default)s)")
    hands.add_argument("--encoder", type=Path, metavar="FOLDER", help="folder of the weights of the speech encoder that the model uses")
    hands.add_argument(
        "--sampler",
        help="ddpm, ddim, dpmsolver++ or sde-dpmsolver++; with flow matching euler or heun (default: dpmsolver++ or euler)",
    )
    hands.add_argument("--steps", type=_at_least(1), default=20, metavar="N", help="steps of the sampler (default: %(default)s)")
    hands.add_argument("--no-contacts", dest="contacts", action="store_false", help="keep the motion of the model, even if it misses notes")
    hands.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the motion (default: %(default)s)")
    hands.add_argument("--width", type=_at_least(160), default=1280, metavar="PX", help="width of the video (default: %(default)s)")
    hands.add_argument("--no-video", dest="video", action="store_false", help="write no video")
    hands.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    hands.set_defaults(call=generate)
    listing = commands.add_parser("list", help="add the videos of channels, playlists or search pages to the sheet")
    listing.add_argument("urls", nargs="+", metavar="URL", help="address of a channel, playlist, search page or video")
    listing.add_argument("--sheet", type=Path, default=SHEET, help="sheet of videos to add to (default: %(default)s)")
    listing.add_argument("--subject", help="subject (performer) of all these videos (default: the uploader's name)")
    listing.add_argument(
        "--max-listed",
        type=_at_least(1),
        default=5000,
        metavar="N",
        help="maximum number of videos to list for each address (default: %(default)s)",
    )
    listing.set_defaults(call=list_videos)
    takedown = commands.add_parser("takedown", help="remove all results of the videos on the takedown list")
    takedown.add_argument("--list", type=Path, default=TAKEDOWN, dest="takedown", help="takedown list (default: %(default)s)")
    takedown.add_argument("--sheet", type=Path, default=SHEET, help="sheet of videos (default: %(default)s)")
    takedown.add_argument("--directory", type=Path, default=Path(), help="folder that contains results/ (default: the current folder)")
    takedown.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    takedown.set_defaults(call=take_down)
    doctor = commands.add_parser("doctor", help="check the weights, licences and devices that a configuration needs")
    doctor.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="configuration files; see snakemake --configfile",
    )
    doctor.add_argument("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="settings; see snakemake --config")
    doctor.add_argument("--fetch", action="store_true", help="download the missing weights, except those that need consent to a licence")
    doctor.set_defaults(call=check_requirements)
    options = parser.parse_args(arguments)
    return options.call(options)


def run_videos(options):
    """Run the workflow on your own videos and return the exit status of `handroll.run.command.run`."""
    from handroll.run.command import run

    return run(options)


def _at_least(minimum):
    """Return a type for argparse: an integer of at least `minimum`."""

    def number(text):
        if (value := int(text)) < minimum:
            raise argparse.ArgumentTypeError(f"expected an integer of at least {minimum}, found {text}")
        return value

    return number


def _cores(text):
    """Return the text of an option that is `all` or a number of processor cores. Raise ArgumentTypeError for another text."""
    if text != "all" and not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected `all` or an integer of at least 1, found {text!r}")
    return text


def generate(options):
    """Generate motion for recordings, and print the paths of the results.

    Returns
    -------
    int
        Exit status. 0: success. 1: at least one recording is not usable; the others are processed. 2: the model or an option is
        invalid.
    """
    from handroll.device import DeviceError
    from handroll.generation.fingering import DEFAULT_COSTS
    from handroll.generation.fingering_costs_file import read_costs
    from handroll.generation.generate import play
    from handroll.generation.music_input import RecordingError
    from handroll.generation.planned_pianist import PlannedPianist
    from handroll.run.own_sheet import distinct_names

    logging.basicConfig(format="%(message)s")
    logging.getLogger("handroll").setLevel(logging.INFO)
    if options.notes and len(options.recordings) > 1:
        print(f"handroll generate: expected one recording with --notes {options.notes}, found {len(options.recordings)}", file=sys.stderr)
        return 2
    try:
        costs = read_costs(options.fingering) if options.fingering else None
        if options.model is None:
            pianist = PlannedPianist(options.hand_size, options.fps, costs or (DEFAULT_COSTS,) * 2)
        else:
            # This import takes seconds, because it loads torch and diffusers.
            from handroll.generation.trained import load_pianist

            sampling = options.sampler, options.steps, options.encoder, options.device
            pianist = load_pianist(options.model, *sampling, options.contacts, costs, options.hand_size)
    except (OSError, ValueError, DeviceError) as error:
        print(f"handroll generate: {error}", file=sys.stderr)
        return 2
    failed = 0
    for recording, name in zip(options.recordings, distinct_names(options.recordings), strict=True):
        started = time.monotonic()
        try:
            chosen = {"midi_path": options.notes, "tempo": options.tempo, "hands": options.hands}
            chosen |= {"seed": options.seed, "width_px": options.width, "camera": options.camera}
            files = play(recording, options.out, name, pianist, video=options.video, **chosen)
        except RecordingError as error:
            print(f"handroll generate: {printable(error)}", file=sys.stderr)
            failed += 1
            continue
        print(f"\n{printable(recording)}, in {time.monotonic() - started:.0f} s")
        for title, path in files.items():
            print(f"  {title:<14}{path}")
    return 1 if failed else 0


def list_videos(options):
    """List the videos of addresses and add the new ones to the sheet.

    Returns
    -------
    int
        Exit status. 0: success. 1: an address could not be listed completely. 2: an address or the sheet is invalid.
    """
    from pydantic import ValidationError

    from handroll.acquire.back_off import Pace
    from handroll.acquire.candidates import merge_into_sheet
    from handroll.acquire.channels import Channel, list_channels
    from handroll.acquire.cookies import CookieFileError

    # The report describes each failure, so yt-dlp's own messages are not printed.
    logger = logging.getLogger("handroll")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    try:
        channels = [Channel(url=url, subject=options.subject) for url in options.urls]
        # Only two tries are made, since the user waits. The same command can be run again for failed addresses.
        listing = list_channels(channels, options.max_listed, Pace(tries=2, back_off_s=1.0, max_wait_s=10.0))
        added = merge_into_sheet(options.sheet, listing.candidates)
    except ValidationError as error:
        print(f"handroll list: {'; '.join(problem['msg'] for problem in error.errors())}", file=sys.stderr)
        return 2
    except (SheetError, CookieFileError) as error:
        print(f"handroll list: {error}", file=sys.stderr)
        return 2
    for line in listing.report():
        print(printable(line))
    print(f"{len(added)} new rows in {options.sheet}, {len(listing.candidates) - len(added)} videos were in it already")
    return 1 if listing.failed else 0


def take_down(options):
    """Remove all results that derive from the videos on the takedown list, and print their paths.

    Returns
    -------
    int
        Exit status. 0: success. 1: the results contain a link to another folder, which a person must check. 2: a sheet is invalid.
    """
    from handroll.acquire.takedown import read_takedown, remove_taken_down

    if not options.takedown.is_file():
        print(
            f"handroll takedown: expected the takedown list {options.takedown}, found no such file; give its path with --list",
            file=sys.stderr,
        )
        return 2
    try:
        takedowns = read_takedown(options.takedown)
        videos = read_sheet(options.sheet) if options.sheet.is_file() else []
    except SheetError as error:
        print(f"handroll takedown: {error}", file=sys.stderr)
        return 2
    removal = remove_taken_down(takedowns, options.directory, videos, options.dry_run)
    for path in removal.paths:
        print(path)
    done = "would be removed" if options.dry_run else "removed"
    print(f"{len(removal.paths)} files and folders of {len(removal.videos)} videos {done}, {removal.size_bytes / 1e6:.1f} MB")
    for path in removal.not_followed:
        print(f"handroll takedown: {path} is a link to another folder and is not followed; check that folder yourself", file=sys.stderr)
    return 1 if removal.not_followed else 0


def check_requirements(options):
    """Check the external requirements of a configuration and print a table.

    Returns
    -------
    int
        Exit status. 0: all requirements are satisfied. 1: a requirement is missing or wrong. 2: the configuration is invalid.
    """
    from handroll.acquire.http_file import DownloadError
    from handroll.config.files import read_config
    from handroll.config.pipeline import ConfigError
    from handroll.setup import doctor

    defaults = ROOT / "config" / "config.yaml"
    try:
        config = read_config([*([defaults] if defaults.is_file() else []), *options.configfile], options.config)
    except ConfigError as error:
        print(f"handroll doctor: {error}", file=sys.stderr)
        return 2
    if options.fetch:
        try:
            for line in doctor.fetch(config):
                print(line, flush=True)
        except (DownloadError, OSError, ValueError) as error:
            # The table that is printed next says what to do.
            print(f"handroll doctor: {error}", file=sys.stderr)
    findings = doctor.examine(config)
    for line in doctor.report_lines(findings):
        print(printable(line))
    return 1 if doctor.unsatisfied(findings) else 0


if __name__ == "__main__":
    sys.exit(main())
