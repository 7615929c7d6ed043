"""Where bytes live: on disk and behind URLs, read and written whole."""
