"""A recognition model used on videos and streams."""
