"""How good a model, its labels and its prompts are."""
