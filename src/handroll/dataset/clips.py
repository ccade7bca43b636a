"""Select the clips of a video: time windows, accepted if the hands are visible, the audio is audible and the hands play the notes.

This module chooses the windows. `clip_content` cuts frames, notes and audio to a window.
"""

import numpy as np
import soundfile

from handroll.editing.segments import SAME_TIME_S, bounds
from handroll.hand.skeleton import HANDS
from handroll.reasons import Reason, join_reasons
from handroll.tables import CLIPS, KEY_PRESS_SCORES, State

SILENT_PEAK = 1e-3
"""Maximum absolute sample of a silent clip (full scale 1): -60 dB."""

MIN_NOTES = 10
"""A clip with fewer notes is never rejected for its key press scores, because scores of so few notes are too uncertain."""


def clip_windows(time_s, length_s, hop_s, segments=None, min_length_s=None):
    """Return the time windows of clips within each segment.

    Window k = 0, 1, ... of a segment is [start + k * hop_s, start + k * hop_s + length_s), in which start is the start of the segment. The
    last window ends at or before the end of the segment. A segment shorter than `length_s` gives one shorter window, or none; see
    `min_length_s`. The duration of the video's last frame is taken as the median frame interval. So a video of 900 frames at 30 frames/s
    contains a window of 30 s, although its last frame starts at 29.967 s.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times, s, from 0, increasing.
    length_s, hop_s : float > 0
        Length of a window and distance between the starts of windows.
    segments : sequence of (start_s, end_s), optional
        Usable segments, s; each window is inside one segment. Default: the whole video is one segment.
    min_length_s : float > 0, optional
        A segment shorter than `length_s`, but at least this long, is one window. Default: short segments give no window.

    Returns
    -------
    start_s, end_s : array (window,)
        Start and end of each window, s.
    start_frame, end_frame : int array (window,)
        First frame of each window, and the frame after its last one.
    """
    end_of_video_s = time_s[-1] + np.median(np.diff(time_s)) if len(time_s) > 1 else 0.0
    starts, ends = [np.empty(0)], [np.empty(0)]
    for first, stop in _whole_video(time_s) if segments is None else bounds(time_s, segments):
        segment_start_s, segment_end_s = time_s[first], time_s[stop] if stop < len(time_s) else end_of_video_s
        spare_s = segment_end_s - segment_start_s - length_s + SAME_TIME_S
        if spare_s >= 0.0:
            starts.append(segment_start_s + np.arange(int(spare_s // hop_s) + 1) * float(hop_s))
            ends.append(starts[-1] + length_s)
        elif min_length_s is not None and segment_end_s - segment_start_s + SAME_TIME_S >= min_length_s:
            starts.append(np.array([segment_start_s]))
            ends.append(np.array([segment_end_s]))
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
    """Select the clips of a video and decide which clips the dataset accepts.

    The default length, hop and minimum visibility are those of PianoMotion10M (Gan et al., ICLR 2025). Windows are in presentation
    time, so the clips of a video with a variable frame rate have the same length.

    Parameters
    ----------
    motion : dict of str to array (frame, hand, ...)
        Columns `time_s` (s) and `state` of `handroll.tables.MOTION`, by frame; other columns are ignored.
    subject, video : str
    length_s, hop_s : float
        Length of a clip and distance between the starts of clips.
    min_visibility : float in [0, 1]
        Minimum visibility of an accepted clip: the share of (frame, hand) pairs that are observed or interpolated.
    min_key_press_f1 : float in [0, 1]
        Minimum key press F1 of an accepted clip. It applies to clips of at least `MIN_NOTES` notes whose F1 is known.
    segments : sequence of (start_s, end_s), optional
        Usable segments, s; each clip is inside one segment. Default: the whole video is one segment.
    video_reasons : sequence of Reason or str
        Reasons for the rejection of the whole video. Every window is rejected for these reasons, followed by the window's own reasons.
    audio_path : path, optional
        Audio file of the video. A window without audio, or with silent audio, is rejected. Default: audio is not checked.
    audio_delay_s : float
        Delay of the audio relative to the frames, s. The audio of a window starts this much later in the file.
    note_onset_s : array (note,), optional
        Onsets in video time, s since the first frame. A window without an onset is rejected. Default: notes are not checked.
    scores_of : callable (start_s, end_s) -> dict, optional
        Function that returns the columns of `tables.KEY_PRESS_SCORES` of a window. Default: all scores are NaN.
    min_length_s : float, optional
        A segment shorter than `length_s`, but at least this long, gives one shorter clip. Default: short segments give no clip.

    Returns
    -------
    dict of str to array (window,)
        Columns of `handroll.tables.CLIPS`. The table is empty without frames, or if all segments are too short.
    """
    time_s, visible = motion["time_s"][:, 0], motion["state"] > State.HIDDEN
    start_s, end_s, start_frame, end_frame = clip_windows(time_s, length_s, hop_s, segments, min_length_s)
    visibility = np.array([visible[a:b].sum() / max((b - a) * len(HANDS), 1) for a, b in zip(start_frame, end_frame, strict=True)])
    scores = _key_press_scores(scores_of, start_s, end_s)
    onset_s = np.empty(0) if note_onset_s is None else note_onset_s
    n_notes = [np.sum((onset_s >= start) & (onset_s < end)) for start, end in zip(start_s, end_s, strict=True)]
    reasons = []
    for k in range(len(start_s)):
        clip_reasons = list(video_reasons)
        if visibility[k] < min_visibility:
            clip_reasons.append(Reason.CLIP_HANDS_HIDDEN)
        if audio_path is not None and _peak(audio_path, start_s[k] + audio_delay_s, end_s[k] + audio_delay_s) < SILENT_PEAK:
            clip_reasons.append(Reason.CLIP_NO_SOUND)
        if note_onset_s is not None and not n_notes[k]:
            clip_reasons.append(Reason.CLIP_NO_NOTES)
        if scores["key_press_f1"][k] < min_key_press_f1 and n_notes[k] >= MIN_NOTES:
            clip_reasons.append(Reason.CLIP_MOTION_OFF_NOTES)
        reasons.append(join_reasons(clip_reasons))
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


def _whole_video(time_s):
    """Return a list with the range (0, number of frames), or an empty list if there are no frames."""
    return [(0, len(time_s))] if len(time_s) else []


def _key_press_scores(scores_of, start_s, end_s):
    """Return the columns of `tables.KEY_PRESS_SCORES` for the windows [start_s, end_s), two arrays (window,). Unknown scores are NaN."""
    rows = [scores_of(*window) if scores_of else {} for window in zip(start_s, end_s, strict=True)]
    return {column.name: [row.get(column.name, np.nan) for row in rows] for column in KEY_PRESS_SCORES}


def _peak(audio_path, start_s, end_s):
    """Return the maximum absolute sample (full scale 1) in the interval [start_s, end_s); 0 if the file has no audio there."""
    with soundfile.SoundFile(audio_path) as source:
        first, stop = (int(np.clip(round(edge_s * source.samplerate), 0, source.frames)) for edge_s in (start_s, end_s))
        source.seek(first)
        samples = source.read(stop - first, dtype="float32")
    return float(np.abs(samples).max(initial=0.0))
