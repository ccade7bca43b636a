"""Derive the verdict on a video: collect the decisions of the criteria, and derive the uses for which the video is accepted.

Each workflow step measures as soon as its input exists. It writes `problems` and the scores, under `screening`, to a JSON file.
`criteria` compares the scores with the thresholds. This module reads the files, collects the reasons and formats the verdict. It is
fast enough to run while the workflow is planned.
"""

import os
from dataclasses import asdict, dataclass
from functools import cache

from handroll.reasons import MOTION, Reason
from handroll.screening.criteria import CRITERIA
from handroll.storage import read_json

MEASURED = {
    "probe": "results/acquire/{subject}/{video}/probe.json",
    "survey": "results/screening/{subject}/{video}/survey.json",
    "audio": "results/screening/{subject}/{video}/audio.json",
    "visibility": "results/hands/{subject}/{video}/visibility.json",
    "agreement": "results/music/{subject}/{video}/agreement.json",
    "registration": "results/keyboard/{subject}/{video}/registration.json",
}
"""Path of the file with the scores of each step, in the order of the steps. Paths are relative to the working folder of the workflow."""


@dataclass(frozen=True)
class CriterionResult:
    """The decision of one criterion.

    Attributes
    ----------
    criterion : str
        Key of `criteria.CRITERIA`.
    scores : dict
        Measured scores.
    thresholds : dict
        The criterion's section of the configuration.
    passed : bool
        Whether there is no reason for a rejection.
    reasons : tuple of Reason
        Reasons for a rejection; empty if `passed`.
    """

    criterion: str
    scores: dict
    thresholds: dict
    passed: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Verdict:
    """The uses that a video is accepted for, and the reasons for its rejection.

    Attributes
    ----------
    usable_for_motion : bool
        Whether the workflow estimates hand motion from the video.
    usable_for_dataset : bool
        Whether the video can give clips, which contain motion and audio.
    reasons : tuple of Reason
        All reasons for a rejection: first the problems of the file, then those of the criteria in order. Empty for an accepted video.
    criteria : tuple of CriterionResult
        Results of the criteria that have scores.
    override : str or None
        Manual decision, "accept" or "reject", or None. `criteria` contains the automatic decisions in any case.
    """

    usable_for_motion: bool
    usable_for_dataset: bool
    reasons: tuple[Reason, ...]
    criteria: tuple[CriterionResult, ...]
    override: str | None = None

    def rejection(self, purpose):
        """Return the names of the reasons why the video is not usable for a purpose, "motion" or "dataset"; empty if it is usable."""
        usable = {"motion": self.usable_for_motion, "dataset": self.usable_for_dataset}[purpose]
        return [] if usable else [str(reason) for reason in self.reasons]

    def to_dict(self):
        """Return the verdict as JSON values; each reason is replaced by its name."""
        return {
            "usable_for_motion": self.usable_for_motion,
            "usable_for_dataset": self.usable_for_dataset,
            "reasons": [str(reason) for reason in self.reasons],
            "override": self.override,
            "criteria": [{**asdict(c), "reasons": [str(reason) for reason in c.reasons]} for c in self.criteria],
        }


def read_measured(subject, video, steps):
    """Read the files with the scores of a video.

    Parameters
    ----------
    subject, video : str
    steps : iterable of str
        Keys of `MEASURED`.

    Returns
    -------
    list of dict
        Contents of the existing files, in the order of the steps. Files are cached and read again only after a change.

    Raises
    ------
    handroll.storage.SchemaError
        A file is damaged.
    """
    paths = (MEASURED[step].format(subject=subject, video=video) for step in steps)
    # Planning calls this function several times for each job. `os` takes half the time of `pathlib.Path`.
    return [_read_cached(path, os.stat(path).st_mtime_ns) for path in paths if os.path.exists(path)]


@cache
def _read_cached(path, _mtime_ns):
    """Read a JSON file; cached until its modification time changes."""
    return read_json(path)


def judge(measured, thresholds, override=None):
    """Derive the verdict on a video from the scores that exist so far.

    Parameters
    ----------
    measured : iterable of dict
        JSON values that the steps wrote, in the order of the steps. Optional keys: `problems`, names of reasons to reject the file
        itself; `screening`, a dict of scores for each criterion. Later scores of a criterion replace earlier scores.
    thresholds : dict
        The section `screening` of the configuration: thresholds by criterion, and `motion_without_audio` (bool).
    override : "accept", "reject" or None
        Manual decision. "accept" overrules the criteria, but not the problems of the file.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        A problem is not the name of a `Reason`, or the override has another value.
    """
    if override not in (None, "accept", "reject"):
        raise ValueError(f"override: expected accept, reject or nothing, found {override!r}")
    problems, scores = [], {}
    for values in measured:
        problems += [Reason(name) for name in values.get("problems", ())]
        scores |= values.get("screening", {})
    criteria = []
    for name, criterion in CRITERIA.items():
        if name in scores:
            limits = dict(thresholds[name])
            reasons = criterion.decide(scores[name], limits)
            criteria.append(CriterionResult(name, scores[name], limits, not reasons, reasons))
    by_hand = (Reason.REJECTED_BY_HAND,) if override == "reject" else ()
    by_score = () if override == "accept" else tuple(reason for c in criteria for reason in c.reasons)
    reasons = tuple(dict.fromkeys((*by_hand, *problems, *by_score)))
    motion = not reasons or (thresholds["motion_without_audio"] and all(reason.stops != MOTION for reason in reasons))
    return Verdict(motion, not reasons, reasons, tuple(criteria), override)


KINDS = {"accepted": "accepted", "motion": "motion only", "rejected": "rejected"}
"""Kinds of verdicts: name to displayed title."""


def kind_of(verdict):
    """Return the kind of a verdict, a key of `KINDS`; `verdict` is the result of `Verdict.to_dict`."""
    return "accepted" if verdict["usable_for_dataset"] else "motion" if verdict["usable_for_motion"] else "rejected"


def in_words(verdict):
    """Describe a verdict on one line: its kind, then each reason with the scores and thresholds of its criterion.

    Parameters
    ----------
    verdict : dict
        Result of `Verdict.to_dict`.
    """
    failed = {reason: criterion for criterion in verdict["criteria"] for reason in criterion["reasons"]}
    why = " ".join(Reason(name).description + _scores_and_thresholds(failed.get(name)) for name in verdict["reasons"])
    return f"{KINDS[kind_of(verdict)]}: {why}" if why else KINDS[kind_of(verdict)]


def _scores_and_thresholds(criterion):
    """Return the scores and thresholds of a criterion in parentheses; empty for a reason without a criterion."""
    if criterion is None:
        return ""
    found, limits = (", ".join(f"{key} {_cell(value)}" for key, value in criterion[part].items()) for part in ("scores", "thresholds"))
    return f" (found {found}; threshold {limits})"


def summary_tsv(verdicts):
    """Return a table with one row per video: accepted uses, reasons, all scores, and the description of the verdict.

    Parameters
    ----------
    verdicts : iterable of dict
        Results of `Verdict.to_dict`, with `subject` and `video` added.

    Returns
    -------
    str
        Tab-separated values with a header line. Cells of missing scores are empty.
    """
    names = [score for criterion in CRITERIA.values() for score in criterion.scores]
    lines = [["subject", "video", "usable_for_motion", "usable_for_dataset", "override", "reasons", *names, "verdict"]]
    for verdict in verdicts:
        scores = {name: value for criterion in verdict["criteria"] for name, value in criterion["scores"].items()}
        cells = [verdict["subject"], verdict["video"], verdict["usable_for_motion"], verdict["usable_for_dataset"], verdict["override"]]
        lines.append([*map(_cell, cells), ",".join(verdict["reasons"]), *(_cell(scores.get(name)) for name in names), in_words(verdict)])
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value):
    """Format a value for a cell of the table: lower-case booleans, four significant digits, empty for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
