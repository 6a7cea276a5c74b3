"""Models from and to other frameworks."""
