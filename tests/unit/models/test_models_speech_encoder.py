import json

import pytest
import torch

from handroll.models.speech_encoder import RELEASED, load_speech_encoder, new_speech_encoder


@pytest.fixture(params=["hubert", "wav2vec2"])
def speech(request):
    torch.manual_seed(0)
    return new_speech_encoder(request.param, "tiny")


@pytest.fixture
def folder(speech, tmp_path):
    speech.network.save_pretrained(tmp_path / "speech")
    return tmp_path / "speech"


def test_it_is_the_network_of_transformers_at_other_frames(speech, arr):
    sound = arr(1, 2, 8000)
    sound = (sound - sound.mean(-1, keepdim=True)) / sound.std(-1, correction=0, keepdim=True)
    own_frames = speech.network.feature_extractor(sound).shape[-1]
    assert torch.allclose(speech(sound, own_frames), speech.network(sound).last_hidden_state, atol=1e-5)
    assert speech(sound, 15).shape == (2, 15, speech.width)


def test_loudness_and_the_rest_of_the_batch_have_no_effect_except_as_released(speech, arr):
    sound = arr(2, 2, 8000)
    features, alone = speech(sound, 15), speech(0.01 * sound[:1] + 0.3, 15)
    assert torch.allclose(features[:1], alone, atol=1e-3)
    louder = torch.stack([sound[0], 50.0 * sound[1]])
    assert torch.allclose(speech(louder, 15)[:1], features[:1], atol=1e-5)
    assert (speech(louder, 15, released=True)[:1] - features[:1]).abs().max() > 1e-2
    assert torch.allclose(speech(sound[:1], 15, released=True), features[:1], atol=1e-5)


def test_it_is_frozen_and_has_no_dropout(speech, arr):
    sound = arr(3, 1, 8000)
    assert not any(value.requires_grad for value in speech.parameters())
    assert not any(module.training for module in torch.nn.Sequential(speech).train()[0].modules())
    assert torch.equal(speech(sound, 15), speech(sound, 15))


def test_its_convolutions_are_never_trained(speech, arr):
    trainable = new_speech_encoder(speech.network.config.model_type, "tiny", trainable=True)
    trainable(arr(4, 1, 8000), 15).square().sum().backward()
    moved = {name.split(".")[0] for name, value in trainable.network.named_parameters() if value.grad is not None}
    assert moved == {"feature_projection", "encoder"}


def test_a_saved_folder_is_read(speech, folder, arr):
    sound = arr(5, 1, 8000)
    assert torch.equal(load_speech_encoder(folder)(sound, 15), speech(sound, 15))
    assert any(value.requires_grad for value in load_speech_encoder(folder, trainable=True).parameters())


def test_the_identity_follows_from_the_weights(speech, folder, tmp_path):
    assert load_speech_encoder(folder).identity == speech.identity
    torch.save(speech.network.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert load_speech_encoder(folder).identity == speech.identity
    before = speech.identity
    with torch.no_grad():
        speech.network.encoder.layer_norm.bias[0] += 1e-6
    assert speech.identity != before


def test_a_missing_folder_or_file(folder):
    for path in (folder / "absent", folder):
        (folder / "model.safetensors").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError, match="expected a speech encoder's") as raised:
            load_speech_encoder(path)
        assert all(name in str(raised.value) for name in (str(path), "huggingface.co", *RELEASED))


def test_another_network_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(ValueError, match="expected a network of type hubert or wav2vec2, found 'bert'"):
        load_speech_encoder(folder)


def test_missing_weights_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ValueError, match=r"found none for 16 of them \(encoder\.layers\.2\."):
        load_speech_encoder(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_damaged_weights_are_refused(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"<html>")
    with pytest.raises(ValueError, match=rf"{name}: expected the weights of a speech encoder, found .*; download config.json"):
        load_speech_encoder(folder)


def test_large_networks_have_the_released_sizes():
    with torch.device("meta"):
        speech = new_speech_encoder("hubert", "large")
    assert speech.width == 1024
    assert sum(value.numel() for value in speech.parameters()) == 315_438_720
