"""Joined recordings: where the clock of a file starts again, and one continuous clock for its video and its audio.

Recorders and tools join recordings byte by byte (MPEG-TS, MPEG-PS, Matroska), so that time stamps fall back or leap in the middle
of a file. Both streams then get the same new offset, so that video and audio stay together in every piece, and nothing is lost.
"""

import logging
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import av
from av.format import Flags

LOGGER = logging.getLogger("handroll")

BACK_S = 0.1
"""Decoding times never fall within a recording. Where they fall by more than this (s), a piece of the stream ends, as in ffmpeg."""

LEAP_S = 10.0
"""Where decoding times leap by more than this (s), a piece of the stream ends, too: `dts_delta_threshold` of ffmpeg."""

ALONE_S = 10.0
"""Where one stream falls back and the other does not, the repeated time is left out, up to this much (s); beyond it the stream
continues after its last moment."""

NEAR_S, NEAR_PACKETS = 1.0, 500
"""A piece of the audio belongs to the piece of the video that is nearest in the file, at most so many packets away, among the packets
whose times are no farther than this (s): containers interleave their streams more closely."""

SPAN_PACKETS = 8
"""A stream whose piece has packets this far behind a break in the other stream has no break there. Demuxers hold back one or two."""


@dataclass
class Piece:
    """A stretch of a stream whose decoding times neither fall back nor leap. Times in seconds of the container.

    Attributes
    ----------
    order, last_order : int
        Numbers of its first and last packet among all packets, in file order.
    first_s, last_s : float
        Decoding times of these packets.
    shown_s : float or None
        Presentation time of the first key frame (video) or block (audio).
    end_s : float or None
        Latest presentation time (video), or end of the latest block (audio).
    """

    order: int
    first_s: float
    last_order: int = 0
    last_s: float = 0.0
    shown_s: float | None = None
    end_s: float | None = None


class PieceCounter:
    """Numbers the pieces of one stream, packet by packet, from 0.

    Parameters
    ----------
    container : av.container.InputContainer
    """

    def __init__(self, container):
        self.number = 0
        self._derives = may_leap(container)
        self._last_s, self._near_s, self._delay = None, None, 0

    def number_of(self, packet):
        """The number of the piece that the next packet of the stream belongs to; corrects a wrong presentation time."""
        pts_s, dts_s = (None if ticks is None else float(ticks * packet.time_base) for ticks in (packet.pts, packet.dts))
        if pts_s is not None and dts_s is not None:
            if _follows(pts_s, dts_s):
                self._delay = packet.pts - packet.dts
            elif packet.is_keyframe or _follows(pts_s, self._near_s):
                # Matroska has no decoding times; those after a break are derived from before it.
                dts_s = None
            elif self._derives:
                # FFmpeg derives missing presentation times from the next packet, which is of another recording.
                packet.pts = packet.dts + self._delay
        # At the start of Matroska the decoding times are missing; that of a key frame is just before its presentation.
        time_s = pts_s if dts_s is None and packet.is_keyframe else dts_s
        if time_s is None:
            return self.number
        if not _follows(time_s, self._last_s):
            self.number += 1
            self._last_s = None
        self._near_s = time_s
        if dts_s is not None:
            self._last_s = dts_s
        return self.number


def may_leap(container):
    """Whether FFmpeg knows the container (MPEG-TS, MPEG-PS) as one whose times may fall back and leap."""
    return bool(container.format.flags & Flags.ts_discont.value)


def _follows(time_s, before_s):
    """Whether a time may come after another one within a recording."""
    return before_s is None or -BACK_S <= time_s - before_s <= LEAP_S


def demux(container, streams):
    """The packets of some streams, in file order. At the end comes an empty one for each, whose decoding drains the decoder."""
    try:
        yield from container.demux(streams)
    except IndexError:
        # PyAV 18 also asks for the end of streams that appear within a file, and does not know them. Those named come before.
        return


def decode(container, stream, offset_of, faults):
    """Good frames (or blocks of audio) of a stream, piece by piece, each with the offset of its piece.

    A joined recording is decoded like a file of its own.

    Parameters
    ----------
    container : av.container.InputContainer
    stream : av.stream.Stream
    offset_of : callable
        The offset (s) of a piece, by its number; two pieces of the same offset are of one recording.
    faults : dict
        `damaged`: counts the frames and packets that cannot be decoded.

    Yields
    ------
    (av.frame.Frame, offset)
        In the order in which the decoder presents them, up to where the file breaks off.
    """
    pieces, packets, offset = PieceCounter(container), demux(container, stream), offset_of(0)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            LOGGER.warning("%s: the file breaks off: %s", container.name, error.strerror)
            yield from ((frame, offset) for frame in _good_frames(stream, None, faults))
            return
        following = offset_of(pieces.number_of(packet))
        if following != offset:
            yield from ((frame, offset) for frame in _good_frames(stream, None, faults))
            stream.codec_context.flush_buffers()
            offset = following
        yield from ((frame, offset) for frame in _good_frames(stream, packet, faults))


def _good_frames(stream, packet, faults):
    """The good frames that a packet gives, or, for None, those that the decoder still holds; counts the others in `faults`."""
    try:
        frames = stream.decode(packet)
    except av.error.EOFError:
        return []
    except av.error.FFmpegError:
        faults["damaged"] += 1
        return []
    good = [frame for frame in frames if not frame.is_corrupt]
    faults["damaged"] += len(frames) - len(good)
    return good


def offset_of(offsets_s, number):
    """The offset of a piece; a piece without any whole packet has none of its own and is like the one before."""
    return offsets_s[min(number, len(offsets_s) - 1)]


def find_offsets(video, audio, video_packets, first_s, frame_s, leaps):
    """The container time of the zero of all times, for every piece of both streams.

    Parameters
    ----------
    video, audio : list of Piece
        In file order; empty where there is no such stream.
    video_packets : list of (order, time_s, piece)
        Of every packet of the video with a decoding time, in file order.
    first_s : float
        Container time of the first decodable frame.
    frame_s : float
        Nominal duration of a frame.
    leaps : bool
        As `may_leap` returns. Elsewhere a leap of one stream alone is a real gap.

    Returns
    -------
    video_offsets_s, audio_offsets_s : list of float
        One for each piece: time = container time - offset. Where two neighbours differ, recordings are joined.
    """
    owners = [_owner(piece, video_packets) for piece in audio]
    video_offsets_s = _continuous(video, set(owners), audio, first_s, frame_s, leaps)
    audio_offsets_s, end_s = [], None
    for nth, (piece, owner) in enumerate(zip(audio, owners, strict=True)):
        before = audio_offsets_s[-1] if nth else first_s
        fell_s = audio[nth - 1].last_s - piece.first_s if nth else 0.0
        alone = fell_s > (ALONE_S if video else BACK_S) or (leaps and not video and fell_s < 0.0)
        if owner is not None:
            audio_offsets_s.append(video_offsets_s[owner])
        elif alone and end_s is not None:
            audio_offsets_s.append(piece.first_s - end_s)
        else:
            audio_offsets_s.append(before)
        if piece.end_s is not None:
            end_s = max(end_s or 0.0, piece.end_s - audio_offsets_s[-1])
    return video_offsets_s, audio_offsets_s


def _continuous(pieces, begun, others, first_s, frame_s, leaps):
    """Offsets of the video's pieces; `begun` are those in which a piece of the other stream begins, too."""
    offsets_s, end_s = [first_s] * min(len(pieces), 1), 0.0
    for nth, (before, piece) in enumerate(pairwise(pieces), 1):
        end_s = max(end_s, (before.end_s or first_s) - offsets_s[-1])
        spanned = any(other.order < piece.order and other.last_order > piece.order + SPAN_PACKETS for other in others)
        fell_s = before.last_s - piece.first_s
        alone = fell_s > (ALONE_S if spanned else 0.0) or (fell_s < 0.0 and leaps and not spanned)
        joined = piece.shown_s is not None and (nth in begun or alone)
        offsets_s.append(piece.shown_s - (end_s + frame_s) if joined else offsets_s[-1])
    return offsets_s


def _owner(piece, video_packets):
    """The number of the video's piece that a piece of the audio belongs to; None where no packet of the video is near."""
    first = bisect_left(video_packets, (piece.order - NEAR_PACKETS,))
    last = bisect_left(video_packets, (piece.order + NEAR_PACKETS,))
    near = [packet for packet in video_packets[first:last] if abs(packet[1] - piece.first_s) <= NEAR_S]
    # Of two that are as near, the later one: at a break a piece begins.
    return min(near, key=lambda packet: (abs(packet[0] - piece.order), -packet[0]), default=(0, 0.0, None))[2]
