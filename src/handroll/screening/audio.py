"""Does the video sound? Judged by its streams alone; whether a clip is silent is seen when it is cut."""

from handroll.reasons import Reason

SCORES = ("has_audio", "sound_s")


def measure(has_audio, audio_start_s, audio_duration_s, duration_s):
    """How much of the video has sound.

    Parameters
    ----------
    has_audio : bool
        The file holds an audio stream.
    audio_start_s : float or None
        First sample, since the first frame, seconds; may be negative. None without audio.
    audio_duration_s : float or None
    duration_s : float
        Duration of the video.

    Returns
    -------
    dict
        `has_audio`, and `sound_s`: seconds of the video that its audio covers, 0 without audio.
    """
    covered_s = 0.0
    if has_audio:
        start_s, length_s = audio_start_s or 0.0, audio_duration_s or 0.0
        covered_s = max(0.0, min(start_s + length_s, duration_s) - max(start_s, 0.0))
    return {"has_audio": bool(has_audio), "sound_s": covered_s}


def decide(scores, required):
    """Ask for sound of any length, if it is required.

    Returns
    -------
    tuple of Reason
        Empty where there is sound or none is needed. These reasons leave the motion usable.
    """
    if not required or scores["sound_s"] > 0.0:
        return ()
    return (Reason.AUDIO_EMPTY,) if scores["has_audio"] else (Reason.NO_AUDIO,)
