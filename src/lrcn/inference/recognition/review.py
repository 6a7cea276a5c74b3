"""What a person should look at first: the bouts of which a model is least certain, with clips cut around them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import Annotations, Bout, Recording, Region, labels_of
from lrcn.files import name_for
from lrcn.inference.recognition.bouts import FoundBouts, doubt
from lrcn.video.read import probe, read_frames
from lrcn.video.write import write_video

MARGIN_S = 1.0
"""What a clip shows before and after its bout."""

LONGEST_S = 30.0
"""A clip of a longer bout shows its beginning only."""


@dataclass(frozen=True)
class Doubtful:
    """A bout that a person should look at."""

    recording: Path
    bout: Bout
    doubt: float
    """In 0-1; see `bouts.doubt`."""
    start_s: float
    """Of the clip, in the recording."""
    end_s: float
    shown: tuple[Bout, ...]
    """All bouts that the clip shows, in the times of the recording."""


def doubtful_bouts(recording: Path, found: FoundBouts) -> Iterator[Doubtful]:
    """Yield the bouts of a recording as clips to look at."""
    last_s = float(found.borders_s[-1])
    for bout, how in zip(found.bouts, doubt(found), strict=True):
        start_s = max(0.0, bout.start_s - MARGIN_S)
        end_s = min(last_s, bout.end_s + MARGIN_S, start_s + LONGEST_S)
        shown = tuple(other for other in found.bouts if other.start_s < end_s and other.end_s > start_s)
        yield Doubtful(recording, bout, float(how), start_s, end_s, shown)


def most_doubtful(bouts: Iterable[Doubtful], number: int) -> list[Doubtful]:
    """Return so many of the bouts, the most doubtful one first."""
    return heapq.nlargest(number, bouts, key=lambda one: one.doubt)


def write_clips(
    bouts: Sequence[Doubtful],
    folder: Path,
    *,
    roi: Region | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> Annotations:
    """Cut a clip around each bout, without sound, and return what the model says of it, for an annotator to correct.

    Args:
        bouts: In the order in which they should be looked at.
        folder: Where the clips go.
        roi: What part of the pictures was looked at, for the annotations; clips show all of them.
        on_progress: Told how many are done.

    Returns:
        A recording a clip, with times of the clip; the doubtful bout has a comment that says where it is from.

    Raises:
        MediaError: If a recording cannot be read again, or a clip cannot be written.
    """
    taken: set[str] = set()
    recordings = []
    for number, one in enumerate(bouts, start=1):
        path = folder / name_for(one.recording, f"-{one.bout.start_s:.1f}s.mp4", taken)
        fps = probe(one.recording).fps
        write_video(path, _frames(one, fps), fps=fps)
        said = f"doubt {one.doubt:.2f}, at {one.bout.start_s:.2f} s of {one.recording.name}"
        own = [replace(bout, comment=said) if bout == one.bout else bout for bout in one.shown]
        length_s = one.end_s - one.start_s
        recordings.append(
            Recording(
                path.name,
                path,
                tuple(_moved(bout, one.start_s, length_s) for bout in own),
                looked_at=((0.0, length_s),),
                duration_s=length_s,
                fps=fps,
                group=one.recording.name,
                roi=roi,
            )
        )
        on_progress(number)
    num_bouts = sum(len(recording.bouts) for recording in recordings)
    return Annotations("review", tuple(recordings), labels_of(recordings), num_events=num_bouts)


def _moved(bout: Bout, start_s: float, length_s: float) -> Bout:
    return replace(bout, start_s=max(0.0, bout.start_s - start_s), end_s=min(length_s, max(0.0, bout.end_s - start_s)))


def _frames(one: Doubtful, fps: float) -> Iterator[NDArray[np.uint8]]:
    chunks = read_frames(
        one.recording, sample_fps=fps, start_s=one.start_s, end_s=one.end_s, on_warning=lambda message: None
    )
    for chunk in chunks:
        yield from chunk.frames
