"""Caption data sets: annotation files to examples, sentences to batches."""
