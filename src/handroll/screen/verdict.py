"""The verdict on a video: every score beside its threshold, and what the video can be used for."""

from dataclasses import asdict, dataclass

from handroll.screen import duration, resolution, sound, visibility
from handroll.screen.reasons import Reason

CRITERIA = {"resolution": resolution, "duration": duration, "sound": sound, "visibility": visibility}
"""Every criterion by name, in order: a module with `SCORES`, `measure` and `decide`."""


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
        Hand motion can be taken from it.
    usable_for_dataset : bool
        It can give clips: motion together with sound.
    reasons : tuple of Reason
        All reasons against it, in the order of the criteria; empty where it passes.
    criteria : tuple of Criterion
        Empty where the file itself is at fault: then there was nothing to measure.
    """

    usable_for_motion: bool
    usable_for_dataset: bool
    reasons: tuple[Reason, ...]
    criteria: tuple[Criterion, ...]

    def to_dict(self):
        """JSON values; reasons become their names."""
        return {
            "usable_for_motion": self.usable_for_motion,
            "usable_for_dataset": self.usable_for_dataset,
            "reasons": [str(reason) for reason in self.reasons],
            "criteria": [{**asdict(c), "reasons": [str(reason) for reason in c.reasons]} for c in self.criteria],
        }

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`; other keys are ignored.

        Raises
        ------
        ValueError
            A reason is not one of `Reason`.
        """
        return cls(
            values["usable_for_motion"],
            values["usable_for_dataset"],
            _reasons(values["reasons"]),
            tuple(Criterion(**{**c, "reasons": _reasons(c["reasons"])}) for c in values["criteria"]),
        )


def screen(probe, detections, thresholds):
    """Judge a video.

    Parameters
    ----------
    probe : dict
        `handroll.video.probe.Probe.to_dict()`. If it names problems, they are the verdict: nothing else is measured.
    detections : dict of str to array (frame, hand, ...), or None
        Columns of `schema.DETECTIONS`; only `found` is used. None where hands were not looked for: the visibility is
        then left out.
    thresholds : dict of str to dict
        The thresholds of each criterion: the keyword arguments of its `decide`.

    Returns
    -------
    Verdict
    """
    if probe["problems"]:
        return _verdict(_reasons(probe["problems"]), ())
    scores = {
        "resolution": resolution.measure(probe["width_px"], probe["height_px"]),
        "duration": duration.measure(probe["duration_s"]),
        "sound": sound.measure(probe["has_audio"], probe["audio_start_s"], probe["audio_duration_s"], probe["duration_s"]),
    }
    if detections is not None:
        scores["visibility"] = visibility.measure(detections["found"])
    criteria = []
    for name, measured in scores.items():
        limits = dict(thresholds[name])
        reasons = CRITERIA[name].decide(measured, **limits)
        criteria.append(Criterion(name, measured, limits, not reasons, reasons))
    return _verdict(tuple(reason for c in criteria for reason in c.reasons), tuple(criteria))


def summary_tsv(screenings):
    """All verdicts as one table, a row a video: what it is usable for, its reasons, every score.

    Parameters
    ----------
    screenings : iterable of dict
        `Verdict.to_dict()` with `subject` and `video` beside.

    Returns
    -------
    str, tab separated with a header line; scores that were not measured are empty
    """
    names = [score for module in CRITERIA.values() for score in module.SCORES]
    lines = [["subject", "video", "usable_for_motion", "usable_for_dataset", "reasons", *names]]
    for screening in screenings:
        scores = {name: value for criterion in screening["criteria"] for name, value in criterion["scores"].items()}
        flags = [screening["usable_for_motion"], screening["usable_for_dataset"]]
        lines.append(
            [
                screening["subject"],
                screening["video"],
                *map(_cell, flags),
                ",".join(screening["reasons"]),
                *(_cell(scores.get(name)) for name in names),
            ]
        )
    return "".join("\t".join(line) + "\n" for line in lines)


def _verdict(reasons, criteria):
    return Verdict(all(reason.stops != "motion" for reason in reasons), not reasons, reasons, criteria)


def _reasons(names):
    return tuple(Reason(name) for name in names)


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
