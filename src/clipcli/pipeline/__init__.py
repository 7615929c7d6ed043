"""The stream from inputs to embeddings to results, in order and with bounded memory."""
