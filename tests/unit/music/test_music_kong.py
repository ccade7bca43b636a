"""The engine Kong: equal to the authors' numbers, segment by segment; other files than their weights are refused."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torchlibrosa.stft import DFTBase

from handroll.music import kong
from handroll.music.kong import RATE_HZ, SEGMENT_SAMPLES, KongError, events_of, load_model, run_network
from handroll.music.transcribe import transcribe
from support.toy_kong import random_state, struck_strings

NOTE_OUTPUTS = {"reg_onset_output", "reg_offset_output", "frame_output", "velocity_output"}
PEDAL_OUTPUTS = {"reg_pedal_onset_output", "reg_pedal_offset_output", "pedal_frame_output"}

SHORT = 6400
"""Samples of a segment in most tests: 0.4 s, as the whole network runs on them."""


@pytest.fixture(scope="module", autouse=True)
def quick_tables():
    """Compute the Fourier matrix once. It takes seconds for each network."""
    with pytest.MonkeyPatch.context() as patch:
        computed = DFTBase.dft_matrix
        patch.setattr(DFTBase, "dft_matrix", _once(computed))
        yield


def _once(compute):
    matrices = {}
    return lambda self, n: matrices[n] if n in matrices else matrices.setdefault(n, compute(self, n))


@pytest.fixture(scope="module")
def states(quick_tables):
    """Random weights of the released layout that give events."""
    return random_state()


@pytest.fixture(scope="module")
def checkpoint(states, tmp_path_factory):
    """The file of these weights, of PyTorch's old kind, as the released one."""
    path = tmp_path_factory.mktemp("kong") / "weights.pth"
    torch.save({"model": states}, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def authors(checkpoint):
    """The authors' own transcriber of the same file."""
    from piano_transcription_inference import PianoTranscription

    assert os.path.getsize(checkpoint) > 1.6e8, "the authors' code would fetch another"
    return PianoTranscription(checkpoint_path=str(checkpoint), segment_samples=SHORT, device=torch.device("cpu"))


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("samples", [480, SHORT, 2 * SHORT + 1])
def test_outputs_and_events_are_the_authors(samples, authors, checkpoint):
    audio = struck_strings(samples / RATE_HZ)
    theirs = authors.transcribe(audio, None)
    ours = run_network(load_model(checkpoint)[0], audio, segment_samples=SHORT)
    assert ours.keys() == NOTE_OUTPUTS | PEDAL_OUTPUTS
    for name, values in ours.items():
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, theirs["output_dict"][name])
    struck, pressed = events_of(ours)
    for ours_of, theirs_of in ((struck, theirs["est_note_events"]), (pressed, theirs["est_pedal_events"])):
        assert [event.keys() for event in ours_of] == [event.keys() for event in theirs_of]
        pairs = [(value, other[name]) for event, other in zip(ours_of, theirs_of, strict=True) for name, value in event.items()]
        assert all(value == other for value, other in pairs if other == other)
        # The few NaN times of the authors, where the network is saturated, are times of frames here.
        undefined = [value for value, other in pairs if other != other]
        assert len(undefined) <= 0.05 * len(pairs)
        np.testing.assert_allclose(undefined, np.round(undefined, 2), atol=1e-6)
    if samples > SHORT:
        assert len(struck) > 20 and len({event["velocity"] for event in struck}) > 10 and pressed


class Stub(torch.nn.Module):
    """Returns for each frame the sum of its samples and its index in the segment."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, segment):
        frames = torch.nn.functional.pad(segment, (0, 160)).reshape(1, -1, 160).sum(-1)
        place = torch.arange(frames.shape[1])[None].expand_as(frames)
        return {"frame_output": torch.stack([frames, place, frames * place], dim=-1)}


@pytest.mark.parametrize("samples", [1, 999, 1002, SEGMENT_SAMPLES - 1, SEGMENT_SAMPLES, SEGMENT_SAMPLES + 1, 2 * SEGMENT_SAMPLES, 777_777])
def test_segments_of_the_released_length_are_cut_and_joined_as_the_authors_do(samples):
    from piano_transcription_inference import PianoTranscription

    audio = np.random.default_rng(1).standard_normal(samples).astype(np.float32)
    whole = SimpleNamespace(segment_samples=SEGMENT_SAMPLES)
    padded = np.pad(audio, (0, -len(audio) % SEGMENT_SAMPLES))[None]
    segments = PianoTranscription.enframe(whole, padded, SEGMENT_SAMPLES)
    model = Stub()
    with torch.no_grad():
        each = np.concatenate([model(torch.from_numpy(segment[None]))["frame_output"].numpy() for segment in segments])
    np.testing.assert_array_equal(run_network(model, audio)["frame_output"], PianoTranscription.deframe(whole, each)[: len(audio)])


def test_tables_hold_the_events(checkpoint, monkeypatch):
    monkeypatch.setattr(kong, "SEGMENT_SAMPLES", SHORT)
    events = []
    monkeypatch.setattr(kong, "events_of", lambda outputs: events.extend(events_of(outputs)) or tuple(events))
    notes, pedal, info = transcribe(struck_strings(0.7), RATE_HZ, "kong", {"checkpoint": checkpoint})
    struck, pressed = events
    assert 20 < len(notes["pitch"]) <= len(struck) and 0 < len(pedal["onset_s"]) <= len(pressed)
    onsets = {(event["midi_note"], np.round(float(event["onset_time"]), 4)) for event in struck}
    assert set(zip(notes["pitch"].tolist(), notes["onset_s"].tolist(), strict=True)) <= onsets
    assert np.all(np.diff(notes["onset_s"]) >= 0) and notes["onset_s"].max() <= 0.7 and notes["key_offset_s"].max() <= 0.7
    # The engine's ends are those of the sounding note: key releases under the pedal are unknown.
    np.testing.assert_array_equal(notes["key_offset_s"], notes["sounding_offset_s"])
    assert (info["engine"], info["engine_version"], len(info["weights_sha256"])) == ("kong", kong.VERSION, 64)


def test_another_rate_is_resampled(checkpoint, monkeypatch):
    audio = []
    monkeypatch.setattr(kong, "run_network", lambda model, samples, device: audio.append(samples) or {})
    monkeypatch.setattr(kong, "events_of", lambda outputs: ([], []))
    notes, pedal, _ = kong.transcribe(np.ones(44100, np.float32), 44100, checkpoint=str(checkpoint))
    assert [len(samples) for samples in audio] == [RATE_HZ] and not len(notes["pitch"]) and not len(pedal["onset_s"])


def test_silence_needs_no_weights():
    notes, _, info = transcribe(np.zeros(RATE_HZ), RATE_HZ, "kong", {"checkpoint": "nowhere.pth"})
    assert len(notes["pitch"]) == 0 and info == {"engine": "kong"}


def test_saturated_outputs_give_times_that_are_numbers():
    outputs = {name: np.zeros((200, 88), np.float32) for name in NOTE_OUTPUTS}
    outputs |= {name: np.zeros((200, 1), np.float32) for name in PEDAL_OUTPUTS}
    outputs["reg_onset_output"][50:60, 40] = outputs["frame_output"][50:120, 40] = 1.0
    struck, _ = events_of(outputs)
    assert struck and np.isfinite([event["onset_time"] for event in struck]).all()


def test_a_file_of_the_current_format_is_read_too(states, checkpoint, tmp_path, caplog):
    torch.save({"model": states, "iteration": 3}, tmp_path / "new.pth")
    model, sha256 = load_model(tmp_path / "new.pth")
    known = load_model(checkpoint)[0].state_dict()
    assert all(torch.equal(value, known[name]) for name, value in model.state_dict().items())
    assert "not the released file" in caplog.text and sha256 in caplog.text


class Code:
    def __reduce__(self):
        return os.mkdir, ("code-was-run",)


def without(states, part, name):
    return {**states, part: {key: value for key, value in states[part].items() if key != name}}


def with_(states, part, name, value):
    return {**states, part: {**states[part], name: value}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"model": Code()}, "refers to the Python code .*mkdir, which was not run"),
        (lambda s: {"state_dict": {}}, "no dictionary `model`, but a dictionary of state_dict"),
        (lambda s: {"model": {"note_model": s["note_model"]}}, "no dictionary `pedal_model`, but a dictionary of note_model"),
        (lambda s: torch.zeros(3), "no dictionary `model`, but a Tensor"),
        (lambda s: {"model": without(s, "note_model", "logmel_extractor.melW")}, "note_model, without logmel_extractor.melW"),
        (lambda s: {"model": with_(s, "note_model", "more.weight", torch.zeros(2))}, "with unknown more.weight"),
        (lambda s: {"model": with_(s, "note_model", "frame_fc.bias", torch.zeros(87))}, r"frame_fc.bias \(87,\) .* instead of \(88,\)"),
        (lambda s: {"model": with_(s, "note_model", "frame_fc.bias", torch.zeros(88).double())}, "float64 instead of"),
        (lambda s: {"model": with_(s, "note_model", "frame_fc.bias", 3)}, "other objects than tensors: frame_fc.bias"),
        (lambda s: {"model": with_(s, "note_model", "frame_fc.bias", torch.full((88,), torch.nan))}, "not finite in frame_fc.bias"),
        (lambda s: {"model": {"note_model": s["pedal_model"], "pedal_model": s["note_model"]}}, "note_model, without .* with unknown"),
    ],
)  # fmt: skip
def test_files_that_are_not_these_weights_are_refused(change, message, states, tmp_path):
    torch.save(change(states), tmp_path / "other.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(KongError, match=message) as caught:
        load_model(tmp_path / "other.pth")
    assert f"{tmp_path}/other.pth: expected the weights" in str(caught.value) and kong.PAGE_URL in str(caught.value)
    assert not os.path.exists("code-was-run")


def test_damaged_files_are_refused(states, checkpoint, tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(KongError, match=r"found no file. `handroll doctor --fetch` .*172 MB, CC BY 4.0.*zenodo.org/records/4034264"):
        load_model(path)
    path.write_text("<!doctype html>", encoding="utf-8")
    with pytest.raises(KongError, match="found a web page.*; get"):
        load_model(path)
    path.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(KongError, match="found a damaged file"):
        load_model(path)
    torch.save({"model": states}, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(KongError, match="found a damaged file"):
        load_model(path)
