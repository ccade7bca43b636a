"""Drawings for people: hands and keys on frames, contact sheets, galleries."""
