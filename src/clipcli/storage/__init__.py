"""Files on disk and in object stores, read and written atomically."""
