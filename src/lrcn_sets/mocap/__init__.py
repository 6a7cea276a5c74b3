"""MocapActions: people rendered from motion recordings."""
