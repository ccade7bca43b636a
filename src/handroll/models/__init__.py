"""Models of hand motion, and of the sound that it follows."""
