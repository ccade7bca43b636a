"""Generation of hand motion from music: the kinematic pianist, and trained models."""
