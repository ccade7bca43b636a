"""Alignment of notes with a recording: clock offset and drift, agreement scores, and selection of the notes."""
