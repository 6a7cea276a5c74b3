"""A captioning model used on pictures and videos."""
