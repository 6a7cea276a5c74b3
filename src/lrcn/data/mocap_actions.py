"""MocapActions-14: short videos of 14 actions, rendered from real motion recordings, for training and for testing.

Every clip is a function of its split, its class and its number alone. Splits share no camera direction: seen from
above, the directions fall into 12 sectors of 30 degrees, and each split has its own. They share no person and no place
either. There is one recording a class, two for some, so a test score says how well a model copes with new views, bodies
and places, not with new performers.

`lie_down` and `walk_backwards` are `get_up` and `walk` played backwards: their clips differ in the order of the frames
and in nothing else, so a model that ignores order cannot tell them apart.
"""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import av

from lrcn.data.mocap_clips import ACTIONS, FPS, clip_spec, render
from lrcn.data.mocap_render import Frames
from lrcn.errors import ConfigError, DataError
from lrcn.files import replacing

GENERATOR_VERSION = 1
"""Raised when the clips of a given number change."""


def build_mocap_actions(
    output: Path,
    *,
    train_clips: int = 144,
    val_clips: int = 12,
    test_clips: int = 32,
    size_px: int = 128,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the action set into a folder and return the path of its `annotations.csv`.

    Each clip is 2.4 s at 10 frames a second, H.264, at `videos/<split>/<class>/<number>.mp4`. The annotations (columns
    path, label, split) are written last. An interrupted build goes on where it stopped, a finished one returns at once.

    Args:
        output: Folder to build in; created if missing.
        train_clips: Training clips a class.
        val_clips: Validation clips a class.
        test_clips: Test clips a class.
        size_px: Side of the square frames, even.
        workers: Processes to render in; by default one a processor.
        on_progress: Called with the clips done and the clips in all, at the start and after each clip.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If the folder cannot be written or holds something else.
    """
    counts = {"train": train_clips, "val": val_clips, "test": test_clips}
    if min(counts.values()) < 0 or not any(counts.values()):
        raise ConfigError(f"clips per class must be 0 or more and not all 0, got {counts}")
    if size_px < 32 or size_px % 2:
        raise ConfigError(f"size_px must be an even number from 32, got {size_px}")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be 1 or more, got {workers}")
    clips = [(split, label, index) for split, count in counts.items() for index in range(count) for label in ACTIONS]
    try:
        _claim(output, size_px)
        missing = [clip for clip in clips if not _video_path(output, *clip).exists()]
        report = on_progress or (lambda done, total: None)
        report(len(clips) - len(missing), len(clips))
        for done, _ in enumerate(_render_all(output, missing, size_px, workers or _num_processors()), start=1):
            report(len(clips) - len(missing) + done, len(clips))
        return _write_annotations(output, clips)
    except OSError as exc:
        raise DataError(
            f"{output}: cannot build the action set here ({exc}); choose another folder or free it"
        ) from exc


def _claim(output: Path, size_px: int) -> None:
    """Mark the folder as a build of this generator, or make sure that it is one already."""
    mark = {"generator": "mocap-actions", "version": GENERATOR_VERSION, "size_px": size_px}
    path = output / "build.json"
    output.mkdir(parents=True, exist_ok=True)
    if path.exists():
        if path.read_text() != json.dumps(mark):
            raise DataError(f"{output} holds another build ({path.read_text()[:200]!r}); choose an empty folder")
    elif any(output.iterdir()):
        raise DataError(f"{output} is not empty and holds no action set; choose an empty folder")
    else:
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(mark))


def _write_annotations(output: Path, clips: list[tuple[str, str, int]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "label", "split"))
    for split, label, index in clips:
        writer.writerow((_video_path(Path(), split, label, index).as_posix(), label, split))
    path = output / "annotations.csv"
    if not path.exists() or path.read_text() != text.getvalue():
        with replacing(path) as unfinished:
            unfinished.write_text(text.getvalue())
    return path


def _video_path(output: Path, split: str, label: str, index: int) -> Path:
    return output / "videos" / split / label / f"{index}.mp4"


def _num_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _render_all(output: Path, clips: list[tuple[str, str, int]], size_px: int, workers: int) -> Iterator[None]:
    """Render clips one by one or in parallel; yield after each."""
    if workers == 1 or len(clips) < 2:
        for clip in clips:
            _render_to_file(output, *clip, size_px)
            yield
        return
    # spawn: a fork of a process with threads (torch, a progress bar) may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(clips)), mp_context=context, initializer=_end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(_render_to_file, output, *clip, size_px) for clip in clips]):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when the build is killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _render_to_file(output: Path, split: str, label: str, index: int, size_px: int) -> None:
    frames = render(clip_spec(split, label, index), size_px)
    with replacing(_video_path(output, split, label, index)) as unfinished:
        write_video(unfinished, frames)


def write_video(path: Path, frames: Frames) -> None:
    """Write RGB frames `(F, H, W, 3)` as H.264 in MP4, 10 a second; the same frames give the same bytes."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
