"""Measure the accuracy of a model, its labels and its prompts."""
