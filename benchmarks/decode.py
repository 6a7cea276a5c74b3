"""Reading a video as RGB, at its own size and resized, against decoding alone by the same library."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av

from benchmarks.subjects import NUM_FRAMES, write_clip
from benchmarks.timing import Figure, compare
from lrcn.video.read import read_frames


def run() -> list[Figure]:
    """Check that both see all frames, then time."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_clip(Path(folder) / "clip.mp4")

        def decode_alone() -> int:
            with av.open(str(path)) as container:
                container.streams.video[0].thread_type = "AUTO"
                return sum(1 for _ in container.decode(video=0))

        for resize in (None, 128, 227):

            def ours(resize: int | None = resize) -> int:
                return sum(len(chunk.frames) for chunk in read_frames(path, resize=resize, chunk_size=64))

            if not ours() == decode_alone() == NUM_FRAMES:
                raise SystemExit("frames are missing: nothing was timed")
            what = "RGB" if resize is None else f"RGB, short side {resize} px"
            share = compare(ours, decode_alone, rounds=9)
            figures.append(Figure(f"decode to {what}", "decoding alone", *share, "same number of frames", 0.6))
    return figures
