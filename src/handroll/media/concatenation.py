"""Files of concatenated recordings: find where timestamps restart, and give video and audio one continuous time axis.

Recorders and tools join recordings byte by byte (MPEG-TS, MPEG-PS, Matroska). Timestamps then jump backwards or forwards in the
middle of a file. A piece is a part of a stream with continuous timestamps. A piece of the audio gets the same time offset as the piece
of the video that it belongs to, so that video and audio stay in sync and no frame is lost.
"""

import logging
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import av
from av.format import Flags

LOGGER = logging.getLogger("handroll")

MAX_BACKWARD_S = 0.1
"""Maximum decrease (s) of decoding times within a piece of a stream. A larger one starts a new piece, as in ffmpeg, because decoding times
never decrease within a recording."""

MAX_FORWARD_S = 10.0
"""Maximum increase (s) of decoding times between two packets of a piece. A larger one starts a new piece, as with `dts_delta_threshold` of
ffmpeg."""

MAX_REPEATED_S = 10.0
"""Maximum backward jump (s) of timestamps that counts as a repetition, if only the video or only the audio jumps. The repeated content is
left out. After a larger jump, the content counts as new and is appended to the stream."""

MATCH_S = 1.0
"""Maximum time difference (s) between the start of an audio piece and a video packet of the video piece that it belongs to. Neighbouring
packets of a container differ by less."""

MATCH_PACKETS = 500
"""Maximum distance in the file, in packets of all streams, between the start of an audio piece and a video packet of the video piece that
it belongs to. Packets of the same time are closer in a container."""

SPAN_PACKETS = 8
"""Maximum distance in the file, in packets of all streams, from a break of the video to the end of an audio piece that counts as ending at
the break. An audio piece that continues for longer spans the break. Demuxers deliver some packets late, so one or two packets after the
break are not evidence."""


@dataclass
class Piece:
    """A part of a stream whose decoding times are continuous. Times are in seconds of the container.

    Attributes
    ----------
    order, last_order : int
        Numbers of the piece's first and last packet, counted over the packets of all streams in file order.
    first_s, last_s : float
        Decoding times of these packets.
    presented_s : float or None
        Presentation time of the first key frame (video) or of the first block (audio); None if unknown.
    end_s : float or None
        Latest presentation time (video), or end of the latest block (audio); None if unknown.
    """

    order: int
    first_s: float
    last_order: int = 0
    last_s: float = 0.0
    presented_s: float | None = None
    end_s: float | None = None


class PieceCounter:
    """Number the pieces of one stream from 0, packet by packet.

    Parameters
    ----------
    container : av.container.InputContainer
        The opened file; its format determines whether timestamps may be discontinuous.
    """

    def __init__(self, container):
        self.number = 0
        self._allows_discontinuities = allows_discontinuities(container)
        self._last_dts_s, self._last_time_s, self._delay = None, None, 0

    def number_of(self, packet):
        """Return the piece number of the stream's next packet; correct a wrong presentation time of the packet."""
        pts_s, dts_s = (None if ticks is None else float(ticks * packet.time_base) for ticks in (packet.pts, packet.dts))
        if pts_s is not None and dts_s is not None:
            if _is_continuous(pts_s, dts_s):
                self._delay = packet.pts - packet.dts
            elif packet.is_keyframe or _is_continuous(pts_s, self._last_time_s):
                # Matroska stores no decoding times. After a break, FFmpeg derives them from packets before the break, so they are wrong.
                dts_s = None
            elif self._allows_discontinuities:
                # FFmpeg derives a missing presentation time from the next packet, which here belongs to another recording.
                packet.pts = packet.dts + self._delay
        # The first packets of Matroska have no decoding time. For a key frame, its presentation time is a good estimate.
        time_s = pts_s if dts_s is None and packet.is_keyframe else dts_s
        if time_s is None:
            return self.number
        if not _is_continuous(time_s, self._last_dts_s):
            self.number += 1
            self._last_dts_s = None
        self._last_time_s = time_s
        if dts_s is not None:
            self._last_dts_s = dts_s
        return self.number


def allows_discontinuities(container):
    """Return whether FFmpeg allows discontinuous timestamps in this container format (MPEG-TS, MPEG-PS)."""
    return bool(container.format.flags & Flags.ts_discont.value)


def _is_continuous(time_s, before_s):
    """Return whether `time_s` can follow the time `before_s` within one recording."""
    return before_s is None or -MAX_BACKWARD_S <= time_s - before_s <= MAX_FORWARD_S


def demux(container, streams):
    """Yield the packets of some streams in file order, then an empty packet for each stream, which drains its decoder."""
    try:
        yield from container.demux(streams)
    except IndexError:
        # At the end, PyAV 18 flushes the requested streams, and then fails on streams that appear in the middle of the file.
        return


def decode(container, stream, offset_of, faults):
    """Decode the undamaged frames (or audio blocks) of a stream, each with the offset of its piece.

    The decoder is drained and reset between concatenated recordings.

    Parameters
    ----------
    container : av.container.InputContainer
    stream : av.stream.Stream
    offset_of : callable
        Returns the offset (s) of a piece by its number. Two pieces with the same offset belong to one recording.
    faults : dict
        Counter, changed in place: `damaged` is increased by the number of frames and packets that cannot be decoded.

    Yields
    ------
    (av.frame.Frame, offset)
        Frames in presentation order, up to the point where the file is cut off, each with the offset (s) of its piece.
    """
    pieces, packets, offset = PieceCounter(container), demux(container, stream), offset_of(0)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            LOGGER.warning("%s: the file is cut off: %s", container.name, error.strerror)
            yield from ((frame, offset) for frame in _undamaged_frames(stream, None, faults))
            return
        following = offset_of(pieces.number_of(packet))
        if following != offset:
            yield from ((frame, offset) for frame in _undamaged_frames(stream, None, faults))
            stream.codec_context.flush_buffers()
            offset = following
        yield from ((frame, offset) for frame in _undamaged_frames(stream, packet, faults))


def _undamaged_frames(stream, packet, faults):
    """Decode a packet and return its undamaged frames. A packet of None drains the decoder. `faults`: see `decode`."""
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


def piece_offset(offsets_s, number):
    """Return the offset of a piece by its number. A piece without a complete packet is not in the list and has the last offset."""
    return offsets_s[min(number, len(offsets_s) - 1)]


def find_offsets(video, audio, video_packets, first_s, frame_s, discontinuities):
    """Find the container time that corresponds to time 0, for every piece of both streams.

    Parameters
    ----------
    video, audio : list of Piece
        Pieces of the stream in file order; empty if the file has no such stream.
    video_packets : list of (order, time_s, piece)
        Number in file order, decoding time and piece number of every video packet that has a decoding time, in file order.
    first_s : float
        Container time of the first decodable frame.
    frame_s : float
        Nominal duration of a video frame.
    discontinuities : bool
        Whether timestamps may be discontinuous (`allows_discontinuities`). If not, a forward jump of only one stream is a real gap.

    Returns
    -------
    video_offsets_s, audio_offsets_s : list of float
        Offset of each piece: time = container time - offset. If the offsets of consecutive pieces differ, another recording begins.
    """
    matches = [_matching_video_piece(piece, video_packets) for piece in audio]
    video_offsets_s = _video_offsets(video, set(matches), audio, first_s, frame_s, discontinuities)
    audio_offsets_s, end_s = [], None
    for number, (piece, match) in enumerate(zip(audio, matches, strict=True)):
        before = audio_offsets_s[-1] if number else first_s
        backward_s = audio[number - 1].last_s - piece.first_s if number else 0.0
        restarts = backward_s > (MAX_REPEATED_S if video else MAX_BACKWARD_S) or (discontinuities and not video and backward_s < 0.0)
        if match is not None:
            audio_offsets_s.append(video_offsets_s[match])
        elif restarts and end_s is not None:
            audio_offsets_s.append(piece.first_s - end_s)
        else:
            audio_offsets_s.append(before)
        if piece.end_s is not None:
            end_s = max(end_s or 0.0, piece.end_s - audio_offsets_s[-1])
    return video_offsets_s, audio_offsets_s


def _video_offsets(video, with_audio, audio, first_s, frame_s, discontinuities):
    """Return the offsets (s) of the video pieces, a list of float.

    `with_audio`: set of the numbers of the video pieces in which an audio piece begins. Other parameters: see `find_offsets`.
    """
    offsets_s, end_s = [first_s] * min(len(video), 1), 0.0
    for number, (before, piece) in enumerate(pairwise(video), 1):
        end_s = max(end_s, (before.end_s or first_s) - offsets_s[-1])
        spanned = any(other.order < piece.order and other.last_order > piece.order + SPAN_PACKETS for other in audio)
        backward_s = before.last_s - piece.first_s
        restarts = backward_s > (MAX_REPEATED_S if spanned else 0.0) or (backward_s < 0.0 and discontinuities and not spanned)
        joined = piece.presented_s is not None and (number in with_audio or restarts)
        offsets_s.append(piece.presented_s - (end_s + frame_s) if joined else offsets_s[-1])
    return offsets_s


def _matching_video_piece(piece, video_packets):
    """Return the number of the video piece that the audio piece `piece` belongs to; None if no video packet is near.

    `video_packets`: see `find_offsets`.
    """
    first = bisect_left(video_packets, (piece.order - MATCH_PACKETS,))
    last = bisect_left(video_packets, (piece.order + MATCH_PACKETS,))
    near = [packet for packet in video_packets[first:last] if abs(packet[1] - piece.first_s) <= MATCH_S]
    # Of two equally near packets, the later one is used, because a piece begins at a break.
    return min(near, key=lambda packet: (abs(packet[0] - piece.order), -packet[0]), default=(0, 0.0, None))[2]
