"""Generation of hand motion from music: simulated performances by kinematic planning, and trained models."""
