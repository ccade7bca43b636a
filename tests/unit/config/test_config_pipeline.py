import json
from pathlib import Path

import pytest
import yaml

from handroll.config.pipeline import RENAMED, Config, ConfigError, lookup, parse_config
from handroll.config.reference import default_yaml, json_schemas, reference_markdown, with_columns

ROOT = Path(__file__).resolve().parents[3]


def leaves(model, prefix=""):
    for name, value in model:
        if hasattr(value, "model_fields_set"):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_default_file_names_every_key_with_its_default():
    values = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    assert parse_config(values) == Config()
    for key in leaves(Config()):
        section = values
        for part in key.split("."):
            assert part in section, f"config/config.yaml lacks {key}"
            section = section[part]


@pytest.mark.parametrize("name", sorted(path.relative_to(ROOT / "config").as_posix() for path in (ROOT / "config").rglob("*.yaml")))
def test_shipped_configurations_are_valid(name):
    parse_config(yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")))


def test_the_papers_numbers_are_in_its_file_whatever_the_defaults_are():
    """Gan et al., ICLR 2025: 1080p, clips of 30 s every 24 s with 80 % of the hands visible, gaps of 30 frames, and so on."""
    values = yaml.safe_load((ROOT / "config" / "pianomotion10m.yaml").read_text(encoding="utf-8"))
    paper = {
        "screening.resolution": {"min_short_side_px": 1080, "min_long_side_px": 1920},
        "screening.duration": {"min_s": 30.0},
        "screening.editing": {"min_usable_s": 30.0, "min_longest_s": 30.0},
        "screening.motion_without_audio": False,
        "screening.visibility": {"min_both_hands": 0.8, "min_any_hand": 0.8},
        "clips": {"length_s": 30.0, "hop_s": 24.0, "min_length_s": 30.0, "min_visibility": 0.8, "min_key_press_f1": 0.0},
        "motion.units": "frames",
        "motion.gap": {"shorter_than": 30},
        "motion.run": {"shorter_than": 15},
        "motion.savgol": {"order": 3, "window": 11},
    }
    for key, expected in paper.items():
        section = values
        for part in key.split("."):
            section = section[part]
        assert section == expected, key


def shipped_values(*names):
    """The plain values of configurations in config/."""
    return [yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8")) for name in names]


def _read_key(values, key):
    for part in key.split("."):
        values = values.get(part, {}) if isinstance(values, dict) else {}
    return None if values == {} else values


def test_the_table_of_thresholds_equals_the_configurations():
    page = (ROOT / "docs" / "tutorials" / "channel-dataset.md").read_text(encoding="utf-8")
    files = shipped_values("relaxed", "strict")
    lines = (line for line in page.splitlines() if line.startswith("|") and line.count("|") == 6)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    said = {cells[2].strip("`"): cells for cells in rows if cells[2].startswith("`") and "," not in cells[2]}
    shipped = {key for values in files for key in leaves(parse_config(values)) if _read_key(values, key) is not None}
    # Every key of both files is in the table, but for the length of clips, which strict.yaml only repeats.
    assert shipped - set(said) == {"clips.length_s"}
    for key, (_, default, _, *cells) in said.items():
        for values, cell in zip(files, cells, strict=True):
            assert _read_key(values, key) == (yaml.safe_load(cell) if cell else None), key
        value = lookup(Config(), key)
        number = f"{100 * value:g} %" if isinstance(value, float) and value < 1.0 else "motion only" if value is True else f"{value:g}"
        assert number in default or key.endswith("long_side_px"), f"{key}: the page says {default!r}, the default is {value}"


def test_relaxed_lets_more_pass_and_strict_less():
    relaxed, default, strict = map(parse_config, shipped_values("relaxed", "config", "strict"))
    for key in leaves(default.screening):
        values = [lookup(config, f"screening.{key}") for config in (relaxed, default, strict)]
        rising = ".min_" in f".{key}"
        assert values == sorted(values, reverse=not rising), key


def test_generated_references_are_current():
    for name, text in json_schemas().items():
        assert (ROOT / "workflow" / "schemas" / name).read_text(encoding="utf-8") == text, "run: python -m handroll.config.reference"
        json.loads(text)
    for name, text in (("config/config.yaml", default_yaml()), ("docs/configuration.md", reference_markdown())):
        assert (ROOT / name).read_text(encoding="utf-8") == text, "run: python -m handroll.config.reference"
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    assert readme == with_columns(readme), "run: python -m handroll.config.reference"


def test_lookup():
    assert lookup(Config(), "motion.hampel.window") == 20
    assert lookup(Config(), "screening.duration") == {"min_s": 8.0, "max_s": 7200.0}
    with pytest.raises(KeyError, match=r"motion\.hampel\.windows"):
        lookup(Config(), "motion.hampel.windows")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"moton": {}}, "moton: unknown key; did you mean motion?"),
        ({"motion": {"hampel": {"windw": 3}}}, r"motion\.hampel\.windw: unknown key; did you mean window\?"),
        ({"motion": {"hampel": {"window": "twenty"}}}, "motion.hampel.window: input should be a valid number, .* found 'twenty'"),
        ({"motion": {"hampel": {"window": [20]}}}, r"motion.hampel.window: input should be a valid number; found \[20\]"),
        ({"screening": {"audio": {"required": "maybe"}}}, "screening.audio.required: input should be a valid boolean"),
        ({"clips": {"min_visibility": 1.5}}, "less than or equal to 1; found 1.5"),
        ({"pose": {"engine": "magic"}}, "pose.engine: input should be 'landmarks'"),
        ({"splits": {"train": 0.0, "valid": 0.0, "test": 0.0}}, "all 0"),
        ({"keyboard": {"frames": 3}}, "keyboard.frames: input should be greater than or equal to 4; found 3"),
        ({"keyboard": {"min_finger_confidence": 80}}, "keyboard.min_finger_confidence: input should be less than or equal to 1"),
        ({"pose": {"contacts": "perhaps"}}, "pose.contacts: input should be a valid boolean"),
        ({"overlay": 3}, "overlay: "),
        (
            {"device": "cuda", "benchmark": {"gpus": 4, "gesture": {"training": {"batch": 2}}}},
            r"gesture.training.batch: expected at least one window for each of 4 GPUs \(benchmark.gpus\), found 2",
        ),
        ({"acquire": {"tries": 0}}, "acquire.tries: input should be greater than or equal to 1; found 0"),
        ({"acquire": {"max_size_gb": 0}}, "acquire.max_size_gb: input should be greater than 0"),
        ({"acquire": {"max_rate_mb_s": -1}}, "acquire.max_rate_mb_s: input should be greater than 0"),
        ({"dataset": {"rights": {"permissions": ["refused"]}}}, "dataset.rights.permissions.0: input should be 'granted' or 'unknown'"),
        ({"benchmark": {"window_s": 8.1}}, "multiple of 8 frames, found 243"),
        ({"benchmark": {"samplers": ["ddpm 1001"]}}, "benchmark.samplers.0: string should match pattern"),
        ({"benchmark": {"weights": {"released": "a.ckpt"}}}, "motion in the camera frame; set benchmark.frame: camera"),
        ({"benchmark": {"data": "pianomotion10m"}}, "no registered keyboards; set benchmark.frame: camera"),
        (
            {"benchmark": {"frame": "camera", "correction": {"rows": ["mapnet"]}}},
            "benchmark.correction.rows: the models need registered keyboards; set benchmark.frame: keyboard",
        ),
        ({"dataset": {"rights": {"licenses": []}}}, r"dataset.rights.licenses: unknown key; did you mean licences\?"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


def test_numbers_may_be_text():
    assert parse_config({"motion": {"hampel": {"window": "20"}}, "screening": {"audio": {"required": "false"}}}).motion.hampel.window == 20


def test_names_may_be_numbers():
    assert parse_config({"pianomotion10m": {"subjects": [1467634, "b"]}}).pianomotion10m.subjects == ["1467634", "b"]


def test_every_problem_is_listed():
    with pytest.raises(ConfigError) as caught:
        parse_config({"clips": {"length_s": -1.0, "hops": 2}, "sheet": 5})
    assert str(caught.value).startswith("the configuration has 3 problem(s)")


def test_an_error_is_short_and_harmless_whatever_the_values_are():
    """A few lines of YAML with aliases are a list of 10^9 items."""
    nested = ["x"] * 10
    for _ in range(8):
        nested = [nested] * 10
    with pytest.raises(ConfigError, match="device: input should be 'cpu' or 'cuda'; found \\[\\[\\[") as caught:
        parse_config({"device": nested})
    assert len(str(caught.value)) < 2000
    with pytest.raises(ConfigError, match=r"^[^\x1b]*\\x1b\[2J: unknown key"):
        parse_config({"\x1b[2J": 1})
    with pytest.raises(ConfigError) as caught:
        parse_config({"device": "x" * 1_000_000})
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("old", sorted(RENAMED))
def test_a_key_of_an_earlier_version_gives_its_new_name(old):
    section, _, key = old.rpartition(".")
    values = {key: {}}
    for name in reversed(section.split(".") if section else []):
        values = {name: values}
    with pytest.raises(ConfigError) as error:
        parse_config(values)
    assert f"{old}: this key is now called {RENAMED[old]}; rename it" in str(error.value)
    lookup(Config(), RENAMED[old])


@pytest.mark.parametrize(
    "values",
    [{"benchmark": {"rate_hz": float("inf")}}, {"evaluation": {"duration_s": float("inf")}}, {"clips": {"length_s": float("nan")}}],
)
def test_numbers_are_finite(values):
    with pytest.raises(ConfigError, match="input should be a finite number"):
        parse_config(values)
