"""The table of requirements of a configuration, and the download of free weights."""

import dataclasses
import hashlib
import http.server
import json
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from handroll.cli import main
from handroll.config.pipeline import Config, parse_config
from handroll.models.autoencoder import AutoencoderSettings, MotionAutoencoder
from handroll.models.released import released_names
from handroll.models.speech_encoder import new_speech_encoder
from handroll.setup import doctor
from handroll.setup.doctor import Status, check_weights, examine, fetch, report_lines, unsatisfied
from handroll.setup.weights import Weights, all_weights, experiment_weights
from support.toy_mano import synthetic_mano, write_mano_pickle
from support.untrained_corrector import write_corrector
from toy_hamer import write_toy_checkpoint

DATA = b"weights" * 1000
KONG = {"music": {"engine": "kong"}}


def check_toy(path):
    if path.read_bytes() != DATA:
        raise ValueError(f"{path}: expected weights, found others")
    return "seven thousand bytes"


TOY = Weights(
    name="Toy",
    use="transcription",
    needed_by=("music.engine", "kong"),
    path_in=lambda config: Path(config.music.kong.checkpoint),
    source="https://x.org",
    licence="research only: never pass it on",
    check=check_toy,
    get="agree to the licence at https://x.org and put it there",
    size_bytes=len(DATA),
    on_device=True,
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a sheet of local files, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HANDROLL_COOKIES", raising=False)
    (tmp_path / "config").mkdir()
    sheet("one.mp4")
    return tmp_path


def sheet(*sources):
    rows = [f"ann\tv{number}\t{source}" for number, source in enumerate(sources)]
    Path("config/videos.tsv").write_text("\n".join(["subject\tvideo\tsource", *rows]) + "\n", encoding="utf-8")


def named(findings, name):
    return next(finding for finding in findings if finding.name == name)


def put(data, config):
    path = TOY.path_in(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_weights_are_missing_wrong_right_or_not_needed(project):
    config = parse_config(KONG)
    path = config.music.kong.checkpoint
    missing = check_weights(TOY, config)
    assert missing.status is Status.MISSING and missing.found == f"transcription needs {project / path} (0 MB): no such file or folder"
    assert missing.more == ("licence: research only: never pass it on; from https://x.org", f"do: {TOY.get}")
    assert (
        check_weights(TOY, Config()).status is Status.OPTIONAL
        and "does not exist; only music.engine: kong" in check_weights(TOY, Config()).found
    )
    put(b"others", config)
    wrong = check_weights(TOY, config)
    assert (
        wrong.status is Status.WRONG
        and "expected weights, found others" in wrong.found
        and wrong.more[1] == f"do: remove it, then {TOY.get}"
    )
    assert "exists (not opened)" in check_weights(TOY, Config()).found
    put(DATA, config)
    right = check_weights(TOY, config)
    assert right.status is Status.OK and right.found == f"transcription: {path}, 0.0 MB, seven thousand bytes"


def test_a_package_that_is_not_installed_is_missing():
    def path_in(config):
        raise PackageNotFoundError("transkun")

    found = check_weights(dataclasses.replace(TOY, path_in=path_in, needed_by=None), Config())
    assert found.status is Status.MISSING and "the package transkun" in found.found


def test_the_demo_has_no_missing_requirements(project, capsys):
    """Opens the weights in the packages."""
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\nAll requirements are satisfied.\n")
    for name in ("MediaPipe palm_detection_full", "MediaPipe hand_landmark_full", "Silero VAD", "Transkun 2"):
        assert any(line.split("  ")[0] == "OK" and name in line for line in out.splitlines()), name
    assert "SHA-256" in out and "licence: MIT; from the package transkun" in out
    assert not (project / "results").exists()


def test_missing_weights_of_kong_are_reported_with_their_licence(project, capsys):
    assert main(["doctor", "--config", "music={engine: kong}"]) == 1
    out = capsys.readouterr().out
    assert "MISSING   Kong et al. 2021" in out and "(172 MB): no such file" in out and "zenodo.org/records/4034264" in out
    assert "licence: CC BY 4.0" in out and "OPTIONAL  Transkun 2" in out
    assert out.splitlines()[-1] == "1 of 15 requirements are missing or wrong: Kong et al. 2021"


def test_kongs_released_file_is_distinguished_from_others_of_its_layout(project, monkeypatch):
    put(DATA, parse_config(KONG))
    kongs = next(one for one in all_weights() if one.name == "Kong et al. 2021")
    for sha256, text in ((kongs.sha256, "the released file"), ("0" * 64, "not the released file, but of the same layout")):
        monkeypatch.setattr("handroll.music.kong.load_model", lambda path, sha256=sha256: (None, sha256))
        found = check_weights(kongs, parse_config(KONG))
        assert found.status is Status.OK and found.found.endswith(f"SHA-256 {sha256}, {text}")


def test_a_missing_model_of_the_correction_says_how_to_train_it(project, capsys):
    assert main(["doctor", "--config", "motion={correction: mapnet}"]) == 1
    out = capsys.readouterr().out
    assert "MISSING   MAPnet" in out and "docs/how-to/correct-motion.md" in out
    write_corrector(project / "mapnet.safetensors")
    assert main(["doctor", "--config", "motion={correction: mapnet, mapnet: {checkpoint: mapnet.safetensors}}"]) == 0
    assert "features notes, 30 Hz" in capsys.readouterr().out


def test_hamers_files_are_listed_and_checked(project, capsys):
    config = ["doctor", "--config", "pose={engine: hamer}"]
    assert main(config) == 1
    out = capsys.readouterr().out
    assert "3 of 15 requirements are missing or wrong: HaMeR, HaMeR's settings, MANO, right hand" in out
    assert "mano.is.tue.mpg.de" in out and "hamer_demo_data.tar.gz" in out and "never share the file" in out
    weights = Path("resources/weights")
    files = write_toy_checkpoint(weights / "hamer/hamer_ckpts")
    (weights / "hamer/hamer_ckpts/checkpoints").mkdir()
    files.checkpoint.rename(weights / "hamer/hamer_ckpts/checkpoints/hamer.ckpt")
    (weights / "mano").mkdir()
    write_mano_pickle(weights / "mano/MANO_RIGHT.pkl", synthetic_mano())
    assert main(config) == 0
    assert "OK        HaMeR " in capsys.readouterr().out
    (weights / "mano/MANO_RIGHT.pkl").write_bytes(b"cos\nsystem\n(S'touch harmed'\ntR.")
    assert main(config) == 1
    assert "WRONG     MANO, right hand" in capsys.readouterr().out and not Path("harmed").exists()


def test_another_file_at_kongs_path_is_wrong(project, capsys):
    put(b"<!doctype html>", parse_config(KONG))
    assert main(["doctor", "--config", "music={engine: kong}", "--fetch"]) == 1
    out = capsys.readouterr().out
    assert "WRONG     Kong et al. 2021" in out and "found a web page" in out and "do: remove it, then" in out
    assert "downloading" not in out, "what a person put there is never written over"


def experiment(**benchmark):
    """The configuration of an experiment, and what is found of its weights by their names."""
    config = parse_config({"benchmark": {"frame": "camera", **benchmark}})
    return config, {finding.name: finding for finding in (check_weights(one, config) for one in experiment_weights(config))}


def test_an_experiment_needs_only_the_weights_that_it_uses(project):
    """Frozen and tuned features need the same encoder; those of the demo need none."""
    assert experiment()[1] == experiment(features=["notes", "logmel"], decoders=["ssm"])[1] == {}
    assert list(experiment(features=["wav2vec2"])[1]) == ["wav2vec 2.0"]
    _, found = experiment(features=["hubert", "hubert_tuned"], weights={"released": "a.ckpt", "released_autoencoder": "b.ckpt"})
    assert list(found) == ["HuBERT", "PianoMotion10M's models", "PianoMotion10M's auto-encoder"]
    assert all(finding.status is Status.MISSING and "no such file or folder" in finding.found for finding in found.values())
    assert "Apache-2.0" in found["HuBERT"].more[0] and "huggingface.co/facebook" in found["HuBERT"].more[1]
    assert "hubert-base-ls960 or hubert-large-ls960-ft" in found["HuBERT"].more[1] and "wav2vec" not in found["HuBERT"].more[1]
    assert "CC BY-NC 4.0" in found["PianoMotion10M's models"].more[0]
    assert "leave benchmark.weights.released empty" in found["PianoMotion10M's models"].more[1]


def test_a_speech_encoder_is_incomplete_of_another_kind_or_right(project):
    folder = Path("encoder")
    new_speech_encoder("wav2vec2", "tiny").network.save_pretrained(folder)
    right = experiment(features=["wav2vec2_tuned"], weights={"wav2vec2": "encoder"})[1]["wav2vec 2.0"]
    assert right.status is Status.OK and right.found == "features wav2vec2: encoder, 2 layers, 32 wide"

    def hubert():
        return experiment(features=["hubert_tuned"], weights={"hubert": "encoder"})[1]["HuBERT"]

    wrong = hubert()
    assert wrong.status is Status.WRONG and wrong.found == "encoder: expected a network of type hubert, found 'wav2vec2'"
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | {"model_type": "bert"}), encoding="utf-8")
    assert hubert().status is Status.WRONG and "found 'bert'" in hubert().found
    (folder / "config.json").unlink()
    assert (
        hubert().status is Status.MISSING and "found model.safetensors" in hubert().found and "do: download config.json" in hubert().more[1]
    )


def test_released_checkpoints_are_opened(project, monkeypatch):
    network = MotionAutoencoder(AutoencoderSettings())
    state = {released: network.state_dict()[name] for name, released in released_names(network).items()}
    torch.save({"pose_dim": 96, "gen_dict": state}, "fid.ckpt")
    _, found = experiment(weights={"released": "fid.ckpt", "released_autoencoder": "fid.ckpt"})
    sha256 = hashlib.sha256(Path("fid.ckpt").read_bytes()).hexdigest()
    right, wrong = found["PianoMotion10M's auto-encoder"], found["PianoMotion10M's models"]
    assert right.status is Status.OK and right.found.endswith(f"SHA-256 {sha256}")
    assert wrong.status is Status.WRONG and "expected PianoMotion10M's gesture generator" in wrong.found
    monkeypatch.setattr("handroll.models.released.load_gesture", lambda path: None)
    assert experiment(weights={"released": "fid.ckpt"})[1]["PianoMotion10M's models"].status is Status.OK


def test_the_released_dataset_is_checked_if_the_experiment_uses_it(project):
    assert not any(finding.name == "PianoMotion10M" for finding in examine(Config(), []))
    config = parse_config({"benchmark": {"data": "pianomotion10m", "frame": "camera"}, "pianomotion10m": {"folder": "tree"}})

    def found():
        return named(examine(config, []), "PianoMotion10M")

    missing = found()
    assert missing.status is Status.MISSING and "found no folder annotation" in missing.found
    assert "CC BY-NC 4.0" in missing.more[0] and "unpack it to tree; see docs/how-to/pianomotion10m.md" in missing.more[1]
    Path("tree/annotation/1/BV1a").mkdir(parents=True)
    assert found().status is Status.MISSING and "tree/train.txt: expected the videos of split train" in found().found
    for split in ("train", "valid", "test"):
        Path(f"tree/{split}.txt").write_text("1 BV1a\n" if split == "train" else "", encoding="utf-8")
    assert found().status is Status.WRONG and "0 clips listed, 1 left out" in found().found
    Path("tree/annotation/1/BV1a/BV1a_seq_0000.json").touch()
    assert found().status is Status.OK and "1 clips listed, 0 left out" in found().found


def test_a_missing_encoder_is_reported_and_not_downloaded(project, capsys):
    assert main(["doctor", "--config", "benchmark={features: [hubert]}", "--fetch"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "1 of 16 requirements are missing or wrong: HuBERT" and "downloading" not in out


def test_a_gpu_that_does_not_exist_is_missing(project, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = named(examine(parse_config({"device": "cuda"}), []), "device: cuda")
    assert found.status is Status.MISSING and "set `device: cpu`" in found.found


@pytest.mark.parametrize(("free", "status"), [(len(DATA) - 1, Status.WRONG), (len(DATA), Status.OK)])
def test_the_memory_of_a_gpu_must_hold_the_weights(free, status, project, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    found = named(examine(parse_config({"device": "cuda", **KONG}), [TOY]), "device: cuda")
    assert found.status is status and found.found == "Some GPU, 0.0 of 8.0 GB free"


def test_disk_space_matters_if_videos_are_downloaded(project, monkeypatch):
    monkeypatch.setattr(doctor, "free_bytes", lambda folder: 10**9)
    assert named(examine(Config(), []), "disk space").status is Status.OPTIONAL
    sheet("one.mp4", "https://x.org/two.mp4")
    findings = examine(Config(), [])
    assert named(findings, "disk space").status is Status.WRONG and "other_site" in named(findings, "sheet of videos").found


def test_an_unwritable_folder_of_results_is_reported(project):
    Path("results").write_text("a file", encoding="utf-8")
    found = named(examine(Config(), []), "writing results/")
    assert found.status is Status.WRONG and "Not a directory" in found.found


def test_all_problems_of_an_invalid_sheet_are_reported(project):
    Path("config/videos.tsv").write_text("subject\tvideo\n", encoding="utf-8")
    findings = examine(Config(), [])
    assert named(findings, "sheet of videos").status is Status.WRONG
    assert any("column 'source' is missing" in line for line in report_lines(findings))


def test_cookies_are_counted_and_never_printed(project, monkeypatch):
    assert named(examine(Config(), []), "cookies").status is Status.OPTIONAL
    Path("cookies.txt").write_text(".x.org\tTRUE\t/\tTRUE\t0\tid\tvery-secret\n", encoding="utf-8")
    monkeypatch.setenv("HANDROLL_COOKIES", "cookies.txt")
    findings = examine(Config(), [])
    assert named(findings, "cookies").found == "number of cookies in the file of HANDROLL_COOKIES: 1"
    assert "secret" not in "".join(report_lines(findings))
    monkeypatch.setenv("HANDROLL_COOKIES", "nowhere.txt")
    assert named(examine(Config(), []), "cookies").status is Status.WRONG


def test_a_javascript_runtime_is_advised_for_videos_of_youtube(project, monkeypatch):
    runtime = SimpleNamespace(info=None)
    monkeypatch.setattr("yt_dlp.YoutubeDL._js_runtimes", property(lambda self: {"deno": runtime}))
    found = named(examine(Config(), []), "JavaScript runtime")
    assert found.status is Status.OPTIONAL and "only videos of YouTube need it" in found.found and not found.more
    sheet("https://youtu.be/dQw4w9WgXcQ")
    found = named(examine(Config(), []), "JavaScript runtime")
    assert found.status is Status.OPTIONAL and "formats of YouTube may be missing" in found.found and "deno.com" in found.more[0]
    runtime.info = SimpleNamespace(version="2.4.0", supported=True)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    assert named(examine(Config(), []), "JavaScript runtime").found == "deno 2.4.0"


@pytest.fixture
def server():
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield SimpleNamespace(url=f"http://127.0.0.1:{running.server_port}/toy.pth", asked=asked)
        running.shutdown()


def test_free_weights_are_downloaded_once_and_verified(server, project):
    config, sha256 = parse_config(KONG), hashlib.sha256(DATA).hexdigest()
    toy = dataclasses.replace(TOY, url=server.url, sha256=sha256)
    unneeded, licensed = dataclasses.replace(toy, needed_by=("music.engine", "transkun")), TOY
    lines = list(fetch(config, [licensed, unneeded, toy], schemes=("http",)))
    path = config.music.kong.checkpoint
    assert server.asked == ["/toy.pth"] and Path(path).read_bytes() == DATA
    assert lines[1] == f"downloaded {path}, {len(DATA)} bytes, SHA-256 {sha256} (as released)" and "never pass it on" in lines[0]
    assert list(fetch(config, [toy], schemes=("http",))) == [] and check_weights(toy, config).status is Status.OK
    Path(path).unlink()
    assert list(fetch(config, [dataclasses.replace(toy, sha256=None)], schemes=("http",)))[1].endswith(
        "(no released checksum to compare with)"
    )


def test_a_failed_download_leaves_nothing_and_is_reported(server, project, monkeypatch, capsys):
    toy = dataclasses.replace(TOY, url=server.url, sha256="0" * 64)
    monkeypatch.setattr(doctor, "all_weights", lambda: (toy,))
    assert main(["doctor", "--config", "music={engine: kong}", "--fetch"]) == 1
    captured = capsys.readouterr()
    assert "expected an address that starts with https" in captured.err and "MISSING   Toy" in captured.out and server.asked == []
    with pytest.raises(RuntimeError, match="expected a file with SHA-256 000"):
        list(fetch(parse_config(KONG), schemes=("http",)))
    assert list(Path(parse_config(KONG).music.kong.checkpoint).parent.iterdir()) == []


def test_only_weights_that_need_no_consent_have_an_address():
    fetched = {one.name: one.url for one in all_weights() if one.url}
    assert fetched == {
        "Kong et al. 2021": "https://zenodo.org/records/4034264/files/CRNN_note_F1%3D0.9677_pedal_F1%3D0.9186.pth?download=1"
    }
    config = parse_config(
        {
            "benchmark": {
                "frame": "camera",
                "features": ["hubert", "wav2vec2"],
                "weights": {"released": "a.ckpt", "released_autoencoder": "b.ckpt"},
            }
        }
    )
    assert all(one.licence and one.source and one.get for one in (*all_weights(), *experiment_weights(config)))
    assert not any(one.url for one in experiment_weights(config))


def test_the_table_ends_with_the_missing_requirements(project):
    findings = [check_weights(TOY, parse_config(KONG)), check_weights(TOY, Config())]
    lines = list(report_lines(findings))
    assert lines[0].startswith("MISSING   Toy  transcription needs") and lines[2] == f"               do: {TOY.get}"
    assert lines[-1] == "1 of 2 requirements are missing or wrong: Toy" and unsatisfied(findings) == findings[:1]
