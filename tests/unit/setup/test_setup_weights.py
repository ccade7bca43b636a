from handroll.config.pipeline import Config, lookup, parse_config
from handroll.setup.weights import PATH_KEYS, with_absolute_paths


def test_relative_paths_of_weights_are_relative_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = parse_config({"music": {"kong": {"checkpoint": "mine/kong.pth"}}, "pose": {"hamer": {"mano": "/elsewhere/mano.pkl"}}})
    moved = with_absolute_paths(config)
    assert moved.music.kong.checkpoint == str(tmp_path / "mine/kong.pth")
    assert moved.pose.hamer.mano == "/elsewhere/mano.pkl"
    assert moved.benchmark.weights.released == ""
    assert moved.motion.mapnet.checkpoint == str(tmp_path / config.motion.mapnet.checkpoint)
    sections = {"music", "pose", "motion", "benchmark"}
    assert moved.model_dump(exclude=sections) == config.model_dump(exclude=sections)


def test_every_default_path_of_weights_is_known():
    def texts(values, key=""):
        for name, value in values.items():
            where = f"{key}.{name}".lstrip(".")
            yield from texts(value, where) if isinstance(value, dict) else [(where, value)]

    paths = {key for key, value in texts(Config().model_dump()) if isinstance(value, str) and value.startswith("resources/weights/")}
    assert paths <= set(PATH_KEYS)
    assert all(isinstance(lookup(Config(), key), str) for key in PATH_KEYS)
