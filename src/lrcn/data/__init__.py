"""Data sets: annotation files to examples, examples to batches, a data set made from scratch, a doctor for all."""
