"""How good is a model on a data set? The code that users run makes the predictions, so the numbers agree."""
