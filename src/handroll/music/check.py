"""Which notes belong to a video: the performer's MIDI where there is one, else the transcription."""

from pathlib import Path

from handroll.music.midi import MidiError, read_midi
from handroll.screen.reasons import Reason


def choose_notes(notes, pedal, midi_path):
    """The notes to use, and where they come from.

    Parameters
    ----------
    notes, pedal : dict of str to array
        The transcription: `schema.NOTES` and `schema.PEDAL`.
    midi_path : path or None
        The MIDI file that the sheet names; time 0 is the video's first frame.

    Returns
    -------
    notes, pedal : dict of str to array
    source : str
        "given" or "transcribed".
    problem : dict or None
        Reason and message where a MIDI file is named and cannot be used; the transcription is then taken instead, and
        said to be.
    """
    if not midi_path:
        return notes, pedal, "transcribed", None
    try:
        if not Path(midi_path).is_file():
            raise MidiError(f"{midi_path}: the sheet names this MIDI file; expected it there, found nothing")
        return *read_midi(midi_path), "given", None
    except MidiError as error:
        return notes, pedal, "transcribed", {"reason": str(Reason.MIDI_UNREADABLE), "message": str(error)}
