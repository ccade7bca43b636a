"""The workflow on a real SLURM, through profiles/slurm: the same bytes as on one machine, whatever is killed, cancelled or too slow.

Three projects share the cluster. In one the whole workflow runs, its main process is killed and one of its jobs cancelled on
the way; in the other two, which wait most of the time, a job is over its time limit. They start together.
"""

import json
import re
import signal
from math import ceil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from handroll.provenance import file_sha256

LENGTH_S = 4.0  # of the small video
MUSIC = ("transcribe_audio", "check_midi")  # the members of a group
MANIFEST = "results/dataset/shards.json"
# As long as a job may take with two attempts' time but not with one.
LONG = "import time\n\ntime.sleep(600 if {condition} else 0)\n"


@pytest.fixture(scope="module")
def reference(slurm, finished):
    """The workflow on this machine, without SLURM: what all others must equal. Skips early where there is no SLURM."""
    return finished


@pytest.fixture(scope="module")
def copies(slurm, reference, cluster_project, tmp_path_factory):
    """Two copies of the finished project, each with a job of `cut_clips` that is over its limit of a minute, running."""
    made = {}
    for name, condition, arguments in (
        # Ends by itself once it has two minutes.
        ("patient", "snakemake.resources.runtime < 2", [MANIFEST]),
        # Has one attempt only.
        ("hopeless", "snakemake.resources.runtime < 5", ["results/dataset/clips/anna/one.parquet", "--retries", "0"]),
    ):
        copy = cluster_project(reference, tmp_path_factory.mktemp(name) / "project", results=True)
        slow = LONG.format(condition=f'{condition} and snakemake.wildcards.video == "one"')
        copy.edit("workflow/scripts/cut_clips.py", "\nif __name__ ==", f"\n{slow}\n\nif __name__ ==")
        rules = copy.root / "workflow/rules/dataset.smk"
        text, edits = re.subn(
            r"(rule cut_clips:.*?runtime=)[^\n]*,\n", r"\1grows(1),\n", rules.read_text(encoding="utf-8"), count=1, flags=re.DOTALL
        )
        assert edits == 1
        rules.write_text(text, encoding="utf-8")
        made[name] = (copy, *copy.start(*arguments))
    return made


@pytest.fixture(scope="module")
def on_cluster(slurm, reference, copies, cluster_project, tmp_path_factory):
    """The whole workflow on SLURM, with what happened to it: its main process killed, then one of its jobs cancelled."""
    root = tmp_path_factory.mktemp("cluster") / "project"
    made = cluster_project(reference, root, results=False)
    process, log = made.start("all")
    made.wait_for_job(process, log, "detect_hands", "anna/one")
    process.send_signal(signal.SIGKILL)
    process.wait()
    orphans = slurm.jobs(root, "RUNNING,PENDING")
    # What docs/how-to/cluster.md says to do then.
    run = re.search(r"SLURM run ID: (\S+)", log.read_text(encoding="utf-8"))[1]
    slurm.ask("scancel", f"--name={run}")
    slurm.wait_until_none_runs(root)
    status, said = made.finish(*made.start("all"))
    assert status != 0 and "LockException" in said, said
    status, said = made.finish(*made.start("--unlock"))
    assert status == 0, said
    process, log = made.start("all")
    cancelled = made.wait_for_job(process, log, "register_keyboard", "anna/one")
    slurm.ask("scancel", cancelled)
    status, said = made.finish(process, log)
    assert status == 0, said
    return {"project": made, "orphans": orphans, "cancelled": cancelled, "said": said}


def same_dataset(project, reference):
    """The packed dataset equals the reference by its manifest, which lists sizes and checksums, and by its files."""
    manifest = (project.root / MANIFEST).read_text(encoding="utf-8")
    assert manifest == (reference.root / MANIFEST).read_text(encoding="utf-8")
    shards = json.loads(manifest)["shards"]
    assert sum(shard["rows"] for shard in shards) > 0
    assert {shard["name"]: shard["sha256"] for shard in shards} == {
        path.name: file_sha256(path) for path in (project.root / MANIFEST).parent.glob("*.parquet") if path.name != "splits.parquet"
    }


def whole_files(project):
    """No file is half written: none has a temporary name, none is marked as incomplete, and every table can be read."""
    results = project.root / "results"
    assert [path for path in results.rglob("*") if ".part" in path.name] == []
    assert list((project.root / ".snakemake" / "incomplete").glob("*")) == []
    tables = list(results.rglob("*.parquet"))
    assert len(tables) > 12
    for path in tables:
        pq.read_table(path)


def test_killed_and_cancelled_run_ends_with_the_same_bytes(on_cluster, reference):
    assert len(on_cluster["orphans"]) >= 1  # the killed process had left jobs behind
    assert f"SLURM-job '{on_cluster['cancelled']}' failed, SLURM status is: 'CANCELLED'" in on_cluster["said"]
    same_dataset(on_cluster["project"], reference)
    whole_files(on_cluster["project"])


def test_every_file_of_the_cluster_equals_that_of_one_machine(on_cluster, reference):
    for phase in ("hands", "keyboard", "motion", "music", "dataset"):
        here, there = (project.root / "results" / phase for project in (on_cluster["project"], reference))
        files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(there) for path in there.rglob("*") if path.is_file())
        assert [path for path in files if (here / path).read_bytes() != (there / path).read_bytes()] == []


def test_nothing_is_left_to_do_on_the_cluster_or_elsewhere(on_cluster):
    project = on_cluster["project"]
    verdicts = json.loads((project.root / "results/screening/verdicts.json").read_text(encoding="utf-8"))
    assert {verdict["video"]: verdict["usable_for_dataset"] for verdict in verdicts} == {"one": True, "none": False}
    status, said = project.finish(*project.start("all"))
    assert status == 0 and "Nothing to be done" in said, said
    assert project.planned("all") == {}


def test_group_asks_for_the_summed_time_of_its_members(on_cluster, slurm):
    project = on_cluster["project"]
    text = "".join(path.read_text(encoding="utf-8") for path in (project.root / "workflow/rules").glob("*.smk"))
    asked = {
        rule: re.search(rf"^rule {rule}:.*?runtime=grows\(([\d.]+), per_hour=([\d.]+)\)", text, flags=re.MULTILINE | re.DOTALL)
        for rule in MUSIC
    }
    minutes = sum(ceil(float(found[1]) + float(found[2]) * LENGTH_S / 3600.0) for found in asked.values())
    groups = {job for job, comment in slurm.jobs(project.root).items() if comment == "_".join(("rule_music", *sorted(MUSIC)))}
    # Each video's was completed; one that ran when the main process was killed was submitted once more.
    assert [state for job, state, _ in slurm.ended(project.root) if job in groups].count("COMPLETED") >= 2
    # The video without hands is shorter, by less than makes a minute.
    assert {limit for job, _, limit in slurm.ended(project.root) if job in groups} == {minutes}


def test_job_over_its_time_is_repeated_with_more(copies, reference, slurm):
    project, process, log = copies["patient"]
    status, said = project.finish(process, log)
    assert status == 0, said
    assert "DUE TO TIME LIMIT" in said
    ends = [(state, minutes) for _, state, minutes in slurm.ended(project.root)]
    assert ("TIMEOUT", 1) in ends and ("COMPLETED", 2) in ends
    same_dataset(project, reference)
    whole_files(project)


def test_job_over_its_time_without_retries_says_so_and_can_be_repeated(copies, reference, slurm):
    project, process, log = copies["hopeless"]
    clips = Path("results/dataset/clips/anna/one.parquet")
    status, said = project.finish(process, log)
    assert status == 1 and "DUE TO TIME LIMIT" in said and "Error in rule cut_clips" in said and str(clips) in said, said
    assert not (project.root / clips).exists()
    status, said = project.finish(*project.start(str(clips), "--set-resources", "cut_clips:runtime=5 * attempt"))
    assert status == 0, said
    assert ("COMPLETED", 5) in [(state, minutes) for _, state, minutes in slurm.ended(project.root)]
    # Not the same bytes: what made the file is written in it, and the slow script is another one.
    assert pq.read_table(project.root / clips).equals(pq.read_table(reference.root / clips))
    assert pq.read_table(project.root / clips).num_rows > 0
