"""Rows of the video sheet for the simulated videos of the evaluation."""

import numpy as np

from handroll.config.sheet import SheetError, Video

SUBJECT = "evaluation"
"""Subject of the simulated performances. It is also the name of their result folders."""

VIDEO_PATTERN = "results/evaluation/videos/{video}.mp4"
"""Path of a simulated video, relative to the working directory."""

MAX_SOUND_DELAY_S = 0.25
"""Maximum absolute audio delay of a simulated video (s). It is larger than typical delays between cameras and microphones."""


def seeds(evaluation):
    """List the random seeds of the performances, from the section `evaluation` of the configuration."""
    return list(range(evaluation.first_seed, evaluation.first_seed + evaluation.performances))


def video_name(seed):
    """Return the video id of the performance with a random seed."""
    return f"seed_{seed}"


def sound_delay_s(seed):
    """Return the audio delay of a simulated video (s). It is random, and determined by the seed of the video."""
    return float(np.random.default_rng([seed, 11]).uniform(-MAX_SOUND_DELAY_S, MAX_SOUND_DELAY_S))


def simulated_rows(evaluation):
    """Return the sheet rows of the simulated performances: dict of (subject, video) to `sheet.Video`.

    All performances are accepted regardless of the thresholds of screening, so that every step of the pipeline is scored on all of them.
    """
    names = map(video_name, seeds(evaluation))
    return {
        (SUBJECT, name): Video(subject=SUBJECT, video=name, source=VIDEO_PATTERN.format(video=name), override="accept") for name in names
    }


def distinct_rows(sheet, *others):
    """Combine the rows of several sheets (`others`) into one dict. The rows of `sheet` are not included.

    A sheet is a dict of the name (subject, video) to the row. No two rows of all sheets may have the same name, because names identify
    results.

    Raises
    ------
    handroll.config.sheet.SheetError
        Two rows have the same name.
    """
    rows = {}
    for other in others:
        if shared := sorted((sheet.keys() | rows.keys()) & other.keys()):
            subject, video = shared[0]
            raise SheetError(
                f"{subject}/{video}: expected different names in the evaluation and the sheet, found this name in both; "
                "change the subject in the sheet"
            )
        rows |= other
    return rows


def frame_size_px(width_px):
    """Return (width, height) of simulated frames. The aspect ratio is 16:9, and both are even, because video encoders require this."""
    return 2 * (width_px // 2), 2 * round(width_px * 9 / 32)
