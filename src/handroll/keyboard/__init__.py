"""Keyboard: geometry, registration in a video, octave, fingering, contacts and audio delay."""
