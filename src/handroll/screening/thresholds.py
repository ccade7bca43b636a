"""Compare screening scores with their thresholds: a limit for each threshold, and the decision of a criterion.

The thresholds are in the section `screening.<criterion>` of the configuration. `criteria` lists which score has which threshold.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

from handroll.reasons import Reason

COMPARISONS = {">=": operator.ge, "<=": operator.le}
"""Function of each comparison that a `Limit` can have."""


@dataclass(frozen=True)
class Limit:
    """A comparison of one score with one threshold.

    Attributes
    ----------
    score : str
        Name of the score.
    comparison : {">=", "<="}
        Relation of the score to the threshold in an accepted video: ">=" for a minimum, "<=" for a maximum.
    threshold : str
        Key in the criterion's section of the configuration.
    reason : Reason
        Reason for a rejection if the comparison fails. Its attribute `stops` is the rejected use: motion, or only audio and notes.
    """

    score: str
    comparison: str
    threshold: str
    reason: Reason

    def passes(self, scores, thresholds):
        """Return whether the score is within the limit. An unknown score (None) passes."""
        score = scores[self.score]
        return score is None or COMPARISONS[self.comparison](score, thresholds[self.threshold])


@dataclass(frozen=True)
class Criterion:
    """One criterion: its scores and limits.

    Attributes
    ----------
    meaning : str
        Sentence that is true for an accepted video.
    scores : tuple of str
        Names of all measured scores, in the order of the summary table. Names are unique over all criteria.
    limits : tuple of Limit
        An accepted video passes all of them.
    adjust : callable (reasons, scores, thresholds) -> tuple of Reason, optional
        Function for a decision that single comparisons cannot express. It converts the reasons of the failed limits to the final
        reasons.
    """

    meaning: str
    scores: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    adjust: Callable | None = None

    def decide(self, scores, thresholds):
        """Compare scores with thresholds.

        Parameters
        ----------
        scores : dict of str to value
            Result of the criterion's `measure_...` function.
        thresholds : dict of str to value
            The section `screening.<criterion>` of the configuration.

        Returns
        -------
        tuple of Reason
            Reasons for a rejection without duplicates, in the order of the limits; empty for an accepted video.
        """
        reasons = tuple(dict.fromkeys(limit.reason for limit in self.limits if not limit.passes(scores, thresholds)))
        return self.adjust(reasons, scores, thresholds) if self.adjust else reasons
