"""Expand the user's inputs into single inputs, in a fixed order."""
