"""Checkpoints of the released layout that tests share."""

from support.released_fixtures import arr, filled, gesture_state, position_state, released_state, s2c_state, small_speech, write  # noqa: F401
