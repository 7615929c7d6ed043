"""The stream: from inputs to embeddings to results, in order and in bounded memory."""
