"""Checkpoints of the released layout that tests share."""

from support.released_fixtures import arr, gesture_state, position_state, released_state, small_speech, write  # noqa: F401
