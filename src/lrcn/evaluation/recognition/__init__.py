"""How good a recognition model is."""
