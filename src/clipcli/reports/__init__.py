"""Results to look at: a page in a browser, and matrices."""
