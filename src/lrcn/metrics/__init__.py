"""Scores of predictions against the truth, in NumPy."""
