"""The embedding cache, one SQLite file."""
