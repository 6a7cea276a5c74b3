"""From a model file and a video to a result."""
