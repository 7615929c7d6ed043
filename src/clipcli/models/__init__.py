"""Find and open models: from a name to encoders."""
