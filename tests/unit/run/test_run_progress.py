import pytest

from handroll.run.progress import COSTS, NO_ERROR, STAGES, Job, Progress, cost, format_duration, format_elapsed, last_line, short_name

RULES = [rule for rules in STAGES.values() for rule in rules]


def play(progress, rules, video, speed, length_s, at_s=0.0):
    """Run jobs one after the other on a machine so many times as slow as that of `COSTS`; the lines, and the time at the end, s."""
    lines = []
    for rule in rules:
        progress.start((video, rule), Job(rule, video, at_s, "log"))
        at_s += speed * cost(rule, length_s)
        lines.append(progress.finish((video, rule), at_s))
    return [line for line in lines if line], at_s


def test_one_line_for_each_stage_of_a_video():
    progress = Progress(lambda video: 60.0)
    progress.plan(dict.fromkeys(RULES, 1) | {"total": len(RULES)}, 0.0)
    lines, _ = play(progress, RULES, "own/take", 2.0, 60.0)
    assert [line.split()[2] for line in lines] == list(STAGES)
    assert all("take" in line and "own/" not in line for line in lines)
    assert "left" not in lines[-1]


def test_the_estimate_uses_finished_jobs_and_the_measured_speed():
    for speed in (0.5, 1.0, 4.0):
        progress = Progress(lambda video: 60.0)
        progress.plan(dict.fromkeys(COSTS, 1), 0.0)
        assert progress.left_s(0.0) is None
        half = RULES[: len(RULES) // 2]
        _, at_s = play(progress, half, "own/take", speed, 60.0)
        assert progress.left_s(at_s) == pytest.approx(sum(speed * cost(rule, 60.0) for rule in RULES[len(half) :]), rel=1e-6)


def test_no_estimate_from_a_small_share_of_the_work():
    progress = Progress(lambda video: 3600.0)
    progress.plan(dict.fromkeys(COSTS, 1), 0.0)
    lines, _ = play(progress, STAGES["reading"], "own/take", 1.0, 3600.0)
    assert len(lines) == 1 and "left" not in lines[0]


def test_parallel_jobs_shorten_the_estimate():
    alone, together = (Progress(lambda video: 60.0) for _ in range(2))
    for progress in (alone, together):
        progress.plan({"detect_hands": 4}, 0.0)
    play(alone, ["detect_hands"], "own/a", 1.0, 60.0)
    for name in "ab":
        together.start(name, Job("detect_hands", f"own/{name}", 0.0, "log"))
    for name in "ab":
        together.finish(name, cost("detect_hands", 60.0))
    took = cost("detect_hands", 60.0)
    assert alone.left_s(took) == pytest.approx(3 * took)
    assert together.left_s(took) == pytest.approx(took)


def test_a_rejected_file_has_no_lines():
    progress = Progress(lambda video: 0.0)
    progress.plan(dict.fromkeys(RULES, 1), 0.0)
    assert play(progress, RULES, "own/empty", 1.0, 0.0)[0] == []


def test_after_a_failed_job_the_rest_of_its_video_is_not_expected():
    progress = Progress(lambda video: 60.0)
    progress.plan(dict.fromkeys(RULES, 2), 0.0)
    progress.start(1, Job("detect_hands", "own/take", 0.0, "log"))
    assert progress.fail(1).video == "own/take"
    later = RULES[RULES.index("detect_hands") :]
    assert {rule for rule, count in progress.waiting.items() if count == 1} == set(later)
    assert progress.fail(1) is None


def test_rules_without_video_have_lines_and_targets_have_none():
    progress = Progress(lambda video: 60.0)
    progress.plan({"write_shards": 1, "all": 1}, 0.0)
    progress.start(1, Job("write_shards", "", 0.0, "log"))
    assert progress.finish(1, 3.0).split() == ["0:03", "write_shards", "3", "s"]
    progress.start(2, Job("all", "", 3.0))
    assert progress.finish(2, 3.0) is None


def test_formats_of_times_names_and_errors():
    assert [format_duration(s) for s in (0.2, 59.6, 120.0, 9000.0)] == ["1 s", "60 s", "2 min", "2.5 h"]
    assert [format_elapsed(s).strip() for s in (5, 65, 3725)] == ["0:05", "1:05", "1:02:05"]
    assert short_name("own/" + "x" * 40) == "x" * 11 + ".." + "x" * 11 and short_name("ann/one") == "ann/one"
    assert last_line("Traceback\nValueError: too small\n") == "too small"
    assert last_line("2026-11-30 07:00:00,123 ERROR the disk is full; free some space") == "the disk is full; free some space"
    # Nothing said of an error: not what it did last, but that it was killed.
    assert last_line(" \n") == NO_ERROR
    assert last_line("2026-01-01 10:00:00,000 INFO 75 frames in 0.2 s\n") == NO_ERROR
