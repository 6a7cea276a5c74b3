"""Example sets that are built on the spot: rendered actions, composed scenes; `python -m lrcn_sets`."""
