"""The synthetic pianist: music, motion, video and audio with known truth."""
