"""Cuts a video's motion into clips: windows in time, shorter where a video is, kept where the hands can be seen and play the notes."""

import numpy as np
import soundfile

from handroll.editing.segments import SAME_TIME_S, bounds
from handroll.hand.skeleton import HANDS
from handroll.reasons import Reason, join_reasons
from handroll.tables import CLIPS, KEY_PRESS_SCORES, State

SILENT_PEAK = 1e-3
"""A clip that never gets louder than this (full scale 1; -60 dB) has no sound."""

MIN_NOTES = 10
"""Fewer notes than this in a clip do not show that the motion plays others."""


def clip_windows(time_s, length_s, hop_s, segments=None, min_length_s=None):
    """Windows [start + k * hop_s, start + k * hop_s + length_s) within each segment of a video, or the whole of a short segment.

    The last frame is shown for one frame interval (the median one), so a video of 900 frames at 30 frames/s holds a window
    of 30 s although its last frame starts at 29.967 s. What is left at the end of a segment is not cut.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times, from 0, rising.
    length_s, hop_s : float > 0
    segments : sequence of (start_s, end_s), optional
        Parts that no window leaves; the whole video where None.
    min_length_s : float > 0, optional
        A segment shorter than `length_s` is one window where it is at least this long. None: it is not cut.

    Returns
    -------
    start_s, end_s : array (window,)
    start_frame, end_frame : int array (window,)
        First frame, and frame after the last one.
    """
    end_of_video_s = time_s[-1] + np.median(np.diff(time_s)) if len(time_s) > 1 else 0.0
    starts, ends = [np.empty(0)], [np.empty(0)]
    for first, stop in _whole(time_s) if segments is None else bounds(time_s, segments):
        from_s, to_s = time_s[first], time_s[stop] if stop < len(time_s) else end_of_video_s
        spare_s = to_s - from_s - length_s + SAME_TIME_S
        if spare_s >= 0.0:
            starts.append(from_s + np.arange(int(spare_s // hop_s) + 1) * float(hop_s))
            ends.append(starts[-1] + length_s)
        elif min_length_s is not None and to_s - from_s + SAME_TIME_S >= min_length_s:
            starts.append(np.array([from_s]))
            ends.append(np.array([to_s]))
    start_s, end_s = np.concatenate(starts), np.concatenate(ends)
    start_frame, end_frame = (np.searchsorted(time_s, edges_s - SAME_TIME_S) for edges_s in (start_s, end_s))
    return start_s, end_s, start_frame, end_frame


def cut_clips(
    motion,
    subject,
    video,
    length_s=30.0,
    hop_s=24.0,
    min_visibility=0.8,
    min_key_press_f1=0.0,
    segments=None,
    video_reasons=(),
    audio_path=None,
    audio_delay_s=0.0,
    note_onset_s=None,
    scores_of=None,
    min_length_s=None,
):
    """Cut a video into clips and decide which enter the dataset.

    The default length, hop and least visibility are PianoMotion10M's (Gan et al., ICLR 2025). Windows go by presentation time, so
    a clip of a video with a variable frame rate is as long as any other.

    Parameters
    ----------
    motion : dict of str to array (frame, hand, ...)
        `time_s` (s) and `state` of `handroll.tables.MOTION`, by frame; other columns are not used.
    subject, video : str
    length_s, hop_s : float
        Length of a clip and distance of their starts.
    min_visibility : float in [0, 1]
        A clip with a smaller share of frames x hands that are observed or interpolated is rejected.
    min_key_press_f1 : float in [0, 1]
        A clip of at least `MIN_NOTES` notes whose motion agrees with them less is rejected; one without a known F1 is not.
    segments : sequence of (start_s, end_s), optional
        The playable parts of the video (s); no window leaves one. The whole video where None.
    video_reasons : sequence of Reason or str
        Why the video as a whole does not enter the dataset; every window is then listed and rejected for these first.
    audio_path : path, optional
        The video's audio; a window in which it is silent, or over, is rejected.
    audio_delay_s : float
        How much later than the picture the audio comes: the audio of a window starts this much later in the file.
    note_onset_s : array (note,), optional
        Onsets on the picture's clock, since the video's first frame; a window without one is rejected.
    scores_of : callable (start_s, end_s) -> dict, optional
        Gives a window's `tables.KEY_PRESS_SCORES`; all NaN where None.
    min_length_s : float, optional
        A segment shorter than a clip gives one shorter clip where it is at least this long. None: it gives none.

    Returns
    -------
    dict of str to array (window,)
        `handroll.tables.CLIPS`; no rows where every segment is too short for a clip, or there are no frames.
    """
    time_s, visible = motion["time_s"][:, 0], motion["state"] > State.HIDDEN
    start_s, end_s, start_frame, end_frame = clip_windows(time_s, length_s, hop_s, segments, min_length_s)
    visibility = np.array([visible[a:b].sum() / max((b - a) * len(HANDS), 1) for a, b in zip(start_frame, end_frame, strict=True)])
    scores = _scores(scores_of, start_s, end_s)
    onset_s = np.empty(0) if note_onset_s is None else note_onset_s
    struck = [np.sum((onset_s >= start) & (onset_s < end)) for start, end in zip(start_s, end_s, strict=True)]
    reasons = []
    for k in range(len(start_s)):
        why = list(video_reasons)
        if visibility[k] < min_visibility:
            why.append(Reason.CLIP_HANDS_HIDDEN)
        if audio_path is not None and _peak(audio_path, start_s[k] + audio_delay_s, end_s[k] + audio_delay_s) < SILENT_PEAK:
            why.append(Reason.CLIP_NO_SOUND)
        if note_onset_s is not None and not struck[k]:
            why.append(Reason.CLIP_NO_NOTES)
        if scores["key_press_f1"][k] < min_key_press_f1 and struck[k] >= MIN_NOTES:
            why.append(Reason.CLIP_MOTION_OFF_NOTES)
        reasons.append(join_reasons(why))
    columns = {
        "subject": [subject] * len(start_s),
        "video": [video] * len(start_s),
        "clip": np.arange(len(start_s)),
        "start_s": start_s,
        "end_s": end_s,
        "start_frame": start_frame,
        "end_frame": end_frame,
        "visibility": visibility,
        **scores,
        "accepted": [not cell for cell in reasons],
        "reasons": reasons,
    }
    return {name: np.asarray(columns[name], dtype=blank.dtype) for name, blank in CLIPS.empty().items()}


def _whole(time_s):
    """The whole video as one piece; none where it has no frames."""
    return [(0, len(time_s))] if len(time_s) else []


def _scores(scores_of, start_s, end_s):
    """Columns of `KEY_PRESS_SCORES` for each window."""
    rows = [scores_of(*window) if scores_of else {} for window in zip(start_s, end_s, strict=True)]
    return {column.name: [row.get(column.name, np.nan) for row in rows] for column in KEY_PRESS_SCORES}


def _peak(audio_path, start_s, end_s):
    """Greatest absolute sample (full scale 1) of [start_s, end_s); 0 before and after the audio."""
    with soundfile.SoundFile(audio_path) as source:
        first, stop = (int(np.clip(round(edge_s * source.samplerate), 0, source.frames)) for edge_s in (start_s, end_s))
        source.seek(first)
        samples = source.read(stop - first, dtype="float32")
    return float(np.abs(samples).max(initial=0.0))
