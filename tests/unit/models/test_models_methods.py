import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from handroll.config.experiment import Benchmark, FurtherNetwork, Weights
from handroll.models.checkpoint import KINDS
from handroll.models.feature_names import (
    encoder_files,
    encoder_modules,
    is_tuned,
    pretrained_encoder,
)
from handroll.models.methods import (
    MODELS,
    all_features,
    comparison_methods,
    is_sampled,
    loader_of,
    method_name,
    stage_training,
    stage_variants,
    trained_variants,
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
        "kind": "trained",
        "model": "two_stage",
        "folder": "two_stage-notes-transformer",
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


def test_an_unknown_model_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"benchmark.models: expected names of models \(two_stage, .*fingertips\), found 'two_stages'"):
        comparison_methods(Benchmark(models=["two_stages"]))


def test_names_of_methods_are_safe_as_file_names():
    assert method_name("released", sampler="dpmsolver++", steps=20) == "released-dpmsolverpp-20"
    assert method_name("fingertips") == "fingertips"


def test_each_variant_of_a_model_is_trained_once():
    benchmark = Benchmark(features=["notes", "logmel"], decoders=["ssm", "transformer"], samplers=["ddim 5", "ddpm 9"], ablations=True)
    variants = trained_variants(benchmark)
    two_stage = [f"two_stage-{features}-{decoder}" for features in benchmark.features for decoder in benchmark.decoders]
    assert list(variants) == [*two_stage, "fingertips", "fingertips-no_mask"]
    ssm = variants["two_stage-logmel-ssm"].settings
    assert ssm["position"] == benchmark.position.settings() | {"decoder": "ssm"}
    assert ssm["gesture"] == benchmark.gesture.settings() | {"decoder": "ssm"}
    width = benchmark.fingertips.settings()
    assert variants["fingertips-no_mask"].settings == {"fingertips": width | {"masked": False}}
    assert variants["fingertips"].settings == {"fingertips": width}
    methods = comparison_methods(benchmark)
    assert {method["folder"] for method in methods.values() if method["kind"] == "trained"} == set(variants)


def test_settings_come_from_the_model_the_configuration_and_its_further_networks():
    further = {"s2c_gesture": {"values": {"dim": 8}, "training": {"steps": 7}}}
    benchmark = Benchmark(models=["s2c", "emotalk"], networks=further, ablations=True)
    variants = trained_variants(benchmark)
    s2c = variants["s2c-notes-transformer"].settings
    assert s2c["s2c_position"] == benchmark.position.settings() | {"decoder": "transformer"}
    assert s2c["s2c_gesture"] == benchmark.gesture.settings() | {"dim": 8, "decoder": "transformer"}
    fusion = variants["s2c-notes-transformer-fusion_2"]
    assert fusion.settings["s2c_gesture"] == s2c["s2c_gesture"] | {"fusion": 2}
    # The first stage of a variant is that of its model, because its settings are the same.
    assert fusion.folders == {"s2c_position": "s2c-notes-transformer", "s2c_gesture": "s2c-notes-transformer-fusion_2"}
    assert stage_training("s2c", "s2c_gesture", benchmark).steps == 7
    assert stage_training("s2c", "s2c_position", benchmark) == benchmark.position.training
    assert stage_training("emotalk", "regression", benchmark) == FurtherNetwork().training


def test_a_shared_stage_is_trained_once_even_without_its_model():
    stages = stage_variants(Benchmark(models=["livelyspeaker", "two_stage_flow", "emotalk"], samplers=["ddim 5", "euler 4", "heun 8"]))
    two_stage = "two_stage-notes-transformer"
    assert list(stages) == [
        (two_stage, "position"),
        ("livelyspeaker-notes-transformer", "mixer"),
        ("two_stage_flow-notes-transformer", "gesture"),
        ("emotalk-notes", "regression"),
    ]
    assert stages[two_stage, "position"].model == "two_stage"
    assert stages["two_stage_flow-notes-transformer", "gesture"].settings["gesture"]["objective"] == "flow"


def test_each_objective_has_its_samplers():
    methods = comparison_methods(Benchmark(models=["two_stage", "two_stage_flow"], samplers=["ddim 5", "euler 4"], contacts=False))
    sampled = {name: method["sampler"] for name, method in methods.items() if is_sampled(method)}
    assert sampled == {"two_stage-notes-transformer-ddim-5": "ddim", "two_stage_flow-notes-transformer-euler-4": "euler"}


def test_every_model_has_its_modules_and_checkpoints():
    variants = trained_variants(Benchmark(models=list(MODELS), ablations=True))
    for name, model in MODELS.items():
        assert callable(loader_of(name)) and set(model.shares.values()) <= set(MODELS)
        for stage in model.stages:
            assert stage in KINDS and callable(getattr(import_module(f"handroll.training.{stage}"), f"train_{stage}"))
            settings, _ = KINDS[stage]
            known = {field.name for field in fields(settings)} | {"velocity_weight", "change_weights"}
            of_stage = [variant.settings[stage] for variant in variants.values() if variant.model == name]
            assert of_stage and all(set(values) <= known for values in of_stage)


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


def test_a_variant_of_the_sampling_uses_the_checkpoints_of_its_model():
    methods = comparison_methods(Benchmark(models=["s2c"], ablations=True, contacts=False))
    name = "s2c-notes-transformer-dpmsolverpp-20"
    assert methods[f"{name}-shared_noise"] == methods[name] | {
        "variant": "shared noise",
        "options": {"shared_noise": True},
        "ablation": True,
    }
    assert "s2c-notes-transformer-shared_noise" not in trained_variants(Benchmark(models=["s2c"], ablations=True))


def test_only_the_first_suitable_sampler_is_used_for_contacts_and_ablations():
    samplers = ["dpmsolver++ 20", "euler 4", "ddpm 9", "euler 8"]
    methods = comparison_methods(Benchmark(models=["s2c", "two_stage_flow"], samplers=samplers, ablations=True))
    corrected = {method["of"] for method in methods.values() if method["kind"] == "contacts"}
    s2c = "s2c-notes-transformer"
    assert corrected == {
        "two_stage_flow-notes-transformer-euler-4",
        f"{s2c}-dpmsolverpp-20",
        *(f"{s2c}-fusion_{mode}-dpmsolverpp-20" for mode in range(4)),
    }
    assert {f"{s2c}-ddpm-9", "two_stage_flow-notes-transformer-euler-8"} <= set(methods)
    assert f"{s2c}-fusion_0-ddpm-9" not in methods
    assert {name for name, method in methods.items() if method.get("ablation")} == {
        name for name in methods if "fusion" in name or "shared" in name
    }


def test_a_model_without_a_suitable_sampler_is_an_error():
    for model, sampler, wanted in (("two_stage_flow", "ddim 5", "euler or heun"), ("s2c", "euler 5", "a sampler of diffusion")):
        with pytest.raises(ValueError, match=f"benchmark.samplers: expected {wanted}.* for the model {model}, found {sampler}"):
            comparison_methods(Benchmark(models=[model], samplers=[sampler]))
    released = comparison_methods(Benchmark(frame="camera", samplers=["ddim 5", "euler 5"], weights=Weights(released="a.ckpt")))
    assert "released-ddim-5" in released and "released-euler-5" not in released


def test_an_unknown_stage_of_further_networks_is_an_error():
    with pytest.raises(ValueError, match="benchmark.networks: expected names of stages .*s2c_gesture.*, found 's2c_gestures'"):
        trained_variants(Benchmark(networks={"s2c_gestures": {"values": {"dim": 8}}}))


def test_further_training_settings_change_those_of_the_section():
    benchmark = Benchmark(models=["s2c"], networks={"s2c_gesture": {"training": {"steps": 7}}, "s2c_position": {"values": {"width": 8}}})
    assert stage_training("s2c", "s2c_gesture", benchmark) == benchmark.gesture.training.model_copy(update={"steps": 7})
    assert stage_training("s2c", "s2c_position", benchmark) == benchmark.position.training


def test_without_contacts_no_motion_is_corrected():
    methods = comparison_methods(Benchmark(ablations=True, contacts=False))
    assert not [name for name, method in methods.items() if method["kind"] == "contacts"] and "fingertips-default_fingering" in methods
