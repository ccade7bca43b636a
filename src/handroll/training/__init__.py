"""Training of the motion models."""
