"""Says what a file holds and what is wrong with it, without decoding more than its first frames and without raising."""

from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from operator import itemgetter

import av
import numpy as np

from handroll.media.concatenation import Piece, PieceCounter, demux, find_offsets, may_leap, offset_of
from handroll.media.file_signatures import MediaError, open_media, picture_kind
from handroll.media.streams import Clock, audio_stream, nominal_frame_s, showing, video_stream

FIRST_FRAME_PACKETS = 600
"""A stream that gives no frame within this many packets gives none: twice x264's longest distance between key frames, 250, and more."""

VARIABLE_SHARE = 0.1
"""An interval off the median by more than this share makes the frame rate variable, so that one dropped frame does."""

VARIABLE_S = 0.002
"""... but not by less than this: containers round times to milliseconds (Matroska)."""

MAX_AUDIO_RATE_HZ = 10_000_000
"""A file that announces a higher sampling rate is damaged, and its audio counts as missing; DSD, the fastest in use, has 5.6 MHz."""

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
    video_offsets_s, audio_offsets_s : tuple of float
        Container time of that zero for each piece of the stream: its own clock may start again (`media.concatenation`). Mostly one.
    joined_at_s : tuple of float
        Times since the first frame at which another recording begins, in files of joined recordings.
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
        Names of `handroll.reasons.Reason`; empty for a video that can be used.
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
    video_offsets_s: tuple[float, ...] = ()
    audio_offsets_s: tuple[float, ...] = ()
    joined_at_s: tuple[float, ...] = ()
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
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`; other keys are ignored."""
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})


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
        if not packets.whole:
            packets.n_stored -= 1
            del packets.frames[-1:]
        offsets = _offsets(container, video, packets)
        sound = _sound(audio, packets, offsets) if audio is not None else {}
        if video is None:
            kinds = ", ".join(f"{s.type} ({s.codec_context.name if s.codec_context else 'unknown codec'})" for s in container.streams)
            return Probe(
                **{**sound, "audio_start_s": None},
                **offsets,
                problems=("no_video_stream",),
                message=f"{path}: expected a video stream, found {f'only {kinds}' if kinds else 'no stream at all'}",
            )
        return _video(path, container, video, packets, sound, offsets)


def _reason(error):
    """What FFmpeg says, without its error number and the path."""
    return getattr(error, "strerror", None) or str(error)


def failed_probe(problem, message):
    """The `Probe` of a file that gives nothing, for the reason of this name."""
    return Probe(problems=(problem,), message=message)


@dataclass
class _Packets:
    """What a pass over a file's packets found: times in seconds of the container, nothing relative to anything yet.

    Attributes
    ----------
    frame : av.VideoFrame or None
        The first good one.
    frames : list of (order, pts_s, dts_s, piece)
        Of every presented frame, in the order of decoding; `order` numbers the packets of both streams.
    video, audio : list of joins.Piece
    n_stored, whole : int, bool
        Packets of the video; whether the last one is whole.
    sound_start_s, sound_piece : float or None, int
        The first good block of the audio, and the piece that it is in.
    error : str
        Where the file breaks off.
    """

    frame: object = None
    frames: list = field(default_factory=list)
    video: list = field(default_factory=list)
    audio: list = field(default_factory=list)
    n_stored: int = 0
    whole: bool = True
    sound_start_s: float | None = None
    sound_piece: int = 0
    error: str = ""

    @property
    def last_s(self):
        """The latest time of all packets; 0 where none has one."""
        ends = [piece.end_s for piece in self.audio if piece.end_s is not None]
        return max([0.0, *ends, *(t for _, pts_s, dts_s, _ in self.frames for t in (pts_s, dts_s) if t is not None)])


def _read_packets(container, video, audio):
    """Pass over all packets, decoding each stream up to its first good frame."""
    found, pending = _Packets(), FIRST_FRAME_PACKETS
    of_video, of_audio = PieceCounter(container), PieceCounter(container)
    demuxed = enumerate(demux(container, [s for s in (video, audio) if s is not None])) if video or audio else iter(())
    while True:
        try:
            order, packet = next(demuxed)
        except StopIteration:
            return found
        except (av.error.FFmpegError, OSError) as error:
            found.error = _reason(error)
            return found
        number = (of_video if packet.stream == video else of_audio).number_of(packet)
        pts_s, dts_s = _seconds(packet.pts, packet), _seconds(packet.dts, packet)
        if packet.stream == video:
            if found.frame is None and pending:
                found.frame, pending = _first_good(packet), pending - 1
            if packet.size:
                # The last packet is marked corrupt where the file is cut off. Those beside a join are, too, and are decoded.
                found.whole, found.n_stored = not packet.is_corrupt, found.n_stored + 1
                # An edit list may hide whole packets.
                if not packet.is_discard:
                    found.frames.append((order, pts_s, dts_s, number))
                    _extend(found.video, number, order, dts_s, pts_s if packet.is_keyframe else None, pts_s)
        else:
            if found.sound_start_s is None:
                frame = _first_good(packet)
                found.sound_start_s, found.sound_piece = (_seconds(frame.pts, frame), number) if frame is not None else (None, 0)
            if packet.size:
                end_s = None if pts_s is None else pts_s + (_seconds(packet.duration, packet) or 0.0)
                _extend(found.audio, number, order, dts_s, pts_s, end_s)


def _extend(pieces, number, order, dts_s, shown_s, end_s):
    """Add a packet to the piece of its stream that it belongs to."""
    time_s = next((t for t in (dts_s, shown_s, end_s) if t is not None), 0.0)
    while len(pieces) <= number:
        pieces.append(Piece(order, time_s, last_s=time_s))
    piece = pieces[number]
    piece.last_order = order
    piece.last_s = piece.last_s if dts_s is None else dts_s
    piece.shown_s = shown_s if piece.shown_s is None else piece.shown_s
    if end_s is not None:
        piece.end_s = end_s if piece.end_s is None else max(piece.end_s, end_s)


def _first_good(packet):
    """The first good frame that a packet gives, or None."""
    try:
        return next((frame for frame in packet.decode() if not frame.is_corrupt), None)
    except (av.error.FFmpegError, OSError):
        return None


def _seconds(ticks, timed):
    return None if ticks is None else float(ticks * timed.time_base)


def _offsets(container, video, packets):
    """The offset fields of a `Probe`; a file without video keeps the container's zero."""
    first_s = 0.0
    if packets.frame is not None:
        first_s = _seconds(packets.frame.dts if packets.frame.pts is None else packets.frame.pts, packets.frame) or 0.0
    frame_s = nominal_frame_s(video) if video is not None else 0.0
    video_packets = [(order, dts_s, number) for order, _, dts_s, number in packets.frames if dts_s is not None]
    of_video, of_audio = find_offsets(packets.video, packets.audio, video_packets, first_s, frame_s, may_leap(container))
    pieces, offsets_s = (packets.video, of_video) if packets.video else (packets.audio, of_audio)
    changes = [nth for nth in range(1, len(offsets_s)) if offsets_s[nth] != offsets_s[nth - 1]]
    joined_at_s = tuple(pieces[nth].shown_s - offsets_s[nth] for nth in changes)
    return {"video_offsets_s": tuple(of_video) or (first_s,), "audio_offsets_s": tuple(of_audio), "joined_at_s": joined_at_s}


def _sound(audio, packets, offsets):
    """The audio fields of a `Probe`."""
    if packets.sound_start_s is None or audio.rate > MAX_AUDIO_RATE_HZ:
        return {}
    zeros_s = offsets["audio_offsets_s"]
    start_s = packets.sound_start_s - offset_of(zeros_s, packets.sound_piece)
    ends_s = [piece.end_s - zero_s for piece, zero_s in zip(packets.audio, zeros_s, strict=True) if piece.end_s is not None]
    return {
        "has_audio": True,
        "audio_rate_hz": audio.rate,
        "audio_channels": audio.channels,
        "audio_start_s": start_s,
        "audio_duration_s": max([start_s, *ends_s]) - start_s,
    }


def _video(path, container, video, packets, sound, offsets):
    """The `Probe` of a file that has a video stream."""
    codec = video.codec_context.name
    if packets.frame is None:
        message = (
            f"{path}: expected frames, found {packets.n_stored} packets of {codec} and none that can be decoded {packets.error}".strip()
        )
        return Probe(**{**sound, "audio_start_s": None}, **offsets, codec=codec, problems=("no_frames",), message=message)

    times_s = _presented(packets, nominal_frame_s(video), offsets["video_offsets_s"])
    problems, messages = [], []
    # What a container of joined recordings announces is that of one of them, or nothing that makes sense.
    missing = "" if offsets["joined_at_s"] else _missing(container, video, packets)
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
    return Probe(
        **sound,
        **offsets,
        readable=True,
        width_px=shown.shown_size_px[0],
        height_px=shown.shown_size_px[1],
        rotation_deg=-90 * shown.quarter_turns % 360,
        fps=round(1.0 / float(np.mean(intervals_s)), 6),
        n_frames=len(times_s),
        duration_s=float(times_s[-1]) + usual_s,
        variable_frame_rate=bool(np.any(np.abs(intervals_s - usual_s) > max(VARIABLE_S, VARIABLE_SHARE * usual_s))),
        first_frame_s=offsets["video_offsets_s"][0],
        codec=codec,
        pixel_format=packets.frame.format.name,
        bit_depth=max(component.bits for component in packets.frame.format.components),
        problems=tuple(problems),
        message=f"{path}: {'; '.join(messages)}" if messages else "",
    )


def _presented(packets, nominal_s, offsets_s):
    """Times (frame,) since the first decodable frame, as `read_frames` gives them."""
    clock = Clock(nominal_s)
    first = packets.frame
    first_s = _seconds(first.dts if first.pts is None else first.pts, first)
    # Packets come in the order of decoding. They are brought into that of presentation piece by piece; without any pts both orders
    # are taken to be one.
    times_s = []
    for number, frames in groupby(packets.frames, key=itemgetter(3)):
        shown_s = [dts_s if pts_s is None else pts_s for _, pts_s, dts_s, _ in frames]
        ordered = shown_s if None in shown_s else sorted(shown_s)
        if number == 0:
            # What lies before the first decodable frame refers to frames that are not in the file.
            ordered = ordered[next((i for i, t in enumerate(ordered) if first_s is None or t == first_s), 0) :]
        else:
            clock.join(offsets_s[number])
        times_s += [t for t in map(clock.time, ordered) if t is not None]
    return np.array(times_s or [0.0])


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
    found_s = packets.last_s
    if expected_s - found_s > max(TRUNCATED_S, TRUNCATED_SHARE * expected_s):
        return f"expected {expected_s:.1f} s, found {found_s:.1f} s"
    return ""
