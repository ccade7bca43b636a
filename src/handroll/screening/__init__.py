"""Screening of videos: measure scores, then compare them with thresholds."""
