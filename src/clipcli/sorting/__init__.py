"""Image files into one folder per label, and back again."""
