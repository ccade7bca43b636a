"""Notes on the picture's clock. Tables up to here are on the audio's, or on that of a given MIDI file; all after it are on this one."""

import numpy as np

from handroll.keyboard.audio_delay import find_delay
from handroll.music.alignment.time_map import Clock, move

_AFTER_S = 1.0
# The last frame is shown for some time, and the delay is known to some milliseconds.


def to_picture(notes, pedal, time_s, joints_keyboard_mm, state, notes_clock):
    """Move notes and pedal to the picture's clock, by the delay that the fingertips show.

    Parameters
    ----------
    notes, pedal : dict of str to array
        `tables.NOTES` and `tables.PEDAL`.
    time_s, joints_keyboard_mm, state
        As of `estimate_delay`.
    notes_clock : {"audio", "midi"}
        Whose clock the notes are on: the audio's, or that of a MIDI file which could not be compared with any audio.

    Returns
    -------
    notes, pedal : dict of str to array
        What ends before the video begins or is struck after it ends is left out.
    report : dict
        `audio_delay_s`: how much later than the picture the audio comes, 0 where no delay is trusted and for notes of a MIDI
        clock, which say nothing about the audio. `delay`: of which clock (`of`), `corrected_s`, `estimate_s` and `error_s`
        (None where there is no estimate), `trusted`, `notes` that count, and all of it in `words`.
    """
    delay_s, estimate = find_delay(notes, time_s, joints_keyboard_mm, state)
    # Far below what can be measured, so that machines whose arithmetic differs in its last bits give the same times.
    delay_s = round(float(delay_s), 4)
    if delay_s:
        notes, pedal = move(notes, pedal, Clock(-delay_s))
    # A MIDI file may have hours of notes around a short video.
    filmed = notes["onset_s"] <= (time_s[-1] if len(time_s) else 0.0) + _AFTER_S
    if not filmed.all():
        notes = {name: values[filmed] for name, values in notes.items()}
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
