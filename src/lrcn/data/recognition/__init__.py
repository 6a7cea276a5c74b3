"""Recognition data sets: annotation files to examples, clips to batches."""
