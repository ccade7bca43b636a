"""Is a file audio or video by its first bytes? A page, a playlist or an error text in its place is not opened by any decoder."""

from pathlib import Path

HEAD_BYTES = 512
"""How much of a file is looked at: more than two packets of an MPEG transport stream."""

_TS_PACKET_BYTES = (188, 192, 204)
"""Lengths of a transport stream's packets: plain, with a time code, with error correction (ISO/IEC 13818-1, Blu-ray, DVB)."""

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
"""First bytes of containers, as their specifications and FFmpeg's probing have them."""

_ISO_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free", b"skip", b"sidx")
"""Types of boxes that an MP4, QuickTime or fragmented MP4 file starts with (ISO/IEC 14496-12), after four bytes of length."""


def container_of(path):
    """Name of a media file's container: iso, matroska, mpegts, flv, avi, wav, ogg, mpeg, asf, flac, mp3, aac.

    Returns
    -------
    str or None
        None for everything else: text (web pages, HLS and other playlists), pictures, archives, an empty file.
    """
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES)
    for start, name in _AT_START:
        if head.startswith(start):
            return name
    # The first byte of a length is never that of a letter, but for a first box of hundreds of megabytes.
    if head[4:8] in _ISO_BOXES and (head[4:8] == b"ftyp" or not 0x20 <= head[0] < 0x7F):
        return "iso"
    if head[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    # A sync byte at the start of three packets; those with a time code carry it four bytes later.
    for length in _TS_PACKET_BYTES:
        first = 4 if length == 192 else 0
        if len(head) > first + 2 * length and all(head[first + n * length] == 0x47 for n in range(3)):
            return "mpegts"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFE:
        # The layer's bits tell AAC in ADTS (0) from MPEG audio. FF FE starts a text in UTF-16.
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    return None


def told_kind(path):
    """What a file seems to be that is no media file, for a message."""
    with Path(path).open("rb") as file:
        head = file.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file"
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")) or b"<html" in head:
        return "a web page"
    if head.startswith(b"#extm3u"):
        return "a playlist"
    if head.startswith((b"{", b"[", b"<?xml", b"<")):
        return "a text of markup or data"
    return "text" if all(byte >= 9 for byte in head) and b"\x00" not in head else "no media file"
