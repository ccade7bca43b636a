"""Networks that predict hand positions and gestures from audio, and their building blocks."""
