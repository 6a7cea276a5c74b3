"""How good a captioning model is."""
