"""Reports: the results page for a browser, and the similarity matrix."""
