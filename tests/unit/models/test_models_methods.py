import re
from pathlib import Path

import pytest

from handroll.config.experiment import Benchmark, Weights
from handroll.models.methods import (
    all_features,
    comparison_methods,
    encoder_files,
    encoder_modules,
    is_sampled,
    is_tuned,
    method_name,
    pretrained_encoder,
)

FOUR = ["ground_truth", "other_half", "mean_pose", "nearest-notes"]
PLANNED = ["planned", "planned-learned"]
TWO_STAGE = "two_stage-notes-transformer-dpmsolverpp-20"


def test_the_demo_compares_references_plans_and_two_models_with_and_without_contacts():
    methods = comparison_methods(Benchmark())
    assert list(methods) == [*FOUR, *PLANNED, TWO_STAGE, f"{TWO_STAGE}-contacts", "fingertips", "fingertips-contacts"]
    assert methods["nearest-notes"] == {"kind": "nearest", "features": "notes"}
    corrected = {"kind": "contacts", "of": "fingertips", "fits": 3, "variant": "contacts", "fingering": "learned"}
    assert methods["fingertips-contacts"] == corrected
    # The two-stage model does not know the fingers, so that its correction uses the default fingering.
    assert "fingering" not in methods[f"{TWO_STAGE}-contacts"]
    assert methods[TWO_STAGE] == {
        "kind": "two_stage",
        "features": "notes",
        "decoder": "transformer",
        "sampler": "dpmsolver++",
        "steps": 20,
    }


def test_every_combination_of_features_decoders_and_samplers_is_a_method():
    benchmark = Benchmark(
        features=["notes", "hubert_tuned"],
        decoders=["ssm", "transformer"],
        samplers=["ddpm 1000", "sde-dpmsolver++ 20", "ddim 50"],
        frame="camera",
        weights=Weights(released="a.ckpt"),
    )
    methods = comparison_methods(benchmark)
    assert len(methods) == 4 + 2 * 2 * 3 + 3
    assert {method["steps"] for name, method in methods.items() if name.startswith("released-")} == {1000, 20, 50}
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in methods)
    assert [name for name, method in methods.items() if not is_sampled(method)] == FOUR


def test_a_method_that_is_corrected_is_itself_a_method():
    benchmark = Benchmark(ablations=True, features=["notes", "fingering"])
    methods = comparison_methods(benchmark)
    corrected = {name: method for name, method in methods.items() if method["kind"] == "contacts"}
    assert all(method["of"] in methods for method in corrected.values())
    assert {method["variant"] for method in methods.values() if "variant" in method} == {
        *("learned fingering", "contacts", "no mask", "no mask, contacts", "default fingering", "default fingering, contacts"),
        "contacts of 1 fit",
    }
    assert all_features(benchmark) == ["notes", "fingering", "planned", "planned_default"]
    assert len({str(method) for method in methods.values()}) == len(methods)


def test_only_what_is_wanted_is_compared():
    assert list(comparison_methods(Benchmark(models=["fingertips"], contacts=False))) == [*FOUR, *PLANNED, "fingertips"]
    assert list(comparison_methods(Benchmark(models=[]))) == [*FOUR, *PLANNED]
    assert list(comparison_methods(Benchmark(frame="camera"))) == [*FOUR, TWO_STAGE]


def test_names_of_methods_are_safe_as_file_names():
    assert method_name("released", sampler="dpmsolver++", steps=20) == "released-dpmsolverpp-20"


@pytest.mark.parametrize(
    ("features", "tuned", "folder", "modules"),
    [
        ("notes", False, "", ()),
        ("logmel", False, "", ()),
        ("planned_default", False, "", ()),
        ("hubert", False, "w/hubert", ("models.speech_encoder",)),
        ("wav2vec2_tuned", True, "w/wav2vec2", ("models.speech_encoder",)),
    ],
)
def test_features_and_their_encoders(features, tuned, folder, modules):
    weights = Weights(hubert="w/hubert", wav2vec2="w/wav2vec2")
    assert is_tuned(features) == tuned
    assert pretrained_encoder(features, weights) == folder
    assert encoder_modules(features) == modules


def test_files_of_an_encoder():
    assert {Path(path).parent for path in encoder_files("w/hubert")} == {Path("w/hubert")}
    assert "w/hubert/model.safetensors" in encoder_files("w/hubert")
