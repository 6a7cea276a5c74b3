"""`lrcn data check` of many short clips: each opened once, by threads that decode alone, against the plain way.

Plain is to hash every file, to probe it and to read it, each with a decoder that starts threads of its own. The new way
makes fingerprints as well. Decoding alone, by the same library, says what is left to gain.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import av

from benchmarks.subjects import write_clip
from benchmarks.timing import Figure, compare, compare_all
from lrcn.data.file_checks import look_at_files
from lrcn.video.read import probe, read_frames

NUM_FILES, NUM_FRAMES = 100, 16


def run() -> list[Figure]:
    """Check that both find the same lengths and complaints, then time."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", num_frames=NUM_FRAMES).read_bytes()
        paths = [Path(folder) / f"{number}.mp4" for number in range(NUM_FILES)]
        for number, path in enumerate(paths):  # a box that players skip makes each another file
            path.write_bytes(
                clip[: len(clip) // 2] if number % 50 == 49 else clip + struct.pack(">I4sQ", 16, b"free", number)
            )
        ours = partial(look_at_files, paths, decode=True, on_progress=None)
        if [(file.duration_s, file.error, file.warnings) for file in ours().values()] != _plain(sorted(paths)):
            raise SystemExit("the two find different things: nothing was timed")
        same = "same lengths, errors and warnings"
        for what, clock in (("", time.perf_counter), (", CPU time", time.process_time)):
            baselines: dict[str, Callable[[], object]] = {
                "hash, probe and read": partial(_plain, paths),
                "decoding alone": partial(_decoded, paths),
            }
            ratios = compare_all({"ours": ours}, baselines, rounds=3, warm_up=False, clock=clock)
            figures += [
                Figure(f"check of {NUM_FILES} clips{what}", baseline, *ratio, same)
                for (_, baseline), ratio in ratios.items()
            ]
        for number, path in enumerate(paths):
            os.truncate(path, 2**22 + number)
        contents = partial(look_at_files, paths, decode=False, on_progress=None)
        ratio = compare(contents, partial(_hashed, paths), rounds=3)
        figures.append(Figure(f"check of {NUM_FILES} files of 4 MiB, --no-decode", "hashing all", *ratio, "none alike"))
    return figures


def _plain(paths: list[Path]) -> list[tuple[float | None, str, tuple[str, ...]]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_look_plainly, paths))


def _look_plainly(path: Path) -> tuple[float | None, str, tuple[str, ...]]:
    warnings: list[str] = []
    try:
        _hash(path)
        duration_s = probe(path).duration_s
        for _ in read_frames(path, sample_fps=1, resize=16, on_warning=warnings.append):
            pass
    except Exception as exc:
        return None, str(exc), ()
    return duration_s, "", tuple(warnings)


def _hash(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def _hashed(paths: list[Path]) -> list[bytes]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_hash, paths))


def _decoded(paths: list[Path]) -> list[int]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_decode, paths))


def _decode(path: Path) -> int:
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "NONE"
            return sum(1 for _ in container.decode(video=0))
    except av.FFmpegError:
        return 0
