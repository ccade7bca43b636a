"""Media files in and out: containers, streams, frames, audio."""
