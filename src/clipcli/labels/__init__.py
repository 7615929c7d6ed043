"""Labels and the prompt templates that they are filled into."""
