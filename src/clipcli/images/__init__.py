"""Decode image files into pixels."""
