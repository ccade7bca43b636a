"""Report the content and the problems of a media file; decode only its first frames and never raise for bad media."""

from dataclasses import asdict, dataclass, field, fields
from itertools import groupby
from operator import itemgetter

import av
import numpy as np

from handroll.media.concatenation import Piece, PieceCounter, allows_discontinuities, demux, find_offsets, piece_offset
from handroll.media.safe_open import MediaError, image_format, open_media
from handroll.media.streams import TimestampConverter, audio_stream, display_transform, nominal_frame_s, video_stream

FIRST_FRAME_PACKETS = 600
"""Maximum number of video packets that are decoded to find the first frame. If they contain no frame, the stream counts as empty. Key
frames of x264 are at most 250 frames apart by default."""

VARIABLE_SHARE = 0.1
"""Minimum difference of a frame interval from the median, as a share of the median, for a variable frame rate. One such interval is enough,
for example at a dropped frame. The difference must also exceed `VARIABLE_S`."""

VARIABLE_S = 0.002
"""Minimum difference (s) of a frame interval from the median for a variable frame rate. Smaller ones come from containers that round times
to milliseconds (Matroska)."""

MAX_AUDIO_RATE_HZ = 10_000_000
"""Maximum sampling rate (Hz). A file that declares a higher one is damaged, and its audio counts as missing. The highest rate in use is
that of DSD, 5.6 MHz."""

TRUNCATED_S = 1.0
"""Minimum time (s) that is missing from the declared duration of a truncated file. Used if the container declares no number of frames."""

TRUNCATED_SHARE = 0.02
"""Minimum missing time of a truncated file, as a share of the declared duration. It must also exceed `TRUNCATED_S`."""


@dataclass(frozen=True)
class Probe:
    """Content of a media file; None for fields that do not apply.

    Attributes
    ----------
    readable : bool
        Whether at least one frame can be decoded.
    width_px, height_px : int
        Size as displayed: rotation applied, square pixels.
    rotation_deg : int
        Clockwise rotation from the stored frame to the upright one: 0, 90, 180 or 270. `read_frames` applies it.
    fps : float
        Mean frames per second between the first and the last frame.
    n_frames : int
        Number of presented frames.
    duration_s : float
        Time from the presentation of the first frame to the end of the last one.
    variable_frame_rate : bool
        Whether any interval between frames differs from the median by more than `VARIABLE_SHARE` and `VARIABLE_S`.
    first_frame_s : float
        Container time of the first presented frame, which is time 0 in handroll.
    video_offsets_s, audio_offsets_s : tuple of float
        Container time that corresponds to time 0, for each piece of the stream (`media.concatenation`). Most files have one piece.
    joined_at_s : tuple of float
        Times since the first frame at which another recording begins, in files of concatenated recordings.
    codec, pixel_format : str
        FFmpeg's names of the video codec and the pixel format.
    bit_depth : int
        Number of bits of a colour component.
    has_audio : bool
        Whether at least one audio block can be decoded.
    audio_rate_hz, audio_channels : int
        Sampling rate and number of channels of the audio.
    audio_start_s : float
        Time of the first audio sample, since the first frame.
    audio_duration_s : float
        Time from the first sample to the end of the last one.
    problems : tuple of str
        Names of `handroll.reasons.Reason`; empty for a usable video.
    message : str
        Description of the problems in one sentence: what was expected and what was found. Empty without problems.
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
        """Convert all fields to JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """Build a `Probe` from the result of `to_dict`; other keys are ignored."""
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})


def probe(path):
    """Report the content of a media file.

    All packets are read, so that frames are counted and timed and a cut-off file is detected. Only the first frames are
    decoded. Bad media never raise: `problems` lists what is wrong.

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
        audio_fields = _audio_fields(audio, packets, offsets) if audio is not None else {}
        if video is None:
            kinds = ", ".join(f"{s.type} ({s.codec_context.name if s.codec_context else 'unknown codec'})" for s in container.streams)
            return Probe(
                **{**audio_fields, "audio_start_s": None},
                **offsets,
                problems=("no_video_stream",),
                message=f"{path}: expected a video stream, found {f'only {kinds}' if kinds else 'no stream at all'}",
            )
        return _video_probe(path, container, video, packets, audio_fields, offsets)


def _ffmpeg_message(error):
    """Return FFmpeg's message without its error number and the path."""
    return getattr(error, "strerror", None) or str(error)


def failed_probe(problem, message):
    """Build the `Probe` of a file without usable content; `problem` is the name of a `Reason`."""
    return Probe(problems=(problem,), message=message)


@dataclass
class _Packets:
    """Result of reading all packets of a file. Times are container times in seconds.

    Attributes
    ----------
    frame : av.VideoFrame or None
        The first undamaged frame.
    frames : list of (order, pts_s, dts_s, piece)
        Every presented frame, in decoding order: its number among the packets of both streams, its presentation and decoding time, and
        the number of its piece (`media.concatenation`).
    video, audio : list of concatenation.Piece
        Pieces of both streams in file order; see `media.concatenation`.
    n_stored : int
        Number of video packets.
    whole : bool
        Whether the last video packet is complete.
    audio_start_s : float or None
        Time of the first undamaged audio block.
    audio_piece : int
        Number of the piece of that block.
    error : str
        FFmpeg's message at the point where the file is cut off; empty for a complete file.
    """

    frame: object = None
    frames: list = field(default_factory=list)
    video: list = field(default_factory=list)
    audio: list = field(default_factory=list)
    n_stored: int = 0
    whole: bool = True
    audio_start_s: float | None = None
    audio_piece: int = 0
    error: str = ""

    @property
    def last_s(self):
        """Latest time of all packets; 0 if no packet has a time."""
        ends = [piece.end_s for piece in self.audio if piece.end_s is not None]
        return max([0.0, *ends, *(t for _, pts_s, dts_s, _ in self.frames for t in (pts_s, dts_s) if t is not None)])


def _read_packets(container, video, audio):
    """Read all packets of the video and audio stream, and return them as `_Packets`. Decode each stream up to its first undamaged frame.

    `video`, `audio`: streams of the container; None if there is no such stream.
    """
    found, pending = _Packets(), FIRST_FRAME_PACKETS
    video_pieces, audio_pieces = PieceCounter(container), PieceCounter(container)
    demuxed = enumerate(demux(container, [s for s in (video, audio) if s is not None])) if video or audio else iter(())
    while True:
        try:
            order, packet = next(demuxed)
        except StopIteration:
            return found
        except (av.error.FFmpegError, OSError) as error:
            found.error = _ffmpeg_message(error)
            return found
        number = (video_pieces if packet.stream == video else audio_pieces).number_of(packet)
        pts_s, dts_s = _seconds(packet.pts, packet), _seconds(packet.dts, packet)
        if packet.stream == video:
            if found.frame is None and pending:
                found.frame, pending = _first_undamaged(packet), pending - 1
            if packet.size:
                # The last packet of a cut-off file is marked corrupt. Packets next to a join are marked, too, but can be decoded.
                found.whole, found.n_stored = not packet.is_corrupt, found.n_stored + 1
                # The edit list of an MP4 may exclude whole packets from presentation.
                if not packet.is_discard:
                    found.frames.append((order, pts_s, dts_s, number))
                    _extend(found.video, number, order, dts_s, pts_s if packet.is_keyframe else None, pts_s)
        else:
            if found.audio_start_s is None:
                frame = _first_undamaged(packet)
                found.audio_start_s, found.audio_piece = (_seconds(frame.pts, frame), number) if frame is not None else (None, 0)
            if packet.size:
                end_s = None if pts_s is None else pts_s + (_seconds(packet.duration, packet) or 0.0)
                _extend(found.audio, number, order, dts_s, pts_s, end_s)


def _extend(pieces, number, order, dts_s, presented_s, end_s):
    """Update a piece in the list `pieces` by the times (s) of one of its packets; append the piece if it is new.

    Parameters
    ----------
    pieces : list of Piece
        Pieces of a stream, changed in place.
    number : int
        Number of the packet's piece.
    order : int
        Number of the packet in the file, counted over all streams.
    dts_s, presented_s, end_s : float or None
        Decoding time of the packet, and its contribution to `Piece.presented_s` and `Piece.end_s`.
    """
    time_s = next((t for t in (dts_s, presented_s, end_s) if t is not None), 0.0)
    while len(pieces) <= number:
        pieces.append(Piece(order, time_s, last_s=time_s))
    piece = pieces[number]
    piece.last_order = order
    piece.last_s = piece.last_s if dts_s is None else dts_s
    piece.presented_s = presented_s if piece.presented_s is None else piece.presented_s
    if end_s is not None:
        piece.end_s = end_s if piece.end_s is None else max(piece.end_s, end_s)


def _first_undamaged(packet):
    """Return the first undamaged frame of a packet, or None."""
    try:
        return next((frame for frame in packet.decode() if not frame.is_corrupt), None)
    except (av.error.FFmpegError, OSError):
        return None


def _seconds(ticks, timed):
    """Convert a time of a packet or frame from ticks to seconds; None stays None."""
    return None if ticks is None else float(ticks * timed.time_base)


def _offsets(container, video, packets):
    """Return the fields `video_offsets_s`, `audio_offsets_s` and `joined_at_s` of a `Probe` as a dict.

    Without video, time 0 is time 0 of the container.
    """
    first_s = 0.0
    if packets.frame is not None:
        first_s = _seconds(packets.frame.dts if packets.frame.pts is None else packets.frame.pts, packets.frame) or 0.0
    frame_s = nominal_frame_s(video) if video is not None else 0.0
    video_packets = [(order, dts_s, number) for order, _, dts_s, number in packets.frames if dts_s is not None]
    video_offsets_s, audio_offsets_s = find_offsets(
        packets.video, packets.audio, video_packets, first_s, frame_s, allows_discontinuities(container)
    )
    pieces, offsets_s = (packets.video, video_offsets_s) if packets.video else (packets.audio, audio_offsets_s)
    joins = [number for number in range(1, len(offsets_s)) if offsets_s[number] != offsets_s[number - 1]]
    return {
        "video_offsets_s": tuple(video_offsets_s) or (first_s,),
        "audio_offsets_s": tuple(audio_offsets_s),
        "joined_at_s": tuple(pieces[number].presented_s - offsets_s[number] for number in joins),
    }


def _audio_fields(audio, packets, offsets):
    """Return the audio fields of a `Probe` as a dict; empty without decodable audio.

    `audio`: audio stream. `offsets`: result of `_offsets`.
    """
    if packets.audio_start_s is None or audio.rate > MAX_AUDIO_RATE_HZ:
        return {}
    offsets_s = offsets["audio_offsets_s"]
    start_s = packets.audio_start_s - piece_offset(offsets_s, packets.audio_piece)
    ends_s = [piece.end_s - offset_s for piece, offset_s in zip(packets.audio, offsets_s, strict=True) if piece.end_s is not None]
    return {
        "has_audio": True,
        "audio_rate_hz": audio.rate,
        "audio_channels": audio.channels,
        "audio_start_s": start_s,
        "audio_duration_s": max([start_s, *ends_s]) - start_s,
    }


def _video_probe(path, container, video, packets, audio_fields, offsets):
    """Return the `Probe` of a file that has a video stream.

    `audio_fields`: result of `_audio_fields`. `offsets`: result of `_offsets`.
    """
    codec = video.codec_context.name
    if packets.frame is None:
        cause = f": {packets.error}" if packets.error else ""
        message = f"{path}: expected frames, found {packets.n_stored} {codec} packets, none of which can be decoded{cause}"
        return Probe(**{**audio_fields, "audio_start_s": None}, **offsets, codec=codec, problems=("no_frames",), message=message)

    times_s = _presentation_times(packets, nominal_frame_s(video), offsets["video_offsets_s"])
    problems, messages = [], []
    # If recordings were joined, the container declares the duration of a single recording, or a meaningless duration.
    missing = "" if offsets["joined_at_s"] else _missing_part(container, video, packets)
    if missing:
        problems.append("truncated")
        messages.append(missing)
    if len(times_s) == 1:
        image = image_format(path)
        problems.append("source_is_picture" if image else "single_frame")
        messages.append(f"expected a video, found {f'a {image} image' if image else 'a single frame'}")
    intervals_s = np.diff(times_s) if len(times_s) > 1 else np.array([nominal_frame_s(video)])
    median_s = float(np.median(intervals_s))
    transform = display_transform(video, packets.frame)
    return Probe(
        **audio_fields,
        **offsets,
        readable=True,
        width_px=transform.display_size_px[0],
        height_px=transform.display_size_px[1],
        rotation_deg=-90 * transform.quarter_turns % 360,
        fps=round(1.0 / float(np.mean(intervals_s)), 6),
        n_frames=len(times_s),
        duration_s=float(times_s[-1]) + median_s,
        variable_frame_rate=bool(np.any(np.abs(intervals_s - median_s) > max(VARIABLE_S, VARIABLE_SHARE * median_s))),
        first_frame_s=offsets["video_offsets_s"][0],
        codec=codec,
        pixel_format=packets.frame.format.name,
        bit_depth=max(component.bits for component in packets.frame.format.components),
        problems=tuple(problems),
        message=f"{path}: {'; '.join(messages)}" if messages else "",
    )


def _presentation_times(packets, nominal_s, offsets_s):
    """Return the presentation times (frame,), s, since the first decodable frame. They equal those of `read_frames`.

    `nominal_s`: nominal frame duration, s. `offsets_s`: offset of each video piece, s.
    """
    converter = TimestampConverter(nominal_s)
    first = packets.frame
    first_s = _seconds(first.dts if first.pts is None else first.pts, first)
    # Packets come in decoding order and are sorted into presentation order, piece by piece. If a piece has a packet without any time,
    # both orders are assumed to be equal.
    times_s = []
    for number, frames in groupby(packets.frames, key=itemgetter(3)):
        presented_s = [dts_s if pts_s is None else pts_s for _, pts_s, dts_s, _ in frames]
        ordered = presented_s if None in presented_s else sorted(presented_s)
        if number == 0:
            # Frames before the first decodable one depend on frames that are not in the file.
            ordered = ordered[next((i for i, t in enumerate(ordered) if first_s is None or t == first_s), 0) :]
        else:
            converter.set_offset(offsets_s[number])
        times_s += [t for t in map(converter.time_s, ordered) if t is not None]
    return np.array(times_s or [0.0])


def _missing_part(container, video, packets):
    """Return a text with the expected and the found length if the file is cut off; empty for a complete file."""
    if "mp4" in container.format.name and video.frames:
        found = packets.n_stored
        cause = f": {packets.error}" if packets.error else ""
        return f"expected {video.frames} frames, found {found} complete frames{cause}" if found < video.frames else ""
    # Other containers declare at most a duration. (The frame count of AVI counts clock ticks.)
    if not container.duration:
        return ""
    expected_s = container.duration / av.time_base
    # Matroska declares the duration from time zero, not from the first frame. It is therefore compared with the latest packet time. This
    # comparison never reports a format whose times do not start at zero (MPEG-TS): FFmpeg computes its duration from the packets found.
    found_s = packets.last_s
    if expected_s - found_s > max(TRUNCATED_S, TRUNCATED_SHARE * expected_s):
        return f"expected a duration of {expected_s:.1f} s, found {found_s:.1f} s"
    return ""
