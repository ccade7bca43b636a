import pytest

from handroll.config.pipeline import Config, parse_config
from handroll.config.selection import DATASET_SECTIONS, dataset_settings, select, values_of
from handroll.motion.clean import CleanSettings


def test_a_key_gives_one_value_and_a_section_all_of_its_values():
    assert select(Config(), "overlay.max_height_px") == {"max_height_px": 720}
    assert select(Config(), "screening.duration") == {"max_s": 7200.0, "min_s": 8.0}
    assert CleanSettings(**select(Config(), "motion", without=("correction", "mapnet"))).hampel_n_sigma == 3.0


def test_names_are_sorted_so_that_equal_values_are_equal_params():
    chosen = select(Config(), "splits", "overlay")
    assert list(chosen) == sorted(chosen)


def test_keys_and_sections_can_be_left_out():
    assert select(Config(), "keyboard", without="frames") == {"min_finger_confidence": 0.7}
    assert list(select(Config(), "dataset", without=("name", "rights"))) == ["row_group_rows", "shard_mb"]
    assert list(select(Config(), "motion", without=("hampel", "savgol.order", "correction", "mapnet"))) == [
        "gap_shorter_than",
        "run_shorter_than",
        "savgol_window",
        "units",
    ]


def test_a_renamed_value_appears_once_and_a_renamed_section_stays_a_dict():
    assert select(Config(), "keyboard", without="frames", threshold="keyboard.min_finger_confidence") == {"threshold": 0.7}
    chosen = select(Config(), "pose", without=("camera", "focal_px", "hand_length_m", "hamer"), temporal="pose.temporal")
    assert chosen == {
        "contacts": True,
        "engine": "landmarks",
        "temporal": {"enabled": False, "smoothness": 1.0, "window_s": 8.0},
    }


@pytest.mark.parametrize("keys", [("motion.hampel.windw",), ("motion", "nothing")])
def test_unknown_keys_are_errors(keys):
    with pytest.raises(KeyError, match="no configuration key"):
        select(Config(), *keys)


def test_leaving_out_an_unknown_key_is_an_error():
    with pytest.raises(ValueError, match="keyboard: expected the keys in `without` to be in these sections, found no frame"):
        select(Config(), "keyboard", without="frame")


def test_two_values_of_the_same_name_are_an_error():
    with pytest.raises(ValueError, match="have the argument name max_height_px; rename one of them"):
        select(Config(), "overlay", "acquire.max_height_px")
    with pytest.raises(ValueError, match="have the argument name max_height_px"):
        select(Config(), "overlay", max_height_px="acquire.max_height_px")


def test_values_of_all_keys():
    values = values_of(Config())
    assert values["motion.hampel.window"] == 20 and values["device"] == "cpu"
    assert next(iter(values)) == "sheet" and not any(isinstance(value, dict) and value for value in values.values())


def test_the_dataset_card_lists_what_made_the_dataset_and_no_paths():
    settings = dataset_settings(parse_config({"motion": {"hampel": {"n_sigma": 4.0}}}))
    assert settings["motion.hampel.n_sigma"] == 4.0
    assert {key for key in values_of(Config(), "clips")} <= set(settings)
    assert not any(isinstance(value, str) and "/" in value for value in settings.values())
    for section, left_out in DATASET_SECTIONS.items():
        for key in left_out:
            assert values_of(Config(), f"{section}.{key}") and not any(name.startswith(f"{section}.{key}") for name in settings)
