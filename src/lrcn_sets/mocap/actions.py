"""MocapActions-14: short videos of 14 actions, rendered from real motion recordings, for training and for testing.

Every clip is a function of its split, its class and its number alone. Splits share no camera direction: seen from
above, the directions fall into 12 sectors of 30 degrees, and each split has its own. They share no person and no place
either. There is one recording a class, two for some, so a test score says how well a model copes with new views, bodies
and places, not with new performers.

`lie_down` and `walk_backwards` are `get_up` and `walk` played backwards, clip by clip: the pictures of `walk_backwards`
number 7 are those of `walk` number 7 in opposite order, so a model that ignores order cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import av

from lrcn.errors import ConfigError
from lrcn.files import replacing
from lrcn_sets.building import build_missing, building_in, check_counts, write_annotations
from lrcn_sets.mocap.clips import ACTIONS, FPS, clip_spec, render
from lrcn_sets.mocap.render import Frames

GENERATOR_VERSION = 4
"""Raised when the clips of a given number change."""


def build_mocap_actions(
    output: Path,
    *,
    train_clips: int = 320,
    val_clips: int = 36,
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
        train_clips: Training clips a class; `walk` and `walk_backwards`, the hardest to tell apart, have three times as
            many.
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
    check_counts(counts, "clips per class", workers)
    check_size(size_px)
    clips = _clips(counts)
    mark = {"generator": "mocap-actions", "version": GENERATOR_VERSION, "size_px": size_px}
    with building_in(output, mark, "action set"):
        build_missing(
            _render_to_file,
            [(*clip, size_px) for clip in clips],
            [_video_path(output, *clip) for clip in clips],
            workers=workers,
            on_progress=on_progress,
        )
        rows = [(_video_path(Path(), split, label, index).as_posix(), label, split) for split, label, index in clips]
        return write_annotations(output / "annotations.csv", [("path", "label", "split"), *rows])


def _clips(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Return split, class and number of every clip, the classes in turn, so that an unfinished set is balanced."""
    weights = {
        (split, label): action.train_weight if split == "train" else 1
        for split in counts
        for label, action in ACTIONS.items()
    }
    return [
        (split, label, index)
        for split, count in counts.items()
        for index in range(count * max(weights.values()))
        for label in ACTIONS
        if index < count * weights[split, label]
    ]


def check_size(size_px: int) -> None:
    """Make sure that a video can have this side.

    Raises:
        ConfigError: If it cannot.
    """
    if size_px < 32 or size_px % 2:
        raise ConfigError(f"size_px must be an even number from 32, got {size_px}")


def _video_path(output: Path, split: str, label: str, index: int) -> Path:
    return output / "videos" / split / label / f"{index}.mp4"


def _render_to_file(path: Path, split: str, label: str, index: int, size_px: int) -> None:
    frames = render(clip_spec(split, label, index), size_px)
    with replacing(path) as unfinished:
        write_clip(unfinished, frames)


def write_clip(path: Path, frames: Frames) -> None:
    """Write RGB frames `(F, H, W, 3)` as H.264 in MP4, 10 a second; the same frames give the same bytes."""
    with av.open(str(path), "w", format="mp4") as container:
        # mbtree: x264's look-ahead gives other bytes from run to run
        options = {"crf": "16", "preset": "veryfast", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
