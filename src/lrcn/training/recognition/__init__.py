"""What is particular to the training of recognition."""
