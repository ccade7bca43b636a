"""Is the video neither too short for a clip nor too long to be one performance?"""

from handroll.reasons import Reason

SCORES = ("duration_s",)


def measure(duration_s):
    """Duration of the video.

    Parameters
    ----------
    duration_s : float
        From the first frame's presentation to the end of the last one's, seconds.

    Returns
    -------
    dict
        `duration_s` (s).
    """
    return {"duration_s": duration_s}


def decide(scores, min_s, max_s):
    """Compare with the least and the greatest duration (s); both are accepted themselves.

    Returns
    -------
    tuple of Reason
        Empty where the duration lies between them.
    """
    if scores["duration_s"] < min_s:
        return (Reason.TOO_SHORT,)
    return (Reason.TOO_LONG,) if scores["duration_s"] > max_s else ()
