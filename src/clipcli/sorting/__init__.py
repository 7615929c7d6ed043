"""Sort image files into one folder per label, and undo it."""
