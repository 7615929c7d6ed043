"""Embeddings kept between runs, in one SQLite file."""
