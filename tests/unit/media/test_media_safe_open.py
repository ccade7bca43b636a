"""Which files are opened, which are refused and with which message; no file makes FFmpeg open another one."""

import struct

import av
import numpy as np
import pytest
from PIL import Image

from handroll.media.frames import read_frames
from handroll.media.probe import probe
from handroll.media.safe_open import DEMUXERS, MediaError, container_of, file_kind
from handroll.reasons import Reason

TIMES_S = np.arange(12) / 30

TS = (b"\x47" + bytes(187)) * 3


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypisom", "iso"),
        (b"\0\0\0\x08wide\0\0\0\x10mdat", "iso"),
        (b"\x1a\x45\xdf\xa3\x01", "matroska"),
        (TS, "mpegts"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"OggS\0", "ogg"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"ID3\x04", "mp3"),
        (b"FLV\x01\x05", "flv"),
        (b"<!DOCTYPE html>", None),
        (b"The free encyclopedia", None),
        (b"#EXTM3U\n", None),
        (b"\xff\xd8\xff\xe0JFIF", None),
        ("<html>".encode("utf-16"), None),
        (b"G" * 10, None),
        (b"", None),
    ],
)
def test_containers(tmp_path, head, name):
    path = tmp_path / "file"
    path.write_bytes(head)
    assert container_of(path) == name


def test_real_files_are_recognised(encode, tmp_path):
    names = {"v.mp4": "iso", "v.mkv": "matroska", "v.ts": "mpegts", "v.avi": "avi", "v.flv": "flv", "v.mov": "iso"}
    assert {name: container_of(encode(name, times_s=[0.0, 0.04])) for name in names} == names


@pytest.mark.parametrize(
    ("head", "reason", "found"),
    [
        (b"\xef\xbb\xbf\n<HTML>", "source_is_text", "a web page"),
        (b"<div><html", "source_is_text", "a web page"),
        (b"#EXTM3U", "source_is_playlist", "a playlist"),
        (b"ffconcat version 1.0\n", "source_is_playlist", "a playlist"),
        (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "source_is_playlist", "a playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "source_is_playlist", "a playlist"),
        (b'{"error": 1}', "source_is_text", "a text file of markup or data"),
        (b"Not now.", "source_is_text", "a text file"),
        ("Später".encode("utf-16"), "source_is_text", "a text file"),
        ("ノート".encode(), "source_is_text", "a text file"),
        (b"PK\x03\x04\0", "unreadable", "a file of an unknown kind"),
        (b"\0\0\0\x20ftypisom", "unreadable", "an MP4 without its index (cut off while recording or copying?)"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "source_is_picture", "a JPEG image"),
        (b"\0\0\0\x20ftypheic", "source_is_picture", "a HEIC image"),
        (b"", "source_empty", "an empty file"),
    ],
)
def test_the_kind_of_other_files(tmp_path, head, reason, found):
    path = tmp_path / "file"
    path.write_bytes(head)
    assert file_kind(path) == (reason, found) and Reason(reason).stops == "motion"


def write_image(path):
    Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(path)
    return path


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [("jpg", "JPEG"), ("png", "PNG"), ("gif", "GIF"), ("webp", "WebP"), ("tif", "TIFF"), ("bmp", "BMP"), ("avif", "AVIF")],
)
def test_an_image_is_not_a_video(tmp_path, suffix, kind):
    probed = probe(write_image(tmp_path / f"scan.{suffix}"))
    assert probed.problems == ("source_is_picture",)
    assert "scan." in probed.message and "expected a video" in probed.message and f"found a {kind} image" in probed.message


def test_a_folder_a_text_and_an_audio_file(tmp_path, encode, click_track):
    (tmp_path / "take.mp4").mkdir()
    (tmp_path / "notes.txt").write_text("bar 1: left hand alone\n")
    audio = encode("take.mp3", sound=(click_track(44100, 0.5, [0.1]), 44100), sound_codec="mp3")
    for path, reason, found in (
        (tmp_path / "take.mp4", "source_is_folder", "a folder"),
        (tmp_path / "notes.txt", "source_is_text", "a text file"),
        (audio, "no_video_stream", "only audio (mp3"),
    ):
        probed = probe(path)
        assert probed.problems == (reason,) and found in probed.message and path.name in probed.message
        assert Reason(reason).sentence


def test_animations_are_videos(tmp_path):
    frames = [Image.fromarray(np.full((48, 64, 3), shade, np.uint8)) for shade in (0, 120, 240)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    assert probe(tmp_path / "a.gif").n_frames == 3


def refers(kind, other):
    """The text of a script or playlist of a kind that refers to another file."""
    return {
        "ffconcat": f"ffconcat version 1.0\nfile {other.name}\n",
        "absolute ffconcat": f"ffconcat version 1.0\nfile 'file:{other}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{other.name}\n#EXT-X-ENDLIST\n",
        "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"'
        ' type="static" mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{other.name}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "smil": f'<smil><body><video src="{other.name}"/></body></smil>',
    }[kind]


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv", "take.m3u8", "take.ffconcat", "take"])
@pytest.mark.parametrize("kind", ["ffconcat", "absolute ffconcat", "hls", "dash", "sdp", "smil"])
def test_a_script_or_playlist_opens_no_other_file(encode, tmp_path, kind, name):
    other = encode("other.ts", times_s=TIMES_S)
    path = tmp_path / name
    path.write_text(refers(kind, other))
    probed = probe(path)
    assert probed.problems == ("source_is_playlist",) and not probed.readable and probed.n_frames == 0
    assert "expected a video file, found a playlist" in probed.message and "other" not in probed.message
    with pytest.raises(MediaError, match="a playlist") as raised:
        next(read_frames(path))
    assert raised.value.reason == "source_is_playlist"


@pytest.mark.parametrize("name", ["concat:other.ts|other.ts", "subfile,,start,0,end,0,,:other.ts", "pipe:0", "data:,x", "other%d.ts"])
def test_a_name_is_never_a_protocol(encode, tmp_path, monkeypatch, name):
    encode("other.ts", times_s=TIMES_S)
    encode("other1.ts", times_s=TIMES_S)
    encode("mine.ts", times_s=TIMES_S[:5]).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).n_frames == 5


def test_a_file_name_pattern_never_opens_several_images(tmp_path):
    for number in range(4):
        write_image(tmp_path / f"scan{number}.jpg")
    assert probe(write_image(tmp_path / "scan%d.jpg")).problems == ("source_is_picture",)


def boxes(data, start, end):
    """(type, start, end) of the boxes of an ISO file in a stretch of its bytes."""
    while start < end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield kind, start, start + size
        start += size


def with_external_data(data, target):
    """An MP4 whose track references another file: an `alis` data reference, like QuickTime's, with an absolute path."""
    parents, start, end = [], 0, len(data)
    for wanted in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start, end = next((s, e) for kind, s, e in boxes(data, start, end) if kind == wanted)
        parents.append(start)
        start += 8
    name, path = target.name.encode(), str(target).encode()
    alias = bytes(10) + bytes([1]) + b"x".ljust(27, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2) + struct.pack(">Hh", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    inside = struct.pack(">II", 0, 1) + entry
    changed = bytearray(data[:start] + inside + data[end:])
    for parent in parents:
        size = struct.unpack(">I", changed[parent : parent + 4])[0]
        changed[parent : parent + 4] = struct.pack(">I", size + len(inside) - (end - start))
    return bytes(changed)


def test_an_mp4_never_opens_its_external_data_references(encode, tmp_path):
    other = encode("other.mp4", times_s=TIMES_S)
    path = tmp_path / "take.mp4"
    data = with_external_data(other.read_bytes(), other)
    start, end = next((s, e) for kind, s, e in boxes(data, 0, len(data)) if kind == b"mdat")
    path.write_bytes(data[: start + 8] + bytes(end - start - 8) + data[end:])
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert len(list(container.decode(video=0))) == len(TIMES_S), "the file is not hostile"
    probed = probe(path)
    assert not probed.readable and probed.problems == ("no_frames",)
    assert list(read_frames(path)) == []


CODECS = {
    **dict.fromkeys(("v.mp4", "v.mov", "v.mkv", "v.ts", "v.avi", "v.nut", "v.3gp"), "mpeg4"),
    **{"v.webm": "libvpx-vp9", "v.mpg": "mpeg2video", "v.mxf": "mpeg2video", "v.wmv": "wmv2", "v.flv": "flv", "v.h264": "libx264"},
}


@pytest.mark.parametrize("name", CODECS)
def test_containers_of_their_own_streams_are_opened(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[name], rate=30)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for shade in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((144, 176, 3), 20 * shade, np.uint8))))
        container.mux(stream.encode(None))
    probed = probe(path)
    assert probed.readable and probed.problems == () and probed.n_frames == 12


def test_every_accepted_demuxer_exists():
    names = DEMUXERS.split(",")
    assert len(set(names)) == len(names)
    for name in names:
        assert av.format.ContainerFormat(name, "r").is_input


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    take = tmp_path / "take.mp4"
    take.write_bytes(b"bytes")
    monkeypatch.setattr("handroll.media.safe_open.os.access", lambda path, mode: False)
    probed = probe(take)
    assert probed.problems == ("source_locked",) and "no permission to read" in probed.message and Reason("source_locked").sentence
