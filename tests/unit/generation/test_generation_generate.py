import json
from dataclasses import asdict

import av
import numpy as np
import pytest
import soundfile
import torch

from handroll.camera import camera_from_metadata, extrinsics_from_metadata
from handroll.cli import main
from handroll.exchange.fingering_files import PIG_HEADER, read_pig
from handroll.generation.channels import to_performance
from handroll.generation.fingering import DEFAULT_COSTS
from handroll.generation.fingering_costs_file import digest
from handroll.generation.generate import SCENES, play
from handroll.generation.key_motion import key_depth_from_fingertips_mm, key_depth_from_notes_mm
from handroll.generation.motion_table import project_to_scene
from handroll.generation.music_input import RecordingError
from handroll.generation.pianist import perform
from handroll.generation.trained import load_pianist
from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import HANDS, TIPS
from handroll.keyboard.geometry import STANDARD, playing_points_mm
from handroll.models.checkpoint import Checkpoint, save_checkpoint
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.models.speech_encoder import new_speech_encoder
from handroll.music.midi import read_midi, write_midi
from handroll.music.notes import note_table, pedal_table
from handroll.rendering.scene import world_joints
from handroll.simulator.score import score
from handroll.storage import read_table
from handroll.tables import MOTION, State, by_frame
from handroll.training_data.model_frame import clip_motion
from handroll.training_data.windows import Scales

PEDAL = pedal_table([], [])
NOTES = note_table([0.2, 0.8], [0.6, 1.2], [60, 70], [80, 90], PEDAL)
KEYBOARD_SCALES = Scales((800.0, -60.0, 60.0) * 2, (60.0, 20.0, 10.0) * 2, (0.0,) * 96, (0.1,) * 96, 3.0)
CAMERA_SCALES = Scales((0.1, 0.1, 20.0) * 2, (0.1, 0.1, 1.0) * 2, (0.0,) * 96, (0.1,) * 96, 3.0)
HEARD = {"notes": (177, "handroll notes 1"), "logmel": (256, "handroll log-mel 1"), "hubert": (32, None)}


@pytest.fixture
def untrained(tmp_path):
    """A function that saves a tiny model with random weights, by features and coordinate frame; returns its folder."""

    def save(features="notes", frame="keyboard", encoder=None):
        width, version = HEARD[features]
        scales = KEYBOARD_SCALES if frame == "keyboard" else CAMERA_SCALES
        about = {"features": features, "width": width, "encoder": encoder or version, "frame": frame, "rate_hz": 30.0, "frames": 32}
        position = PositionSettings(width, 16, 1, 16, layers=1, feedforward=16)
        gesture = GestureSettings(width, 16, 1, layers=1, feedforward=16, dim=8)
        torch.manual_seed(0)
        for kind, sizes, network in (("position", position, PositionPredictor), ("gesture", gesture, GestureUNet)):
            checkpoint = Checkpoint(kind, asdict(sizes), scales, about, network(sizes).state_dict())
            save_checkpoint(tmp_path / features / f"{kind}.safetensors", checkpoint)
        return tmp_path / features

    return save


@pytest.fixture
def recording(tmp_path):
    """A tone of 1.5 s, in a folder of its own."""
    path = tmp_path / "given" / "tone.wav"
    path.parent.mkdir()
    soundfile.write(path, 0.3 * np.sin(np.arange(33_075) / 10.0), 22_050)
    return path


@pytest.fixture
def midi(tmp_path):
    path = tmp_path / "given" / "tone.mid"
    path.parent.mkdir(exist_ok=True)
    write_midi(path, NOTES, PEDAL)
    return path


def lengths_s(path):
    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}


def test_a_recording_becomes_motion_notes_and_video(tmp_path, untrained, recording, midi):
    files = play(recording, tmp_path / "out", "tone", load_pianist(untrained(), steps=2), midi, width_px=320)
    names = {"motion": "tone.motion.parquet", "MIDI": "tone.mid", "fingering": "tone.fingering.pig.txt", "video": "tone.mp4"}
    assert {what: path.name for what, path in files.items()} == names
    columns, facts = read_table(files["motion"], MOTION)
    motion = by_frame(columns)
    assert len(motion["time_s"]) == 45 and (motion["state"] == State.OBSERVED).all()
    for side, hand in enumerate(HANDS):
        joints_m = hand_joints(motion["rotation_rad"][:, side].reshape(45, 48), motion["translation_m"][:, side], 1.0, hand)
        np.testing.assert_allclose(joints_m, motion["joints_m"][:, side], atol=1e-5)
    np.testing.assert_allclose(extrinsics_from_metadata(facts).to_camera(motion["joints_keyboard_mm"]), 1e3 * motion["joints_m"], atol=1e-2)
    assert facts["detector"] == "generated" and facts["pose_engine"] == "notes" and facts["transcriber"] == "midi"
    settings = {
        "features": "notes",
        "sampler": "dpmsolver++",
        "steps": 2,
        "contacts": True,
        "hand_size": 1.0,
        "fingering_sha256": digest((DEFAULT_COSTS, DEFAULT_COSTS)),
        "seed": 0,
        "tempo": 1.0,
        "hands": "auto",
    }
    assert json.loads(facts["generate"])["settings"] == settings
    camera = camera_from_metadata(facts)
    assert (camera.width_px, camera.height_px) == (320, 180)
    notes, _ = read_midi(files["MIDI"])
    np.testing.assert_array_equal(notes["pitch"], NOTES["pitch"])
    found = lengths_s(files["video"])
    assert found["video"] == pytest.approx(1.5, abs=0.01) and found["audio"] == pytest.approx(1.5, abs=0.05)


def test_the_same_seed_gives_the_same_motion_and_another_one_another(tmp_path, untrained, midi):
    pianist = load_pianist(untrained(), steps=2)
    made = [
        play(midi, tmp_path / f"out{number}", "a", pianist, seed=seed, video=False)["motion"].read_bytes()
        for number, seed in enumerate((0, 0, 1))
    ]
    assert made[0] == made[1] != made[2]


def test_a_midi_file_alone_sounds_on_the_synthetic_piano(tmp_path, untrained, midi):
    files = play(midi, tmp_path / "out", "tone", load_pianist(untrained(), steps=1), width_px=320)
    found = lengths_s(files["video"])
    assert found["video"] == pytest.approx(2.2, abs=0.04) and found["audio"] == pytest.approx(2.2, abs=0.05)


def test_given_hands_fingers_and_tempo_reach_the_result(tmp_path):
    given = ["0\t0.0\t0.4\tC4\t64\t64\t0\t4", "1\t0.5\t0.9\tD4\t64\t64\t0\t5", "2\t0.5\t0.9\tC3\t64\t64\t1\t-3"]
    (tmp_path / "a.txt").write_text("\n".join([PIG_HEADER, *given]), encoding="utf-8")
    kept, chosen = (
        read_pig(play(tmp_path / "a.txt", tmp_path / hands, "a", tempo=0.5, hands=hands, video=False)["fingering"])
        for hands in ("auto", "ignore")
    )
    assert kept["onset_s"].tolist() == [0.0, 1.0, 1.0] and kept["pitch"].tolist() == [60, 48, 62]
    assert kept["hand"].tolist() == ["right", "left", "right"] and kept["finger"].tolist() == [4, 3, 5]
    assert chosen["onset_s"].tolist() == [0.0, 1.0, 1.0] and chosen["finger"].tolist() != [4, 3, 5]


def test_a_model_of_audio_features_needs_no_notes_and_refuses_midi(tmp_path, untrained, recording, midi):
    pianist = load_pianist(untrained("logmel"), steps=1, contacts=False)
    assert set(play(recording, tmp_path / "out", "tone", pianist, video=False)) == {"motion"}
    with pytest.raises(RecordingError, match="expected audio"):
        play(midi, tmp_path / "out", "tone", pianist)


def test_a_model_of_a_speech_encoder_uses_its_weights(tmp_path, untrained, recording):
    encoder = new_speech_encoder("hubert", "tiny")
    encoder.network.save_pretrained(tmp_path / "encoder")
    model = untrained("hubert", encoder=encoder.identity)
    pianist = load_pianist(model, steps=1, encoder_folder=tmp_path / "encoder", contacts=False)
    motion, _ = read_table(play(recording, tmp_path / "out", "tone", pianist, video=False)["motion"], MOTION)
    assert len(motion["frame"]) == 2 * 45 and np.isfinite(motion["joints_keyboard_mm"]).all()


def test_an_encoder_of_the_same_kind_with_other_weights_is_refused(tmp_path, untrained):
    tuned, untuned = (new_speech_encoder("hubert", "tiny") for _ in range(2))
    untuned.network.save_pretrained(tmp_path / "untuned")
    with pytest.raises(ValueError, match=f"expected the hubert encoder .* {tuned.identity}, found {untuned.identity} in .*untuned"):
        load_pianist(untrained("hubert", encoder=tuned.identity), encoder_folder=tmp_path / "untuned")


def test_a_model_of_the_camera_frame_gives_a_motion_without_keyboard_or_video(tmp_path, untrained, recording):
    files = play(recording, tmp_path / "out", "tone", load_pianist(untrained("logmel", "camera"), steps=1))
    assert set(files) == {"motion"}
    columns, facts = read_table(files["motion"], MOTION)
    assert np.isnan(columns["joints_keyboard_mm"]).all() and np.isfinite(columns["joints_m"]).all()
    assert extrinsics_from_metadata(facts) is None and facts["focal_source"] == "hamer"
    assert np.median(columns["translation_m"][:, 2]) == pytest.approx(20.0, abs=5.0)


def test_inputs_are_not_overwritten(tmp_path, untrained, midi):
    before = midi.read_bytes()
    with pytest.raises(RecordingError, match="choose another folder with --out"):
        play(midi, midi.parent, "tone", load_pianist(untrained(), steps=1))
    assert midi.read_bytes() == before and len(list(midi.parent.iterdir())) == 1


def test_a_model_that_cannot_be_used_says_why(tmp_path, untrained):
    with pytest.raises(FileNotFoundError, match=r"position\.safetensors"):
        load_pianist(tmp_path)
    with pytest.raises(ValueError, match="features of the speech encoder hubert; give the folder"):
        load_pianist(untrained("hubert", encoder="hubert 32 wide, weights 0"))
    with pytest.raises(ValueError, match="trained with, handroll notes 0, found handroll notes 1; train"):
        load_pianist(untrained(encoder="handroll notes 0"))
    with pytest.raises(ValueError, match="expected one of ddpm"):
        load_pianist(untrained(), sampler="euler")
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        load_pianist(untrained(), steps=1001)


def test_command_continues_after_a_recording_that_fails(tmp_path, untrained, recording, midi, capsys):
    model, out = str(untrained()), str(tmp_path / "out")
    call = ["generate", "--model", model, "--out", out, "--no-video", "--steps", "1"]
    assert main([*call, str(midi)]) == 0
    assert str(tmp_path / "out" / "tone.motion.parquet") in capsys.readouterr().out
    assert main([*call, str(tmp_path / "nowhere.wav"), str(midi)]) == 1
    printed = capsys.readouterr()
    assert "nowhere.wav: expected a recording" in printed.err and "tone.mid" in printed.out
    assert main([*call[:2], str(tmp_path), str(midi)]) == 2
    assert "train it first" in capsys.readouterr().err
    assert main([*call, "--notes", str(midi), str(recording), str(recording)]) == 2
    assert "expected one recording" in capsys.readouterr().err


@pytest.fixture(scope="module")
def played():
    """A true performance, and the same through the motion table and the models' convention, with the notes and without."""
    true = perform(score("minuet", 7, 4.0), 7)
    columns, facts = project_to_scene(true, SCENES["top"], 640, 360)
    motion = by_frame(columns)
    row = {"start_s": 0.0, "end_s": len(true.time_s) / 30, "time_s": true.time_s}
    row["keyboard_rotation_rad"] = extrinsics_from_metadata(facts).rotation_rad
    for side, hand in enumerate(HANDS):
        row |= {f"{hand}_{name}": motion[name][:, side] for name in ("state", "rotation_rad", "joints_keyboard_mm")}
    channels = clip_motion(row, 30.0, "keyboard").channels()
    return true, to_performance(*channels, 30.0, true.notes), to_performance(*channels, 30.0)


def test_true_motion_comes_back_through_the_models_convention(played):
    true, by_notes, by_tips = played
    np.testing.assert_allclose(world_joints(by_notes), world_joints(true), atol=1e-6)
    np.testing.assert_allclose(world_joints(by_tips), world_joints(true), atol=1e-6)


def test_keys_go_down_with_the_notes_or_under_the_fingertips(played):
    true, by_notes, by_tips = played
    down = true.key_depth_mm > 4.5
    for performance in (by_notes, by_tips):
        printed = performance.key_depth_mm > 4.5
        assert (printed & down).sum() / (printed | down).sum() > 0.9
        assert performance.key_depth_mm.min() >= 0.0 and performance.key_depth_mm.max() <= STANDARD.dip_mm


def test_a_key_is_fully_down_from_onset_to_release():
    time_s = np.arange(60) / 30
    depth_mm = key_depth_from_notes_mm(NOTES, time_s)
    assert set(np.flatnonzero(depth_mm.any(axis=0))) == {39, 49}
    held = (time_s >= 0.2) & (time_s <= 0.6)
    np.testing.assert_allclose(depth_mm[held, 39], STANDARD.dip_mm)
    assert not depth_mm[(time_s < 0.13) | (time_s > 0.69), 39].any()


def test_only_a_fingertip_below_the_key_top_pushes_the_key_down():
    tips_mm = np.zeros((1, 2, 5, 3))
    tips_mm[:] = (600.0, -200.0, 5.0)
    x_mm, y_mm, top_mm = playing_points_mm()[40]
    tips_mm[0, 1, 1] = (x_mm, y_mm, top_mm + 2.0)
    depth_mm = key_depth_from_fingertips_mm(tips_mm, (1.0, 1.0))
    assert depth_mm[0, 40] == pytest.approx(4.2) and np.count_nonzero(depth_mm) == 1
    tips_mm[0, 1, 1, 2] = top_mm + 7.0
    assert not key_depth_from_fingertips_mm(tips_mm, (1.0, 1.0)).any()


def test_all_keys_and_both_hands_are_in_the_frame(played):
    true, *_ = played
    columns, facts = project_to_scene(true, SCENES["top"], 640, 360)
    camera, extrinsics = camera_from_metadata(facts), extrinsics_from_metadata(facts)
    corners_mm = np.array([(x, y, 0.0) for x in (0.0, STANDARD.width_mm) for y in (0.0, STANDARD.white_length_mm)])
    for points_mm in (corners_mm, columns["joints_keyboard_mm"][:, list(TIPS)]):
        points_px = camera.project(extrinsics.to_camera(points_mm))
        assert (points_px > 8.0).all() and (points_px < np.array([640, 360]) - 8.0).all()
