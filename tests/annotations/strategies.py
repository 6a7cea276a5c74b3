"""Annotations as hypothesis draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from lrcn.annotations.reading import in_order
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, labels_of

words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
"""Without spaces: those around a name are no part of it in any format."""

texts = st.just("") | st.lists(words, min_size=1, max_size=3).map(" ".join)

looked_at_spans = st.sampled_from([None, WHOLE, ((0.0, 1.5), (2.25, math.inf)), ((1e-05, 60.0),), ((3.0, math.inf),)])
"""Of recordings."""


def times(step_s: float = 0.001, longest_s: float = 10_000.0) -> st.SearchStrategy[float]:
    return st.integers(0, round(longest_s / step_s)).map(lambda count: round(count * step_s, 6))


@st.composite
def bouts(
    draw: st.DrawFn,
    *,
    time: st.SearchStrategy[float] | None = None,
    points: bool = True,
    labels: st.SearchStrategy[str] = words,
    subject: st.SearchStrategy[str] = st.just("") | words,  # noqa: B008
    comment: st.SearchStrategy[str] = texts,
    modifiers: st.SearchStrategy[tuple[str, ...]] = st.just(()),  # noqa: B008
    prob: st.SearchStrategy[float | None] = st.none(),  # noqa: B008
) -> Bout:
    time = times() if time is None else time
    one, other = sorted((draw(time), draw(time)))
    if one == other and not points:
        other = round(one + 1.0, 6)
    return Bout(draw(labels), one, other, draw(subject), draw(modifiers), draw(comment), draw(prob))


def apart(bouts_: list[Bout]) -> list[Bout]:
    """Keep what start and stop events can hold: no overlap within a behaviour of one subject with its modifiers."""
    kept: list[Bout] = []
    for bout in sorted(bouts_, key=lambda bout: (bout.start_s, bout.end_s)):
        key = (bout.label, bout.subject, bout.modifiers)
        if all((one.label, one.subject, one.modifiers) != key or one.end_s <= bout.start_s for one in kept):
            kept.append(bout)
    return kept


@dataclass(frozen=True)
class Drawn(Annotations):
    """Annotations whose videos lie nowhere yet."""

    def placed_in(self, folder: Path) -> Annotations:
        """Return them with their videos in a folder."""
        recordings_ = tuple(
            recording if recording.path is None else replace(recording, path=folder / recording.path)
            for recording in self.recordings
        )
        return Annotations(self.name, recordings_, self.labels)


@st.composite
def recordings(
    draw: st.DrawFn,
    bout: st.SearchStrategy[Bout],
    *,
    overlap: bool = True,
    most: int = 3,
    empty: bool = True,
    **about: st.SearchStrategy[Any],
) -> Drawn:
    names = draw(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=most, unique=True))
    found = []
    for name in names:
        drawn = draw(st.lists(bout, min_size=0 if empty else 1, max_size=6))
        more = {key: draw(value) for key, value in about.items()}
        found.append(
            Recording(f"{name}.mp4", Path(f"{name}.mp4"), in_order(drawn if overlap else apart(drawn)), **more)
        )
    if not empty:
        found = [recording for recording in found if recording.bouts]
    return Drawn("drawn", tuple(found), labels_of(found))
