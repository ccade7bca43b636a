"""Says what a file holds and what is wrong with it, without decoding more than its first frames and without raising."""

from dataclasses import asdict, dataclass, field, fields

import av
import numpy as np

from handroll.video.containers import MediaError, open_media, picture_kind
from handroll.video.streams import RESTART_S, Clock, audio_stream, nominal_frame_s, showing, video_stream

FIRST_FRAME_PACKETS = 600
"""A stream that gives no frame within this many packets gives none: twice x264's longest distance between key frames, 250, and more."""

VARIABLE_SHARE = 0.1
"""An interval off the median by more than this share makes the frame rate variable, so that one dropped frame does."""

VARIABLE_S = 0.002
"""... but not by less than this: containers round times to milliseconds (Matroska)."""

TRUNCATED_S, TRUNCATED_SHARE = 1.0, 0.02
"""How much of the announced duration may be missing where the container does not count its frames, in seconds and as a share."""


@dataclass(frozen=True)
class Probe:
    """What a media file holds; None for what does not exist.

    Attributes
    ----------
    readable : bool
        At least one frame can be decoded.
    width_px, height_px : int
        Size as shown: rotation applied, pixels made square.
    rotation_deg : int
        Clockwise rotation of the stored picture that shows it upright: 0, 90, 180 or 270. `read_frames` applies it.
    fps : float
        Mean frames per second between the first and the last frame.
    n_frames : int
        Presented frames in the file.
    duration_s : float
        From the first frame's presentation to the end of the last one's.
    variable_frame_rate : bool
        Some interval between frames is off the usual one.
    first_frame_s : float
        Container time of the first presented frame: zero of all times in handroll.
    codec, pixel_format : str
        FFmpeg's names.
    bit_depth : int
        Bits of a colour component.
    has_audio : bool
    audio_rate_hz, audio_channels : int
    audio_start_s : float
        First sample, since the first frame.
    audio_duration_s : float
        From the first sample to the end of the last one.
    problems : tuple of str
        Names of `handroll.screen.reasons.Reason`; empty for a video that can be used.
    message : str
        What was expected and found, in one sentence; empty without problems.
    """

    readable: bool = False
    width_px: int | None = None
    height_px: int | None = None
    rotation_deg: int | None = None
    fps: float | None = None
    n_frames: int = 0
    duration_s: float | None = None
    variable_frame_rate: bool | None = None
    first_frame_s: float | None = None
    codec: str | None = None
    pixel_format: str | None = None
    bit_depth: int | None = None
    has_audio: bool = False
    audio_rate_hz: int | None = None
    audio_channels: int | None = None
    audio_start_s: float | None = None
    audio_duration_s: float | None = None
    problems: tuple[str, ...] = ()
    message: str = ""

    def to_dict(self):
        """All fields as JSON values."""
        return {**asdict(self), "problems": list(self.problems)}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`; other keys are ignored."""
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**known | {"problems": tuple(values["problems"])})


def probe(path):
    """Look into a media file.

    Reads the packets of the whole file, so that frames are counted and timed and a cut-off file is noticed, but
    decodes no more than the first frames. Never raises for bad media: what is wrong stands in `problems`.

    Parameters
    ----------
    path : path of a file, existing or not

    Returns
    -------
    Probe
    """
    try:
        container = open_media(path)
    except MediaError as error:
        return failed_probe(error.reason, str(error))
    with container:
        video, audio = video_stream(container), audio_stream(container)
        packets = _read_packets(container, video, audio)
        sound = _sound(audio, packets) if audio is not None else {}
        if video is None:
            kinds = ", ".join(f"{s.type} ({s.codec_context.name if s.codec_context else 'unknown codec'})" for s in container.streams)
            return Probe(
                **{**sound, "audio_start_s": None},
                problems=("no_video_stream",),
                message=f"{path}: expected a video stream, found {f'only {kinds}' if kinds else 'no stream at all'}",
            )
        return _video(path, container, video, packets, sound)


def _reason(error):
    """What FFmpeg says, without its error number and the path."""
    return getattr(error, "strerror", None) or str(error)


def failed_probe(problem, message):
    """The `Probe` of a file that gives nothing, for the reason of this name."""
    return Probe(problems=(problem,), message=message)


@dataclass
class _Packets:
    """What a pass over a file's packets found: times in seconds of the container, nothing relative to anything yet."""

    frame: object = None
    pts_s: list = field(default_factory=list)
    n_stored: int = 0
    sound_start_s: float | None = None
    sound_end_s: float | None = None
    error: str = ""


def _read_packets(container, video, audio):
    """Pass over all packets, decoding each stream up to its first good frame."""
    found, pending = _Packets(), FIRST_FRAME_PACKETS
    demuxed = container.demux([s for s in (video, audio) if s is not None]) if video or audio else iter(())
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return found
        except (av.error.FFmpegError, OSError) as error:
            found.error = _reason(error)
            return found
        if packet.stream == video:
            if found.frame is None and pending:
                found.frame, pending = _first_good(packet), pending - 1
            # A packet that was cut off with the file is marked corrupt; an edit list may hide whole ones.
            if packet.size and not packet.is_corrupt:
                found.n_stored += 1
                if not packet.is_discard:
                    found.pts_s.append((_seconds(packet.pts, packet), _seconds(packet.dts, packet)))
        elif packet.stream == audio:
            if found.sound_start_s is None:
                frame = _first_good(packet)
                found.sound_start_s = _seconds(frame.pts, frame) if frame is not None else None
            if packet.size and packet.pts is not None:
                found.sound_end_s = max(found.sound_end_s or -np.inf, _seconds(packet.pts + (packet.duration or 0), packet))


def _first_good(packet):
    """The first good frame that a packet gives, or None."""
    try:
        return next((frame for frame in packet.decode() if not frame.is_corrupt), None)
    except (av.error.FFmpegError, OSError):
        return None


def _seconds(ticks, timed):
    return None if ticks is None else float(ticks * timed.time_base)


def _sound(audio, packets):
    """The audio fields of a `Probe`, its start still in container time."""
    if packets.sound_start_s is None:
        return {}
    return {
        "has_audio": True,
        "audio_rate_hz": audio.rate,
        "audio_channels": audio.channels,
        "audio_start_s": packets.sound_start_s,
        "audio_duration_s": max(0.0, packets.sound_end_s - packets.sound_start_s),
    }


def _video(path, container, video, packets, sound):
    """The `Probe` of a file that has a video stream."""
    codec = video.codec_context.name
    if packets.frame is None:
        message = (
            f"{path}: expected frames, found {packets.n_stored} packets of {codec} and none that can be decoded {packets.error}".strip()
        )
        return Probe(**{**sound, "audio_start_s": None}, codec=codec, problems=("no_frames",), message=message)

    times_s, start_s = _presented(packets, nominal_frame_s(video))
    problems, messages = [], []
    missing = _missing(container, video, packets)
    if missing:
        problems.append("truncated")
        messages.append(missing)
    if len(times_s) == 1:
        picture = picture_kind(path)
        problems.append("source_is_picture" if picture else "single_frame")
        messages.append(f"expected a video, found {f'a {picture} picture' if picture else 'a single frame'}")
    intervals_s = np.diff(times_s) if len(times_s) > 1 else np.array([nominal_frame_s(video)])
    usual_s = float(np.median(intervals_s))
    shown = showing(video, packets.frame)
    if sound:
        sound["audio_start_s"] -= start_s
    return Probe(
        **sound,
        readable=True,
        width_px=shown.shown_size_px[0],
        height_px=shown.shown_size_px[1],
        rotation_deg=-90 * shown.quarter_turns % 360,
        fps=round(1.0 / float(np.mean(intervals_s)), 6),
        n_frames=len(times_s),
        duration_s=float(times_s[-1]) + usual_s,
        variable_frame_rate=bool(np.any(np.abs(intervals_s - usual_s) > max(VARIABLE_S, VARIABLE_SHARE * usual_s))),
        first_frame_s=start_s,
        codec=codec,
        pixel_format=packets.frame.format.name,
        bit_depth=max(component.bits for component in packets.frame.format.components),
        problems=tuple(problems),
        message=f"{path}: {'; '.join(messages)}" if messages else "",
    )


def _presented(packets, nominal_s):
    """Times (frame,) since the first decodable frame, as `read_frames` gives them, and that frame's container time."""
    clock = Clock(nominal_s)
    first = packets.frame
    first_s = _seconds(first.dts if first.pts is None else first.pts, first)
    # Packets come in the order of decoding. They are brought into that of presentation piece by piece, a piece
    # ending where the clock starts again; without any pts both orders are taken to be one.
    pieces, latest_s = [[]], -np.inf
    for pts_s, dts_s in packets.pts_s:
        time_s = dts_s if pts_s is None else pts_s
        if time_s is not None and time_s < latest_s - RESTART_S:
            pieces.append([])
            latest_s = -np.inf
        latest_s = latest_s if time_s is None else max(latest_s, time_s)
        pieces[-1].append(time_s)
    ordered = [t for piece in pieces for t in (piece if None in piece else sorted(piece))]
    # What lies before the first decodable frame refers to frames that are not in the file.
    start = next((i for i, t in enumerate(ordered) if first_s is None or t == first_s), 0)
    times_s = [t for t in map(clock.time, ordered[start:]) if t is not None]
    return np.array(times_s or [0.0]), first_s or 0.0


def _missing(container, video, packets):
    """What a cut-off file lacks, in words; empty for a whole one."""
    if "mp4" in container.format.name and video.frames:
        found = packets.n_stored
        return f"expected {video.frames} frames, found {found} whole ones {packets.error}".strip() if found < video.frames else ""
    # Other containers announce a duration (AVI's frame count counts ticks of its clock instead).
    if not container.duration:
        return ""
    expected_s = container.duration / av.time_base
    # Matroska's duration counts from zero, not from the first frame; where a clock starts elsewhere (MPEG-TS) the
    # announced duration was itself measured from the file.
    found_s = max([packets.sound_end_s or 0.0, *(t for pair in packets.pts_s for t in pair if t is not None)])
    if expected_s - found_s > max(TRUNCATED_S, TRUNCATED_SHARE * expected_s):
        return f"expected {expected_s:.1f} s, found {found_s:.1f} s"
    return ""
