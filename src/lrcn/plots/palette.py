"""The colours that tell labels apart, the same in charts and in labelled videos."""

from __future__ import annotations

from collections.abc import Iterable

COLOURS = (
    (86, 180, 233),
    (240, 160, 0),
    (0, 176, 132),
    (235, 110, 170),
    (240, 228, 66),
    (213, 94, 0),
    (140, 110, 230),
    (150, 200, 60),
)
"""RGB in 0-255: told apart with the common kinds of colour blindness, light enough for a dark ground.

Source: the first six after Okabe and Ito 2008, "Color Universal Design"; two more for long lists.
"""


def colours_for(labels: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """Return a colour for each label in order of first appearance; past the last colour they start again."""
    return {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(dict.fromkeys(labels))}
