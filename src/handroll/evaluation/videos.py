"""Simulated videos of the evaluation, as rows of a sheet."""

import numpy as np

from handroll.config.sheet import SheetError, Video

SUBJECT = "evaluation"
"""Subject of the simulated performances, and name of their result folders."""

VIDEO_PATTERN = "results/evaluation/videos/{video}.mp4"
"""Path of a simulated video, relative to the working directory."""

MAX_SOUND_DELAY_S = 0.25
"""Maximum absolute audio delay of a simulated video; larger than typical delays between cameras and microphones."""


def seeds(evaluation):
    """Return the seeds of section `evaluation` of the configuration."""
    return list(range(evaluation.first_seed, evaluation.first_seed + evaluation.performances))


def video_name(seed):
    """Return the video id of a seed."""
    return f"seed_{seed}"


def sound_delay_s(seed):
    """Draw the audio delay of a simulated video (s) by its seed."""
    return float(np.random.default_rng([seed, 11]).uniform(-MAX_SOUND_DELAY_S, MAX_SOUND_DELAY_S))


def simulated_rows(evaluation):
    """Return the rows of the simulated performances: (subject, video) to `sheet.Video`.

    They are accepted regardless of thresholds, so that every stage is scored on all of them.
    """
    names = map(video_name, seeds(evaluation))
    return {
        (SUBJECT, name): Video(subject=SUBJECT, video=name, source=VIDEO_PATTERN.format(video=name), override="accept") for name in names
    }


def distinct_rows(sheet, *others):
    """Combine all rows of the evaluation. No row may have the name of a row of the sheet, because names identify results.

    Raises
    ------
    handroll.config.sheet.SheetError
        Two rows have the same name.
    """
    rows = {}
    for other in others:
        if shared := sorted((sheet.keys() | rows.keys()) & other.keys()):
            subject, video = shared[0]
            raise SheetError(f"{subject}/{video} is a name in the evaluation and in another sheet; change the subject in the sheet")
        rows |= other
    return rows


def frame_size_px(width_px):
    """Return (width, height) of simulated frames: 16:9, even numbers as video encoders need."""
    return 2 * (width_px // 2), 2 * round(width_px * 9 / 32)
