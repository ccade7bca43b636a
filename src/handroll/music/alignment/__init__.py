"""Alignment of notes with a recording: time maps, agreement scores, and selection of the notes."""
