"""Screening of videos: measure scores, then compare them with thresholds (`criteria`) for a verdict (`verdict`)."""
