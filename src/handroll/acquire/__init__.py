"""Listing videos, fetching them, and taking them down: everything that speaks with other machines."""
