"""Map notes to the clock of the video. Earlier steps use the clock of the audio or of a MIDI file; later steps use the video's clock."""

import numpy as np

from handroll.keyboard.audio_delay import find_delay
from handroll.music.alignment.time_map import TimeMap, map_times

# Notes are kept up to this long after the time of the last frame, because the frame has a duration and the delay has an error.
_END_MARGIN_S = 1.0


def to_video_clock(notes, pedal, time_s, joints_keyboard_mm, state, notes_clock):
    """Map notes and pedal to the video's clock, with the delay that is estimated from the fingertips.

    Parameters
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES` and `tables.PEDAL`.
    time_s, joints_keyboard_mm, state
        See `keyboard.audio_delay.find_delay`.
    notes_clock : {"audio", "midi"}
        Clock of the given notes: "audio", or "midi" for a MIDI file that could not be compared with audio.

    Returns
    -------
    notes, pedal : dict of str to array
        On the video's clock; without notes and presses that end before the video begins, and without notes that begin after it ends.
    report : dict
        `audio_delay_s`: delay of the audio relative to the video; 0 if no trusted estimate exists, or if the notes are on the clock of
        a MIDI file. `delay`, a dict: `of`, the clock of the given notes; `corrected_s`, the delay that is subtracted from their times;
        `estimate_s` and `error_s`, the estimate and its standard error (None without an estimate); `trusted` (bool), whether the estimate
        is used; `notes`, the number of notes used; `words`, a summary.
    """
    delay_s, estimate = find_delay(notes, time_s, joints_keyboard_mm, state)
    # The delay is rounded far below its error, so that computers with different rounding errors give the same times.
    delay_s = round(float(delay_s), 4)
    if delay_s:
        notes, pedal = map_times(notes, pedal, TimeMap(-delay_s))
    # A MIDI file may contain hours of notes beyond a short video.
    within = notes["onset_s"] <= (time_s[-1] if len(time_s) else 0.0) + _END_MARGIN_S
    if not within.all():
        notes = {name: values[within] for name, values in notes.items()}
    known = bool(np.isfinite(estimate.delay_s))
    what = "MIDI" if notes_clock == "midi" else "audio"
    words = f"{what} {abs(delay_s):.2f} s {'late' if delay_s > 0 else 'early'}: corrected (standard error {1e3 * estimate.error_s:.0f} ms)"
    report = {
        "of": notes_clock,
        "corrected_s": delay_s,
        "estimate_s": round(estimate.delay_s, 4) if known else None,
        "error_s": round(estimate.error_s, 4) if known else None,
        "trusted": estimate.trusted,
        "notes": estimate.notes,
        "words": words if estimate.trusted else f"delay of the {what} unknown: taken as 0",
    }
    return notes, pedal, {"audio_delay_s": delay_s if notes_clock == "audio" else 0.0, "delay": report}
