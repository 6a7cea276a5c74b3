"""Models as graphs that run without torch: what they are, how they are made, what runs them."""
