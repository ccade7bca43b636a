"""Drawings of results: hands and keys on frames, overlay videos, contact sheets, galleries."""
