"""Simulated performances: scores, motion, video and audio with known ground truth."""
