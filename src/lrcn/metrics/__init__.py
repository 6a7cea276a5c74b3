"""How good predictions are: numbers on predictions and references."""
