"""Motion for music: the kinematic pianist, and trained models."""
