"""Broken media of every kind in one sheet, and good videos: each gets its own reason, and the run goes to its end."""

import json
from fractions import Fraction

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from handroll.media.audio import extract_audio, load_audio
from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter

TARGETS = ("all", "overlays", "screen")

REASONS = {
    "missing": "source_missing",
    "empty": "source_empty",
    "text": "source_is_text",
    "folder": "source_is_folder",
    "scan": "source_is_picture",
    "playlist": "source_is_playlist",
    "truncated": "truncated",
    "headless": "unreadable",
    "sound": "no_video_stream",
    "silent": "no_audio",
    "no_frames": "no_frames",
    "one_frame": "single_frame",
    "portrait": "no_hands",
    "variable": "no_hands",
    "short": "too_short",
    "unwanted": "rejected_by_hand",
}
"""Each broken video and the reason it must get."""

UNFETCHED = ("short", "unwanted")
"""Those that the sheet itself tells enough about."""


def picture(width, height, number):
    """A patterned wall, and a bar before it that grows from frame to frame."""
    image = np.random.default_rng(0).integers(40, 140, (height // 20, width // 20, 1), dtype=np.uint8)
    image = cv2.cvtColor(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    image[height // 3 : height // 2, : 1 + number * 7 % (width // 3)] = (160, 120, 90)
    return image


def sound(seconds, rate_hz=44100):
    return np.sin(np.arange(round(seconds * rate_hz)) * 0.05).astype(np.float32) * 0.1, rate_hz


def write_video(path, times_s, width=400, height=300, audio=None):
    with VideoWriter(path, width, height, 30, audio=audio) as writer:
        for number, time_s in enumerate(times_s):
            writer.write(picture(width, height, number), time_s)


def write_sound_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        samples, _ = sound(2.0)
        for start in range(0, len(samples) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_no_frames(path):
    """A Matroska file whose video track holds no picture, beside one block of sound: the header alone names the track."""
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=30)
        video.width, video.height, video.pix_fmt = 400, 300, "yuv420p"
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_portrait_4k(path):
    """Stored lying, 3840x2160, with a display rotation of a quarter turn: shown 2160x3840."""
    lying = path.with_name("lying.mp4")
    write_video(lying, np.arange(12) / 10, 3840, 2160, sound(1.2))
    with av.open(str(lying)) as source, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        streams[source.streams.video[0].index].set_display_rotation(90)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)


def write_keyless(path, source):
    """The hands of a video, by the colour of their skin, before a plain wall: there is no keyboard."""
    sound_path = path.with_suffix(".flac")
    extract_audio(source, sound_path)
    samples, rate_hz = load_audio(sound_path)
    frames = list(read_frames(source))
    height, width = frames[0].image.shape[:2]
    with VideoWriter(path, width, height, 30, audio=(samples, rate_hz)) as writer:
        for frame in frames:
            image = frame.image.astype(int)
            skin = cv2.dilate((image[..., 0] - image[..., 2] > 25).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            writer.write(np.where(skin[..., None], frame.image, 90).astype(np.uint8), frame.time_s)


def write_moving(path, source):
    """The hands and keys of a video, filmed by a camera that sways all the time."""
    sound_path = path.with_suffix(".flac")
    extract_audio(source, sound_path)
    samples, rate_hz = load_audio(sound_path)
    with VideoWriter(path, 480, 260, 30, audio=(samples, rate_hz)) as writer:
        for frame in read_frames(source):
            left, top = (round(60 * (1 + np.sin(turn * frame.time_s))) for turn in (4.0, 5.3))
            writer.write(cv2.resize(frame.image, (640, 380))[top : top + 260, left : left + 480], frame.time_s)


@pytest.fixture(scope="module")
def done(finished_pair, copy_of, tmp_path_factory, small_videos):
    """The project of two good videos after one run over all of these, too; the run itself must end well."""
    project = copy_of(finished_pair, tmp_path_factory.mktemp("bad") / "project")
    root = project.root
    times_s = np.arange(60) / 30
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("This is not a video.\n" * 100, encoding="utf-8")
    (root / "folder.mp4").mkdir()
    cv2.imwrite(str(root / "scan.png"), picture(400, 300, 1))
    (root / "scan.png").rename(root / "scan.mp4")
    (root / "playlist.mp4").write_text(f"ffconcat version 1.0\nfile '{small_videos[0]}'\n", encoding="utf-8")
    whole = small_videos[0].read_bytes()
    (root / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    write_video(root / "headless.mp4", times_s)
    data = (root / "headless.mp4").read_bytes()
    (root / "headless.mp4").write_bytes(data[len(data) // 4 : len(data) // 2])
    write_sound_only(root / "sound.mp4")
    write_video(root / "silent.mp4", times_s)
    write_no_frames(root / "no_frames.mp4")
    write_video(root / "one_frame.mp4", [0.0])
    write_portrait_4k(root / "portrait.mp4")
    write_video(root / "variable.mp4", np.cumsum(np.tile([1 / 30, 2 / 30, 5 / 30], 12)), audio=sound(4.0))
    write_keyless(root / "keyless.mp4", small_videos[1])
    write_moving(root / "moving.mp4", small_videos[0])
    rows = [f"anna\t{name}\t{name}.mp4" for name in REASONS if name not in UNFETCHED]
    rows += [f"bela\ttwo\t{small_videos[1]}\tvalid", "anna\tkeyless\tkeyless.mp4\ttest"]
    rows += [f"anna\tshort\t{small_videos[0]}\t\t\t0.9", f"anna\tunwanted\t{small_videos[0]}\t\t\t\treject"]
    rows += ["anna\tone\tmedia/one.mp4\ttrain\tmedia/one.mid\t0.9\taccept", "anna\tmoving\tmoving.mp4\ttrain\t\t0.9\taccept"]
    header = "subject\tvideo\tsource\tsplit\tmidi\tduration_s\toverride\n"
    (root / "videos.tsv").write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    project.run(*TARGETS)
    return project


def screening(project, video):
    verdicts = json.loads((project.root / "results/screening/verdicts.json").read_text(encoding="utf-8"))
    return next(verdict for verdict in verdicts if verdict["video"] == video)


def registration(project, video, subject="anna"):
    return json.loads((project.root / "results/keyboard" / subject / video / "registration.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("video", "reason"), REASONS.items())
def test_reason(done, video, reason):
    found = screening(done, video)
    assert reason in found["reasons"]
    assert found["usable_for_dataset"] is False
    summary = (done.root / "results/screening/summary.tsv").read_text(encoding="utf-8")
    assert any(line.split("\t")[:2] == ["anna", video] and reason in line for line in summary.splitlines())
    gallery = (done.root / "results/screening/gallery.html").read_text(encoding="utf-8")
    assert f"anna/{video}<" in gallery and f"<code>{reason}</code>" in gallery
    if video in UNFETCHED:
        assert not (done.root / "results/acquire/anna" / video).exists()
        return
    assert registration(done, video)["problem"] == "no_motion"
    assert (done.root / "results/keyboard/anna" / video / "registration.png").stat().st_size > 0
    assert (done.root / "results/report/anna" / video / "overlay.mp4").stat().st_size > 0


def test_rotation_and_variable_rate_are_read_right(done):
    folder = done.root / "results/acquire/anna"
    portrait = json.loads((folder / "portrait/probe.json").read_text(encoding="utf-8"))
    assert (portrait["width_px"], portrait["height_px"]) == (2160, 3840)
    variable = json.loads((folder / "variable/probe.json").read_text(encoding="utf-8"))
    assert variable["variable_frame_rate"] is True
    survey = json.loads((done.root / "results/screening/anna/variable/survey.json").read_text(encoding="utf-8"))
    times_s = survey["hands"]["time_s"]
    expected = np.cumsum(np.tile([1 / 30, 2 / 30, 5 / 30], 12))
    np.testing.assert_allclose(times_s, expected - expected[0], atol=2e-3)


def test_good_videos_are_in_the_dataset(done):
    assert screening(done, "two")["reasons"] == []
    for split, video in (("train", "one"), ("valid", "two")):
        assert set(pq.read_table(done.root / f"results/dataset/{split}-00000.parquet")["video"].to_pylist()) == {video}
    assert screening(done, "one")["override"] == "accept"


def test_a_second_run_has_nothing_to_do(done):
    assert done.planned(*TARGETS) == {}


def test_a_video_without_a_keyboard_has_motion_and_no_fingers(done):
    assert screening(done, "keyless")["reasons"] == []
    found = registration(done, "keyless")
    assert found["problem"] == "no_keyboard" and "mark at least four points" in found["message"]
    assert registration(done, "two", "bela")["problem"] is None
    hands, keyboard = (done.root / "results" / phase / "anna/keyless" for phase in ("hands", "keyboard"))
    pose, refined = (pq.read_table(hands / f"{name}.parquet") for name in ("pose", "refined"))
    assert pose["found"].to_numpy().mean() > 0.9 and pose["joints_m"].equals(refined["joints_m"])
    notes = pq.read_table(keyboard / "notes.parquet")
    assert notes.num_rows > 0 and not notes["finger"].to_numpy().any()
    fingering = json.loads((keyboard / "fingering.json").read_text(encoding="utf-8"))
    assert (fingering["labelled"], fingering["audio_delay_s"], fingering["delay"]["estimate_s"]) == (0, 0.0, None)
    (row, *_) = pq.read_table(done.root / "results/dataset/test-00000.parquet").to_pylist()
    assert row["video"] == "keyless" and row["focal_source"] == "hamer"
    assert np.isnan(row["keyboard_rotation_rad"]).all() and np.isnan(row["key_press_f1"])
    assert np.isnan(np.array(row["right_joints_keyboard_mm"])).all() and np.isfinite(np.array(row["right_joints_m"])).any()
    assert (done.root / "results/report/anna/keyless/overlay.mp4").stat().st_size > 0


def test_an_accepted_video_whose_camera_moves_throughout_gives_motion_without_hands(done):
    found = screening(done, "moving")
    assert found["override"] == "accept" and found["reasons"] == []
    survey = json.loads((done.root / "results/screening/anna/moving/survey.json").read_text(encoding="utf-8"))
    assert survey["segments"] == [] and survey["screening"]["camera_motion"]["moving_share"] > 0.9
    registered = registration(done, "moving")
    assert registered["problem"] == "no_usable_segment" and "single view from a fixed camera" in registered["message"]
    assert (done.root / "results/keyboard/anna/moving/registration.png").stat().st_size > 0
    motion = pq.read_table(done.root / "results/motion/anna/moving/motion.parquet")
    assert motion.num_rows == 2 * 120 and set(motion["state"].to_pylist()) == {0}
    assert pq.read_table(done.root / "results/keyboard/anna/moving/notes.parquet").num_rows > 0
    assert pq.read_table(done.root / "results/dataset/clips/anna/moving.parquet").num_rows == 0
    assert (done.root / "results/report/anna/moving/overlay.mp4").stat().st_size > 0


def test_no_accepted_video_at_all(done):
    (done.root / "videos.tsv").write_text("subject\tvideo\tsource\nanna\tmissing\tmissing.mp4\nanna\ttext\ttext.mp4\n", encoding="utf-8")
    done.run("all")
    for split in ("train", "valid", "test"):
        assert pq.read_table(done.root / f"results/dataset/{split}-00000.parquet").num_rows == 0
    card = (done.root / "results/dataset/README.md").read_text(encoding="utf-8")
    assert "No clip was accepted" in card
    assert "`source_missing`" in card and "`source_is_text`" in card
