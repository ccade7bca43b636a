"""Is the picture large enough? Whichever way it stands: a portrait video counts like the same picture turned."""

from handroll.reasons import Reason

SCORES = ("short_side_px", "long_side_px")


def measure(width_px, height_px):
    """Sides of the picture.

    Parameters
    ----------
    width_px, height_px : int
        Size as shown, rotation applied.

    Returns
    -------
    dict
        `short_side_px`, `long_side_px` (px).
    """
    return {"short_side_px": min(width_px, height_px), "long_side_px": max(width_px, height_px)}


def decide(scores, min_short_side_px, min_long_side_px):
    """Compare with the least sides (px).

    Returns
    -------
    tuple of Reason
        Empty where both sides are long enough.
    """
    large = scores["short_side_px"] >= min_short_side_px and scores["long_side_px"] >= min_long_side_px
    return () if large else (Reason.LOW_RESOLUTION,)
