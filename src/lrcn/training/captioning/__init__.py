"""What is particular to the training of captioning."""
