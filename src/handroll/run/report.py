"""Write the report of `handroll run` on a video: facts, warnings and files, read from the results of the video.

Your own videos are screened by the same criteria as a dataset, with the thresholds of the configuration. The report lists rejection
reasons as warnings: every readable video gives motion anyway.
"""

from dataclasses import dataclass
from pathlib import Path

from handroll.reasons import MOTION, Reason
from handroll.screening.verdict import MEASURED, Verdict, judge
from handroll.storage import read_json, undamaged

MIN_HANDS_SHARE = 0.05
"""Minimum share of frames with at least one hand for useful motion, 0..1."""

MAX_MISSING_SHARE = 0.1
"""Threshold of two warnings, 0..1: for the share of frames in which one hand is missing, and for the unusable share of the video."""

STEPS = {
    "fetch_video": "acquire/{v}/info.json",
    "probe_video": "acquire/{v}/probe.json",
    "extract_audio": "acquire/{v}/audio.flac",
    "survey_video": "screening/{v}/observed.json",
    "find_segments": "screening/{v}/survey.json",
    "measure_audio": "screening/{v}/audio.json",
    "detect_hands": "hands/{v}/detections.parquet",
    "measure_visibility": "hands/{v}/visibility.json",
    "transcribe_audio": "music/{v}/transcription/notes.parquet",
    "check_midi": "music/{v}/notes.parquet",
    "register_keyboard": "keyboard/{v}/registration.json",
    "fit_pose": "hands/{v}/pose.parquet",
    "label_fingering": "keyboard/{v}/notes.parquet",
    "refine_pose": "hands/{v}/refined.parquet",
    "clean_motion": "motion/{v}/motion.parquet",
    "draw_overlay": "report/{v}/overlay.mp4",
}
"""For each step, one of its output files below `results`, in the order of the data flow. A failed step has no output. `{v}` is
`subject/name`."""


def _steps_up_to(last):
    """Return the names of all steps up to and including `last`."""
    return tuple(STEPS)[: list(STEPS).index(last) + 1]


FILES = {
    "overlay": ("report/{v}/overlay.mp4", tuple(STEPS)),
    "contact sheet": ("report/{v}/contact_sheet.png", tuple(STEPS)),
    "motion": ("motion/{v}/motion.parquet", _steps_up_to("clean_motion")),
    "keyboard": ("keyboard/{v}/registration.png", _steps_up_to("register_keyboard")),
    "MIDI": ("keyboard/{v}/notes.mid", _steps_up_to("label_fingering")),
    "fingering": ("keyboard/{v}/fingering.pig.txt", _steps_up_to("label_fingering")),
}
"""Files in the report by title: path below `results`, and the steps that must have succeeded. If one failed, the file is from an earlier
run."""


@dataclass(frozen=True)
class VideoReport:
    """Report on a video.

    Attributes
    ----------
    name : str
        Name of the video in the sheet.
    source : str
        Path or URL of the video in the sheet.
    verdict : Verdict
        Verdict of the dataset's screening.
    failed : str or None
        The first step without a result; None if all steps have one.
    hands : float
        Share of the frames with a usable pose of at least one hand, 0..1.
    usable_s : float or None
        Total length of the usable segments, s; None if unknown. Hands are detected only in these segments.
    reasons : tuple of Reason
        Rejection reasons of the verdict, without reasons that are consequences of others.
    figures : tuple of str
        Facts as text, one phrase each, such as the number of notes.
    warnings : tuple of str
        Missing or uncertain results, one phrase each.
    files : dict of str to Path
        Files of this run by title.
    """

    name: str
    source: str
    verdict: Verdict
    failed: str | None
    hands: float
    usable_s: float | None
    reasons: tuple[Reason, ...]
    figures: tuple[str, ...]
    warnings: tuple[str, ...]
    files: dict[str, Path]

    @property
    def stopped_by(self):
        """Reasons why there is no motion: the file is unusable, or a person rejected the video."""
        of_criteria = {reason for criterion in self.verdict.criteria for reason in criterion.reasons}
        return tuple(reason for reason in self.verdict.reasons if reason.stops == MOTION and reason not in of_criteria)

    @property
    def useful(self):
        """Whether the run gave motion with hands."""
        return not self.failed and not self.stopped_by and self.hands >= MIN_HANDS_SHARE


def read_report(root, row, thresholds):
    """Read the results of one video.

    Parameters
    ----------
    root : path
        Folder that contains `results`.
    row : handroll.config.sheet.Video
    thresholds : dict
        Values of the section `screening` of the configuration.

    Returns
    -------
    VideoReport

    Raises
    ------
    SchemaError
        A result is damaged.
    """
    results, v = Path(root) / "results", f"{row.subject}/{row.video}"
    values = {step: _read_values(Path(root) / path.format(subject=row.subject, video=row.video)) for step, path in MEASURED.items()}
    by_hand = row.override if row.override == "reject" else None
    verdict = judge(values.values(), thresholds, by_hand)
    finished = {step for step, path in STEPS.items() if (results / path.format(v=v)).is_file()}
    failed = None if by_hand else next((step for step in STEPS if step not in finished), None)
    fingering = _read_values(results / f"keyboard/{v}/fingering.json")
    states = _read_states(results / f"motion/{v}/motion.parquet") if "clean_motion" in finished else None
    report = VideoReport(row.video, row.source, verdict, failed, 0.0, None, (), (), (), {})
    if report.stopped_by:
        return report
    hands, shares = (0.0, ()) if states is None or not len(states) else _hand_shares(states)
    made = hands >= MIN_HANDS_SHARE
    usable_s = values["survey"].get("screening", {}).get("editing", {}).get("usable_s")
    figures, warnings = [], []
    if made:
        left, right, both = shares
        figures.append(f"both hands in {_format_percent(both)} of the frames")
        missing = {"left": 1.0 - left, "right": 1.0 - right}
        warnings += [
            f"{side} hand missing in {_format_percent(share)} of the frames" for side, share in missing.items() if share > MAX_MISSING_SHARE
        ]
    note_figures, note_warnings = _describe_notes(values["agreement"], fingering, values["probe"].get("has_audio", True))
    keyboard_figures, no_keyboard, keyboard_warnings = _describe_keyboard(values["registration"])
    placeholders = set() if made else set(FILES)
    if made:
        figures += [*note_figures, *keyboard_figures]
        warnings += [*_unusable_warnings(values["survey"]), *note_warnings, *no_keyboard, *keyboard_warnings]
        if fingering.get("labelled"):
            figures.append(f"fingers for {_format_percent(fingering['labelled'] / fingering['notes'])} of the notes")
            figures += _describe_offset(fingering)
        else:
            placeholders.add("fingering")
        placeholders |= {"keyboard"} if no_keyboard else set()
        placeholders |= set() if fingering.get("notes") else {"MIDI"}
    files = {
        title: results / path.format(v=v)
        for title, (path, steps) in FILES.items()
        if title not in placeholders and finished.issuperset(steps) and (results / path.format(v=v)).is_file()
    }
    return VideoReport(
        row.video,
        row.source,
        verdict,
        failed,
        hands,
        usable_s,
        _independent_reasons(verdict.reasons, values["survey"]),
        tuple(figures),
        tuple(warnings),
        files,
    )


def report_lines(report, logs):
    """Format the report as lines of text.

    Parameters
    ----------
    report : VideoReport
    logs : path
        Folder of the jobs' logs.

    Returns
    -------
    list of str
    """
    name = f"{report.name} ({report.source})"
    if report.stopped_by:
        return [f"{name}: not useful", *(f"  {reason.sentence}" for reason in report.stopped_by)]
    if report.failed:
        log = Path(logs) / report.failed / f"own/{report.name}.log"
        state = f"not finished: the step {report.failed} has no result" + (f"; see {log}" if log.is_file() and log.stat().st_size else "")
    elif not report.useful:
        usable = "" if report.usable_s is None else f" in the usable {report.usable_s:.1f} s of the video"
        why = "no part of the video is usable" if report.usable_s == 0.0 else f"(almost) no hand was detected{usable}"
        state = f"not useful: {why}, so there is no motion"
    else:
        state = "motion made, with warnings" if report.reasons or report.warnings else "motion made"
    lines = [f"{name}: {state}"]
    if report.figures:
        lines.append(f"  {', '.join(report.figures)}")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    if report.reasons:
        lines.append("  A dataset would not accept this video:" if report.useful else "  Rejection reasons of the screening:")
        lines += [f"    {reason.sentence}" for reason in report.reasons]
    elif report.useful:
        lines.append("  A dataset would accept this video.")
    return lines + [f"  {title:<14}{path}" for title, path in report.files.items()]


def _read_values(path):
    """Read a JSON file as a dict; empty if the file does not exist."""
    values = read_json(path) if path.is_file() else {}
    with undamaged(path, "a JSON object"):
        return dict(values)


def _read_states(path):
    """Read the states of a motion table, array (frame, hand 2)."""
    import pyarrow.parquet as pq

    with undamaged(path, "a handroll motion table"):
        return pq.read_table(path, columns=["state"])["state"].to_numpy().reshape(-1, 2)


def _hand_shares(states):
    """Return the share of frames with any usable hand, and a tuple of the shares with the left, the right and both hands, 0..1.

    `states`: array (frame, hand 2) of `tables.State`.
    """
    usable = states > 0
    return float(usable.any(axis=1).mean()), (*(float(share) for share in usable.mean(axis=0)), float(usable.all(axis=1).mean()))


def _independent_reasons(reasons, survey):
    """Return the reasons of a verdict without those that are consequences of others. `survey`: values of survey.json, a dict."""
    left_out = set()
    if survey.get("screening", {}).get("editing", {}).get("usable_s") == 0.0:
        # Hands are detected only in usable segments.
        left_out |= {Reason.NO_HANDS, Reason.HANDS_RARELY_VISIBLE}
    if Reason.TOO_SHORT in reasons and not _unusable_warnings(survey):
        left_out.add(Reason.CUT_UP)
    return tuple(reason for reason in reasons if reason not in left_out)


def _unusable_warnings(survey):
    """Return a list of at most one warning: that a large share of the video is not usable."""
    scores = survey.get("screening", {}).get("editing", {})
    lost = 1.0 - scores.get("usable_share", 1.0)
    return (
        [f"{_format_percent(lost)} of the video is not usable: cuts, titles, freeze frames or a moving camera"]
        if lost > MAX_MISSING_SHARE
        else []
    )


def _describe_notes(agreement, fingering, has_audio):
    """Return two lists of texts on the notes: facts (number and source), and warnings (no notes, or problems of a given MIDI file).

    `agreement`, `fingering`: values of agreement.json and fingering.json, dicts. `has_audio`: whether the video has audio.
    """
    count = fingering.get("notes", 0)
    problem, correction = agreement.get("problem"), agreement.get("correction")
    doubts = [problem["message"]] if problem else []
    if correction:
        offset_s = correction.get("offset_s", 0.0)
        drift = ", with drift" if correction.get("drift") else ""
        doubts.append(f"the MIDI file is {abs(offset_s):.2g} s {'early' if offset_s > 0 else 'late'}{drift}: corrected")
    if not count:
        missing = "no notes were detected, so there is no fingering" if has_audio else "no audio, so there are no notes and no fingering"
        return [], [*doubts, missing]
    source = "from the MIDI file" if agreement.get("notes") == "given" else "transcribed"
    return [f"{count} notes {source}"], doubts


def _describe_keyboard(registration):
    """Return three lists of texts: facts, the warning that no keyboard is registered, and warnings about a registered keyboard.

    `registration`: values of registration.json, a dict.
    """
    if registration.get("problem") or not registration:
        why = registration.get("message") or registration.get("problem") or "its step has not run"
        return [], [f"no keyboard, so motion is in the camera frame, without fingering: {why}"], []
    confidence = registration.get("confidence")
    figure = "keyboard marked in the sheet" if registration.get("source") == "sheet" else "keyboard detected"
    figure += "" if confidence is None else f" (confidence {confidence:.2f})"
    doubts = [registration["message"]] if registration.get("doubt") else []
    return [figure + (", octave assumed" if registration.get("octave_source") == "assumed" else "")], [], doubts


def _describe_offset(fingering):
    """Return a list of one fact: the offset of the audio (or MIDI file) relative to the video. `fingering`: values of fingering.json."""
    delay = fingering.get("delay") or {}
    delay_s = delay.get("estimate_s")
    if delay_s is None:
        return ["offset between audio and video not measurable"]
    size = f"{abs(delay_s):.1f} s" if abs(delay_s) >= 1.0 else f"{1e3 * abs(delay_s):.0f} ms"
    direction = "late" if delay_s >= 0 else "early"
    source = "MIDI file" if delay.get("of") == "midi" else "audio"
    return [f"{source} {size} {direction} ({'corrected' if delay.get('trusted') else 'uncertain, so not corrected'})"]


def _format_percent(share):
    """Format a share (0..1) as a percentage."""
    return f"{100 * share:.0f} %"
