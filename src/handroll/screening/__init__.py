"""Screening of videos: measure scores, compare them with thresholds (`criteria`), and collect the decisions in a `verdict`."""
