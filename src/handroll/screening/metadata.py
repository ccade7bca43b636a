"""Measure the metadata of a video file: frame size, duration and audio stream."""


def measure_resolution(width_px, height_px):
    """Measure the sides of the frame. The scores do not depend on the orientation, portrait or landscape.

    Parameters
    ----------
    width_px, height_px : int
        Size of the displayed frame, after rotation.

    Returns
    -------
    dict
        `short_side_px`, `long_side_px` (px).
    """
    return {"short_side_px": min(width_px, height_px), "long_side_px": max(width_px, height_px)}


def measure_audio(has_audio, audio_start_s, audio_duration_s, duration_s):
    """Measure how much of the video its audio stream covers.

    Parameters
    ----------
    has_audio : bool
        Whether the file contains an audio stream.
    audio_start_s : float or None
        Time of the first audio sample since the first frame, s; may be negative. None without audio.
    audio_duration_s : float or None
        Length of the audio, s.
    duration_s : float
        Duration of the video, s.

    Returns
    -------
    dict
        `has_audio` (bool); `sound_s`: duration of the part of the video that has audio, s; 0 without audio.
    """
    covered_s = 0.0
    if has_audio:
        start_s, length_s = audio_start_s or 0.0, audio_duration_s or 0.0
        covered_s = max(0.0, min(start_s + length_s, duration_s) - max(start_s, 0.0))
    return {"has_audio": bool(has_audio), "sound_s": covered_s}


def measure_probe(probe):
    """Measure a video file from its probe.

    Parameters
    ----------
    probe : handroll.media.probe.Probe
        Its `duration_s` is the time from the start of the first frame to the end of the last frame.

    Returns
    -------
    dict
        Scores by criterion: `resolution`, `duration` and `audio`. Empty for a file with problems.
    """
    if probe.problems:
        return {}
    return {
        "resolution": measure_resolution(probe.width_px, probe.height_px),
        "duration": {"duration_s": probe.duration_s},
        "audio": measure_audio(probe.has_audio, probe.audio_start_s, probe.audio_duration_s, probe.duration_s),
    }
