"""The videos that the evaluation runs the pipeline on, as rows like those of the sheet."""

import numpy as np

from handroll.config.sheet import SheetError, Video

SUBJECT = "evaluation"
"""Subject of the simulated performances; their results are in folders of this name."""

VIDEO_PATTERN = "results/evaluation/videos/{video}.mp4"
"""Where a simulated video is written, relative to the working directory."""

MAX_SOUND_DELAY_S = 0.25
"""The sound of a simulated video is early or late by up to this: more than cameras and microphones usually differ."""


def seeds(evaluation):
    """The seeds of the section `evaluation` of the configuration."""
    return list(range(evaluation.first_seed, evaluation.first_seed + evaluation.performances))


def video_name(seed):
    """Id of the performance of a seed."""
    return f"seed_{seed}"


def sound_delay_s(seed):
    """How late the sound of a simulated video is made (s), by its seed."""
    return float(np.random.default_rng([seed, 11]).uniform(-MAX_SOUND_DELAY_S, MAX_SOUND_DELAY_S))


def simulated_rows(evaluation):
    """Rows of the simulated performances: (subject, video) to `sheet.Video`.

    They are accepted whatever the thresholds, so that every stage is scored on every one.
    """
    names = map(video_name, seeds(evaluation))
    return {
        (SUBJECT, name): Video(subject=SUBJECT, video=name, source=VIDEO_PATTERN.format(video=name), override="accept") for name in names
    }


def distinct_rows(sheet, *others):
    """All rows of the evaluation, as one dict; none may have the name of a row of the sheet, since results are kept by name.

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
                f"{subject}/{video} is a name of the evaluation and of another sheet; give the row of the sheet another subject"
            )
        rows |= other
    return rows


def frame_size_px(width_px):
    """(width, height) of simulated frames: 16:9, even, as video encoders need."""
    return 2 * (width_px // 2), 2 * round(width_px * 9 / 32)
