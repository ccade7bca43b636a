"""Typed configuration, experiment settings and the sheet of videos."""
