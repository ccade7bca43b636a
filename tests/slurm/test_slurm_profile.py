"""What profiles/slurm and the rules must keep so that a cluster gives right results; needs no SLURM."""

import re
from pathlib import Path

import pytest
import yaml

from handroll.screening.verdict import MEASURED

ROOT = Path(__file__).resolve().parents[2]
GROWS = re.compile(r"grows\(|attempt")


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text(encoding="utf-8"))


def limits(of_profile):
    """Counted resources of a run; a profile may give them as a table or as a list of NAME=NUMBER."""
    given = of_profile.get("resources", {})
    pairs = given.items() if isinstance(given, dict) else (entry.split("=") for entry in given)
    return {name: int(number) for name, number in pairs}


@pytest.fixture(scope="module")
def rules():
    """The text of every rule by its name."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^(?:rule|checkpoint) (\w+):\n", text, flags=re.MULTILINE)
    # A rule ends where a line without indentation begins.
    return {name: re.split(r"^\S", body, maxsplit=1, flags=re.MULTILINE)[0] for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.fixture(scope="module")
def local():
    """Rules that run in the process that plans."""
    index = (ROOT / "Snakefile").read_text(encoding="utf-8")
    listed = re.search(r"^localrules:\n((?:    \w+,\n)+)", index, flags=re.MULTILINE)[1]
    return set(re.findall(r"\w+", listed))


def measured_by(rules):
    """Step of `MEASURED` to the rule that writes its file."""
    writers = {}
    for step, file in MEASURED.items():
        writers[step] = [name for name, body in rules.items() if file in outputs(body)]
    assert all(len(names) == 1 for names in writers.values()), writers
    return {step: names[0] for step, names in writers.items()}


def outputs(body):
    """Every quoted string of the rule's output directive."""
    found = re.search(r"^    output:\n((?:        .*\n|\n)+)", body, flags=re.MULTILINE)
    return re.findall(r'"([^"]+)"', found[1]) if found else []


def steps_read(body, all_steps):
    """The measurements that the rule's verdict reads."""
    found = re.search(r"=rejected\(([^)]*)\)", body)
    if not found:
        return set()
    return set(all_steps) if "*MEASURED" in found[1] else set(re.findall(r'"(\w+)"', re.sub(r'\w+="\w+"', "", found[1])))


def conflicts(groups, rules):
    """(group, rule, rule that measures) wherever a verdict would be asked for before its measurement is made."""
    writers = measured_by(rules)
    return {
        (group, rule, writers[step])
        for rule, group in groups.items()
        for step in steps_read(rules[rule], writers)
        if groups.get(writers[step]) == group
    }


def test_no_verdict_is_asked_for_before_its_measurement(rules):
    groups = profile("slurm")["groups"]
    assert set(groups) <= set(rules)
    assert conflicts(groups, rules) == set()


def test_a_group_that_asks_too_early_is_seen(rules):
    assert conflicts({"survey_video": "g", "probe_video": "g"}, rules) == {("g", "survey_video", "probe_video")}
    early = conflicts({"register_keyboard": "g", "fit_pose": "g", "check_midi": "g"}, rules)
    assert early == {("g", "register_keyboard", "check_midi"), ("g", "fit_pose", "check_midi"), ("g", "fit_pose", "register_keyboard")}
    assert conflicts({"register_keyboard": "a", "fit_pose": "b"}, rules) == set()


def test_verdicts_are_asked_for_again_when_a_job_starts(rules):
    # Snakemake keeps a param as it was planned unless something, such as a message, asks for it at the start of the job.
    verdicts = {name: body for name, body in rules.items() if "=rejected(" in body}
    assert verdicts and all(re.search(r"^    message:", body, flags=re.MULTILINE) for body in verdicts.values())


def test_memory_and_time_of_every_job_grow_with_the_attempt(rules, local):
    away = {name: body for name, body in rules.items() if name not in local and "localrule: True" not in body}
    assert {"fetch_video", "cut_clips", "write_shards"} <= set(away)
    for resource in ("mem_mb", "runtime"):
        values = {name: re.search(rf"^        {resource}=(.*),$", body, flags=re.MULTILINE) for name, body in away.items()}
        assert [name for name, value in values.items() if not value or not GROWS.search(value[1])] == []


def test_no_rule_retries_by_itself(rules):
    # The nested Snakemakes of a job would count again: ten runs were seen for two retries.
    assert [name for name, body in rules.items() if re.search(r"^    retries:", body, flags=re.MULTILINE)] == []
    assert profile("slurm")["retries"] >= 1


def test_profile_repeats_what_the_default_sets():
    default, slurm = profile("default"), profile("slurm")
    for key in ("rerun-triggers", "rerun-incomplete", "keep-going", "show-failed-logs"):
        assert slurm[key] == default[key]
    # GPUs are counted by SLURM, not by the run.
    here = {name: limit for name, limit in limits(default).items() if name != "gpu"}
    assert {**here, "slot": 1} == limits(slurm)


def test_groups_ask_for_one_job_after_the_other():
    slurm = profile("slurm")
    assert limits(slurm)["slot"] == slurm["default-resources"]["slot"] == 1
    assert slurm["set-resource-scopes"] == {"slot": "local"}
    assert set(slurm["group-components"]) == set(slurm["groups"].values())
    assert slurm["group-components"]["fetch"] == 1  # what is repeated is fetched again


def test_every_site_with_a_limit_has_a_rule_that_counts(rules):
    sites = set(limits(profile("slurm"))) - {"slot"}
    assert sites and all(re.search(rf"^        {site}=", rules["fetch_video"], flags=re.MULTILINE) for site in sites)
