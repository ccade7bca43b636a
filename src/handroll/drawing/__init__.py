"""Drawings of results: hands and keys on frames, contact sheets, galleries."""
