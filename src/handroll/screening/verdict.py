"""The verdict on a video: every score next to its threshold, and what the video is usable for.

Each step measures as soon as its input exists and writes `problems` and `scores` to a JSON file. The verdict compares the existing scores
with the thresholds (`handroll.screening.criteria`). It is cheap enough for the process that plans the workflow.
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
"""File of the scores of each step, in the order of the steps, relative to the folder that the workflow runs in."""


@dataclass(frozen=True)
class CriterionResult:
    """The decision of one criterion.

    Attributes
    ----------
    criterion : str
        Name in `CRITERIA`.
    scores : dict
        Measured scores.
    thresholds : dict
        The criterion's section of the configuration.
    passed : bool
    reasons : tuple of Reason
        Reasons for a rejection; empty if passed.
    """

    criterion: str
    scores: dict
    thresholds: dict
    passed: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Verdict:
    """What a video is usable for, and the reasons against other uses.

    Attributes
    ----------
    usable_for_motion : bool
        Hand motion is estimated from it.
    usable_for_dataset : bool
        It can give clips: motion together with audio.
    reasons : tuple of Reason
        All reasons for a rejection: problems of the file, then in the order of the criteria; empty for an accepted video.
    criteria : tuple of CriterionResult
        Results of the criteria that have scores.
    override : str or None
        "accept" or "reject" if a person decided; `criteria` then still contain the automatic decisions.
    """

    usable_for_motion: bool
    usable_for_dataset: bool
    reasons: tuple[Reason, ...]
    criteria: tuple[CriterionResult, ...]
    override: str | None = None

    def rejection(self, purpose):
        """Names of the reasons that reject the video for a purpose, "motion" or "dataset"; empty where it is usable for that."""
        usable = {"motion": self.usable_for_motion, "dataset": self.usable_for_dataset}[purpose]
        return [] if usable else [str(reason) for reason in self.reasons]

    def to_dict(self):
        """Return the verdict as JSON values, reasons by name."""
        return {
            "usable_for_motion": self.usable_for_motion,
            "usable_for_dataset": self.usable_for_dataset,
            "reasons": [str(reason) for reason in self.reasons],
            "override": self.override,
            "criteria": [{**asdict(c), "reasons": [str(reason) for reason in c.reasons]} for c in self.criteria],
        }


def read_measured(subject, video, steps):
    """Read what steps measured of a video.

    Parameters
    ----------
    subject, video : str
    steps : iterable of str
        Names in `MEASURED`.

    Returns
    -------
    list of dict
        Values of the files that exist, in the order of the steps. A file is read again only when it has changed.

    Raises
    ------
    handroll.storage.SchemaError
        A file is damaged.
    """
    paths = (MEASURED[step].format(subject=subject, video=video) for step in steps)
    # Planning calls this several times for each job: `os` takes half the time of `Path`.
    return [_values(path, os.stat(path).st_mtime_ns) for path in paths if os.path.exists(path)]


@cache
def _values(path, _mtime_ns):
    return read_json(path)


def judge(measured, thresholds, override=None):
    """Decide about a video by the scores that exist.

    Parameters
    ----------
    measured : iterable of dict
        JSON values of the steps, in the order of the steps: `problems`, names of reasons that concern the file itself, and `scores`,
        the scores of each criterion by name; both are optional. Later scores of a criterion replace earlier ones.
    thresholds : dict
        The section `screening` of the configuration: the thresholds of each criterion by name, and `motion_without_audio` (bool).
    override : "accept", "reject" or None
        A person's verdict. "accept" overrules the criteria, but not the problems of a file.

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
        scores |= values.get("scores", {})
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
"""Kinds of verdicts by name, with their titles for readers."""


def kind_of(verdict):
    """Return the kind of a verdict (`Verdict.to_dict()`), a name in `KINDS`."""
    return "accepted" if verdict["usable_for_dataset"] else "motion" if verdict["usable_for_motion"] else "rejected"


def in_words(verdict):
    """Describe a verdict on one line: its kind, then each reason with the scores and thresholds of its criterion.

    Parameters
    ----------
    verdict : dict
        `Verdict.to_dict()`.
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
    """Return all verdicts as a table with one row per video: uses, reasons, all scores, and the verdict in words.

    Parameters
    ----------
    verdicts : iterable of dict
        `Verdict.to_dict()` with `subject` and `video` added.

    Returns
    -------
    str
        Tab-separated values with a header line; scores that do not exist are empty.
    """
    names = [score for criterion in CRITERIA.values() for score in criterion.scores]
    lines = [["subject", "video", "usable_for_motion", "usable_for_dataset", "override", "reasons", *names, "verdict"]]
    for verdict in verdicts:
        scores = {name: value for criterion in verdict["criteria"] for name, value in criterion["scores"].items()}
        cells = [verdict["subject"], verdict["video"], verdict["usable_for_motion"], verdict["usable_for_dataset"], verdict["override"]]
        lines.append([*map(_cell, cells), ",".join(verdict["reasons"]), *(_cell(scores.get(name)) for name in names), in_words(verdict)])
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
