"""Classify images as they arrive in a folder."""
