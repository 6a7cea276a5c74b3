"""Decoding in a process of its own (`--isolate`) against decoding here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.subjects import NUM_FRAMES, write_clip
from benchmarks.timing import Figure, compare
from lrcn.video import isolation
from lrcn.video.read import read_frames


@contextmanager
def _here() -> Iterator[None]:
    """Decode here for a while, though decoding is isolated: the process that decodes need not start anew each time."""
    kept, isolation._now = isolation._now, None
    try:
        yield
    finally:
        isolation._now = kept


def run() -> list[Figure]:
    """Check that both see all frames, then time."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, isolation.isolated_decoding():
        path = write_clip(Path(folder) / "clip.mp4")
        for resize in (128, None):

            def isolated(resize: int | None = resize) -> int:
                return sum(len(chunk.frames) for chunk in read_frames(path, resize=resize, chunk_size=64))

            def here(resize: int | None = resize) -> int:
                with _here():
                    return sum(len(chunk.frames) for chunk in read_frames(path, resize=resize, chunk_size=64))

            if not isolated() == here() == NUM_FRAMES:
                raise SystemExit("frames are missing: nothing was timed")
            what = "RGB" if resize is None else f"RGB, short side {resize} px"
            figures.append(
                Figure(
                    f"isolated decode to {what}",
                    "decoding here",
                    *compare(isolated, here, rounds=9),
                    "same number of frames",
                )
            )
    return figures
