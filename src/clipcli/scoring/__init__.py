"""Scores from embeddings, on arrays only: no models, no files."""
