"""Listing, downloading and taking down videos: all code that uses the network."""
