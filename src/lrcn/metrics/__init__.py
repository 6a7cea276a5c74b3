"""How good a model is: numbers on predictions and references."""
