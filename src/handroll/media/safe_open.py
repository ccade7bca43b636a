"""Open media files safely: only containers that hold their own streams. Identify the kind of any other file."""

import os
import stat
from pathlib import Path

import av

HEAD_BYTES = 512
"""Number of bytes read to identify a file: more than two packets of an MPEG transport stream."""

DEMUXERS = (
    # Video containers.
    "mov,matroska,mpegts,mpeg,avi,flv,asf,ogg,mxf,gxf,nut,wtv,rm,dv,ivf,nsv,pva,dhav,gif,yuv4mpegpipe,"
    # Video without a container.
    "h264,hevc,vvc,av1,obu,m4v,mpegvideo,mjpeg,vc1,h261,h263,dirac,cavsvideo,"
    # Audio files. They are opened, so that the error message can say that a file contains only audio.
    "wav,w64,mp3,aac,flac,aiff,caf,ac3,eac3,dts,amr,au,ape,wv,tta,tak,voc"
)
"""The allowed demuxers of FFmpeg. All others are refused, because many of them make FFmpeg open other files: scripts, playlists and
descriptions (concat, hls, dash, sdp, imf, image2, ...)."""

OPTIONS = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file", "enable_drefs": "0", "use_absolute_path": "0"}
"""Options of FFmpeg's demuxers. They forbid the network, and external files that an MP4 refers to."""

# Packet lengths (bytes) of a transport stream: plain (ISO/IEC 13818-1), with a time code (Blu-ray), with error correction (DVB).
_TS_PACKET_BYTES = (188, 192, 204)

# First bytes of containers, from their specifications and from FFmpeg, and names of the containers.
_AT_START = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"OggS", "ogg"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)

# Box types that an MP4, QuickTime or fragmented MP4 file starts with (ISO/IEC 14496-12), after four bytes of length.
_ISO_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"sidx")

# First bytes of image files, from their specifications.
_IMAGES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)

# Brands of ISO files that hold still images (ISO/IEC 23008-12, AV1 Image File Format).
_IMAGE_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}

# First bytes of playlists and stream descriptions, lower case.
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"v=0\r\n", b"v=0\n", b"[playlist]", b"[reference]", b"<asx", b"<smil", b"<mpd", b"# vobsub")

# XML elements of playlists and stream descriptions, lower case.
_PLAYLIST_ELEMENTS = (b"<mpd", b"<smil", b"<asx", b"<playlist", b"<smoothstreamingmedia", b"<compositionplaylist")

# First bytes of web pages, lower case.
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")


class MediaError(ValueError):
    """Raised for a file that cannot be read as a video.

    Attributes
    ----------
    reason : str
        Name of the `handroll.reasons.Reason`.
    """

    def __init__(self, message, reason="unreadable"):
        super().__init__(message)
        self.reason = reason


def open_media(path):
    """Open a media file for reading with PyAV. All code that opens an input file uses this function.

    FFmpeg detects the format from the content, but accepts only the formats of `DEMUXERS`, so it never opens another file.

    Parameters
    ----------
    path : path of a file

    Returns
    -------
    av.container.InputContainer

    Raises
    ------
    MediaError
        The file does not exist, or is not a media file that holds its own streams.
    """
    check_file(path)
    try:
        # FFmpeg never reads an absolute path as an address or a protocol (`concat:a|b`, `subfile,,...`).
        return av.open(os.path.abspath(path), options=dict(OPTIONS), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason, found = file_kind(path)
        if reason == "unreadable" and not is_refused(error):
            found = f"{found} that cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise MediaError(f"{path}: expected a video file, found {found}", reason) from error


def is_refused(error):
    """Return whether an exception of `av.open` means that the format is not in `DEMUXERS`. Other exceptions mean a damaged file."""
    return isinstance(error, av.error.ArgumentError)


def check_file(path):
    """Raise `MediaError` unless the path is a readable file of at least one byte."""
    path = Path(path)
    try:
        found = path.stat()
    except PermissionError:
        raise _no_permission(path) from None
    except (OSError, ValueError):
        found = None
    if found and stat.S_ISDIR(found.st_mode):
        raise MediaError(f"{path}: expected a video file, found a folder", "source_is_folder")
    if not found or not stat.S_ISREG(found.st_mode):
        raise MediaError(f"{path}: expected a video file, found no file", "source_missing")
    if found.st_size == 0:
        raise MediaError(f"{path}: expected a video file, found an empty file", "source_empty")
    if not os.access(path, os.R_OK):
        raise _no_permission(path)


def _no_permission(path):
    """Build the MediaError for a file that may not be read."""
    return MediaError(f"{path}: expected a video file, found a file that you have no permission to read", "source_locked")


def container_of(path):
    """Identify a media container by its first bytes: iso, matroska, mpegts, flv, avi, wav, ogg, mpeg, asf, flac, mp3, aac.

    Returns
    -------
    str or None
        None for everything else: text (web pages, HLS and other playlists), images, archives, an empty file.
    """
    head = _head(path)
    for start, name in _AT_START:
        if head.startswith(start):
            return name
    # A file that starts with a printable character is a text. In an ISO file, this byte would belong to the length of the first box, and
    # would mean a length of more than 500 MB.
    if head[4:8] in _ISO_BOXES and (head[4:8] == b"ftyp" or not 0x20 <= head[0] < 0x7F):
        return "iso"
    if head[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    # Three packets in a row must start with a sync byte. In packets with a time code, the sync byte is four bytes later.
    for length in _TS_PACKET_BYTES:
        first = 4 if length == 192 else 0
        if len(head) > first + 2 * length and all(head[first + n * length] == 0x47 for n in range(3)):
            return "mpegts"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFE:
        # The layer bits are 0 for AAC (ADTS) and not 0 for MPEG audio. The bytes FF FE, excluded above, start a text in UTF-16.
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    return None


def file_kind(path):
    """Identify a file that cannot be opened as a video.

    Returns
    -------
    reason : str
        Name of the `handroll.reasons.Reason`; "unreadable" if the kind is unknown.
    found : str
        The kind in words, for a message: "a JPEG image", "a web page", "a file of an unknown kind".
    """
    head = _head(path)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    image = image_format(path)
    if not head:
        return "source_empty", "an empty file"
    if image:
        return "source_is_picture", f"a {image} image"
    if not _is_text(head):
        cut_off = head[4:8] == b"ftyp"
        return "unreadable", "an MP4 without its index (cut off while recording or copying?)" if cut_off else "a file of an unknown kind"
    if text.startswith(_PLAYLISTS) or (text.startswith(b"<") and any(element in text for element in _PLAYLIST_ELEMENTS)):
        return "source_is_playlist", "a playlist"
    if text.startswith(_PAGES) or b"<html" in text:
        return "source_is_text", "a web page"
    return "source_is_text", "a text file of markup or data" if text.startswith((b"{", b"[", b"<")) else "a text file"


def image_format(path):
    """Return the format of an image file by its first bytes, such as "JPEG"; None for any other file."""
    head = _head(path)
    if head[4:8] == b"ftyp":
        return _IMAGE_BRANDS.get(head[8:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((name for start, name in _IMAGES if head.startswith(start)), None)


def _is_text(head):
    """Return whether bytes are text: UTF-16 with a byte order mark, or no control characters except white space and escape."""
    return head.startswith((b"\xff\xfe", b"\xfe\xff")) or all(byte >= 32 or byte in b"\t\n\v\f\r\x1b" for byte in head)


def _head(path):
    """Return the first `HEAD_BYTES` of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)
