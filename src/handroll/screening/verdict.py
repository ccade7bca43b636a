"""The verdict on a video: every score beside its threshold, and what the video can be used for.

Steps measure, each as early as its input exists, and write their scores to a JSON file under `screen`, by criterion. The
verdict compares what is there with the thresholds. It is light enough to be asked for by the process that plans the workflow.
"""

import os
from dataclasses import asdict, dataclass
from functools import cache

from handroll.reasons import Reason
from handroll.screening import (
    audio,
    camera_motion,
    clipping,
    duration,
    editing,
    performers,
    purity,
    resolution,
    silence,
    speech,
    viewpoint,
    visibility,
)
from handroll.tables import read_json

CRITERIA = {
    "resolution": resolution,
    "duration": duration,
    "audio": audio,
    "editing": editing,
    "camera_motion": camera_motion,
    "performers": performers,
    "viewpoint": viewpoint,
    "silence": silence,
    "clipping": clipping,
    "speech": speech,
    "visibility": visibility,
    "purity": purity,
}
"""Every criterion by name, in order: a module with `SCORES`, `measure` and `decide`."""

MEASURED = {
    "probe": "results/acquire/{subject}/{video}/probe.json",
    "survey": "results/screening/{subject}/{video}/survey.json",
    "audio": "results/screening/{subject}/{video}/audio.json",
    "visibility": "results/hands/{subject}/{video}/visibility.json",
    "agreement": "results/music/{subject}/{video}/agreement.json",
    "registration": "results/keyboard/{subject}/{video}/registration.json",
}
"""Where each step writes what it measures, the earliest first, below the folder that the workflow runs in."""


@dataclass(frozen=True)
class Criterion:
    """What one criterion measured and decided.

    Attributes
    ----------
    criterion : str
        Name in `CRITERIA`.
    scores : dict
        What was measured.
    thresholds : dict
        What it was compared with.
    passed : bool
    reasons : tuple of Reason
        Why not; empty where passed.
    """

    criterion: str
    scores: dict
    thresholds: dict
    passed: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Verdict:
    """What a video can be used for, and why not for more.

    Attributes
    ----------
    usable_for_motion : bool
        Hand motion is taken from it.
    usable_for_dataset : bool
        It can give clips: motion together with sound.
    reasons : tuple of Reason
        All reasons against it: of the file itself, then in the order of the criteria; empty where it passes.
    criteria : tuple of Criterion
        Those that were measured.
    override : str or None
        "accept" or "reject", where a person decided; the criteria say what the machine would have.
    """

    usable_for_motion: bool
    usable_for_dataset: bool
    reasons: tuple[Reason, ...]
    criteria: tuple[Criterion, ...]
    override: str | None = None

    def rejection(self, purpose):
        """Names of the reasons that reject the video for a purpose, "motion" or "dataset"; empty where it is usable for that."""
        usable = {"motion": self.usable_for_motion, "dataset": self.usable_for_dataset}[purpose]
        return [] if usable else [str(reason) for reason in self.reasons]

    def to_dict(self):
        """JSON values; reasons become their names."""
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
    handroll.tables.SchemaError
        A file is damaged.
    """
    paths = (MEASURED[step].format(subject=subject, video=video) for step in steps)
    # Planning calls this several times for each job: `os` takes half the time of `Path`.
    return [_values(path, os.stat(path).st_mtime_ns) for path in paths if os.path.exists(path)]


@cache
def _values(path, _mtime_ns):
    return read_json(path)


def judge(measured, thresholds, override=None):
    """Judge a video by what was measured so far.

    Parameters
    ----------
    measured : iterable of dict
        JSON values that steps wrote, the earliest first: `problems`, names of reasons that the file itself gives, and
        `screen`, by criterion what its `measure` returns; both may be absent. Later scores of a criterion take the place of
        earlier ones.
    thresholds : dict
        The section `screen` of the configuration: of each criterion the keyword arguments of its `decide`, and
        `motion_without_audio` (bool).
    override : "accept", "reject" or None
        A person's verdict. "accept" overrules the criteria, though not a file that cannot be read or is not there.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        A problem is not the name of a `Reason`, or the override is something else.
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
            reasons = criterion.decide(scores[name], **limits)
            criteria.append(Criterion(name, scores[name], limits, not reasons, reasons))
    by_hand = (Reason.REJECTED_BY_HAND,) if override == "reject" else ()
    by_score = () if override == "accept" else tuple(reason for c in criteria for reason in c.reasons)
    reasons = tuple(dict.fromkeys((*by_hand, *problems, *by_score)))
    motion = not reasons or (thresholds["motion_without_audio"] and all(reason.stops != "motion" for reason in reasons))
    return Verdict(motion, not reasons, reasons, tuple(criteria), override)


KINDS = {"accepted": "accepted", "motion": "motion only", "rejected": "rejected"}
"""Every kind of verdict by name, as people read it."""


def kind_of(verdict):
    """The kind of a `Verdict.to_dict()`: a name in `KINDS`."""
    return "accepted" if verdict["usable_for_dataset"] else "motion" if verdict["usable_for_motion"] else "rejected"


def in_words(verdict):
    """A verdict in words, on one line: its kind, and for each reason what it means, with the scores and thresholds of its criterion.

    Parameters
    ----------
    verdict : dict
        `Verdict.to_dict()`.
    """
    failed = {reason: criterion for criterion in verdict["criteria"] for reason in criterion["reasons"]}
    why = " ".join(Reason(name).description + _beside(failed.get(name)) for name in verdict["reasons"])
    return f"{KINDS[kind_of(verdict)]}: {why}" if why else KINDS[kind_of(verdict)]


def _beside(criterion):
    """Scores and thresholds of a criterion, in brackets; empty for a reason that is no criterion's."""
    if criterion is None:
        return ""
    found, wanted = (", ".join(f"{key} {_cell(value)}" for key, value in criterion[part].items()) for part in ("scores", "thresholds"))
    return f" (found {found}; threshold {wanted})"


def summary_tsv(verdicts):
    """All verdicts as one table, a row a video: what it is usable for, its reasons, every score, and the verdict in words.

    Parameters
    ----------
    verdicts : iterable of dict
        `Verdict.to_dict()` with `subject` and `video` beside.

    Returns
    -------
    str, tab separated with a header line; scores that were not measured are empty
    """
    names = [score for module in CRITERIA.values() for score in module.SCORES]
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
