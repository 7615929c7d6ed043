"""Files of results and of embeddings, written and read back."""
