"""`snakemake evaluation` at toy size: the pipeline's own rules on a simulated performance, scored against its truth."""

import json

import pytest

SETTINGS = "evaluation: {performances: 1, first_seed: 12, duration_s: 4, width_px: 640, scenes: 0, recordings: videos.tsv}\n"


@pytest.fixture(scope="module")
def done(finished, copy_of, tmp_path_factory, small_videos):
    """The finished project after the evaluation; its good video is in the sheet of recordings, another in the sheet of videos."""
    project = copy_of(finished, tmp_path_factory.mktemp("evaluation") / "project")
    (project.root / "other.tsv").write_text(f"subject\tvideo\tsource\nbert\ttwo\t{small_videos[1]}\n", encoding="utf-8")
    (project.root / "videos.tsv").write_text("subject\tvideo\tsource\nanna\tone\tmedia/one.mp4\n", encoding="utf-8")
    config = project.root / "config" / "test.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("videos.tsv", "other.tsv") + SETTINGS, encoding="utf-8")
    project.run("evaluation")
    return project


def test_every_stage_has_its_figures(done):
    made = json.loads((done.root / "results/evaluation/evaluation.json").read_text(encoding="utf-8"))
    values = {row["key"]: row["value"] for row in made["figures"]}
    assert values["registered"] == 1.0 and values["both_hands_found"] > 0.9
    assert values["onset_f1"] > 0.8 and values["label_right"] > 0.8 and values["tip_error_mm"] < 20.0
    (recording,) = made["recordings"]
    assert recording["video"] == "one" and recording["notes"] > 0
    page = (done.root / "results/evaluation/evaluation.md").read_text(encoding="utf-8")
    assert "fingertip error in the keyboard frame" in page
    assert (done.root / "results/evaluation/reliability.png").stat().st_size > 0


def test_nothing_of_it_is_in_the_dataset(done):
    assert not any("evaluation" in rule or "performance" in rule for rule in done.planned("all"))
    assert done.planned("evaluation") == {}


def test_a_filter_changes_the_figures_and_renders_nothing(done):
    planned = done.planned("evaluation", "--config", "motion={hampel: {n_sigma: 4}}")
    assert {"clean_motion": 2, "score_performance": 1, "summarise_evaluation": 1}.items() <= planned.items()
    assert "render_performance" not in planned and "detect_hands" not in planned
