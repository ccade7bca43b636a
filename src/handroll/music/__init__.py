"""Sound and notes: audio files, transcription engines, MIDI, and whether the two agree."""
