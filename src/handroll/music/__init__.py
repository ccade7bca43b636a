"""Music: transcription engines, notes, MIDI files, synthesis, and alignment of notes with audio."""
