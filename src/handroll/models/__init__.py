"""The networks: hand positions and gestures from sound, and what they are made of."""
