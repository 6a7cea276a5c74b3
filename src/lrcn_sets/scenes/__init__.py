"""Pictures composed of cut-out things, with sentences."""
