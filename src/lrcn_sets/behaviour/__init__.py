"""Long recordings with known bouts: rendered people who do one thing after another."""
