from pathlib import Path

import pytest

from handroll.cli import main
from handroll.config.files import read_config
from handroll.config.pipeline import ConfigError


def test_files_and_settings_are_merged_as_by_snakemake(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("device: cuda\nmusic:\n  engine: kong\n  kong: {checkpoint: a.pth}\n", encoding="utf-8")
    Path("b.yaml").write_text("music: {kong: {checkpoint: b.pth}}\n", encoding="utf-8")
    config = read_config(["a.yaml", "b.yaml"], ["device=cpu", "acquire={min_free_gb: 1}"])
    assert (config.device, config.music.engine, config.music.kong.checkpoint, config.acquire.min_free_gb) == ("cpu", "kong", "b.pth", 1.0)


@pytest.mark.parametrize(
    ("file", "setting", "message"),
    [
        (None, "device", "expected KEY=VALUE"),
        (None, "device={", "expected KEY=VALUE"),
        (None, "devise=cpu", "did you mean device"),
        ("- a list", None, r"expected `key: value` lines, found \['a list'\]"),
        ("a: [", None, "expected YAML"),
        ("device: cuda\ndevice: cpu", None, "expected YAML, but it is invalid: found the key 'device' twice"),
        (f"sheet: {'[' * 1000}{']' * 1000}", None, "expected YAML, but it is invalid: its lists or keys are nested too deep"),
        (f"benchmark: {{gpus: {'9' * 5000}}}", None, "expected YAML, but it is invalid: Exceeds the limit"),
        (None, None, "nowhere.yaml: cannot read this configuration file: No such file"),
    ],
)
def test_invalid_files_and_settings(file, setting, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = "nowhere.yaml" if file is None else "mine.yaml"
    if file is not None:
        Path(name).write_text(file, encoding="utf-8")
    arguments = ["--config", setting] if setting else ["--configfile", name]
    with pytest.raises(ConfigError, match=message):
        read_config([] if setting else [name], [setting] if setting else [])
    assert main(["doctor", *arguments]) == 2 and "handroll doctor: " in capsys.readouterr().err
