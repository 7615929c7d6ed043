"""Write labels into photos as keywords: XMP sidecars, or the files themselves, and undo it."""
