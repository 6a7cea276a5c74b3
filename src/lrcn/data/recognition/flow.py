"""Flow computed once for a whole data set: `lrcn data flow`.

The flow of `DATA/a/b.avi` is `FLOW_DIR/a/b.avi.flow.mkv`, so every annotation file and official split of the data set
goes on saying what belongs where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lrcn.data.processes import in_processes
from lrcn.data.recognition.examples import RecognitionData
from lrcn.errors import DataError, LRCNError, MediaError, require
from lrcn.video.flow import FlowImages
from lrcn.video.flow_file import FLOW_SUFFIX, FlowTag, read_flow_tag, write_flow_file
from lrcn.video.read import probe, read_frames


@dataclass(frozen=True)
class FlowBuildReport:
    """What a build did."""

    written: int
    kept: int
    """Flow files that were there already, made in the same way."""
    failures: tuple[str, ...]
    """One line for each video that could not be read."""
    stale: int
    """Flow files that were there, made in another way or damaged, and therefore had to be made again."""


def flow_path(flow_dir: Path, root: Path, video: Path) -> Path:
    """Return where the flow of a video of the data set `root` is kept.

    Raises:
        DataError: If the video does not lie below `root`.
    """
    base = root if root.is_dir() else root.parent
    try:
        relative = video.resolve().relative_to(base.resolve())
    except ValueError as exc:
        raise DataError(
            f"{video} does not lie below {base}: flow is laid out like the data set, so keep the videos in it"
        ) from exc
    return flow_dir / relative.with_name(relative.name + FLOW_SUFFIX)


def with_flow_files(
    data: RecognitionData, root: Path, flow_dir: Path, *, skip_missing: bool = False
) -> RecognitionData:
    """Return the data set with each video replaced by its flow file.

    Args:
        data: The videos.
        root: The data set's folder.
        flow_dir: Where `build_flow` put their flow.
        skip_missing: Leave out videos without flow, with a warning.

    Raises:
        DataError: If flow is missing; the message names the command that makes it.
    """
    paths = [flow_path(flow_dir, root, example.path) for example in data.examples]
    missing = [path for path in paths if not path.is_file()]
    more = f" ({len(missing) - 1} more)" if len(missing) > 1 else ""
    if missing and not (skip_missing and len(missing) < len(paths)):
        raise DataError(
            f"{missing[0]} not found{more}; make it with: lrcn data flow {root} --output {flow_dir} (with the "
            "--method, --sample-fps and --resize of the rest); --skip-missing leaves videos out that cannot be read"
        )
    examples = tuple(
        replace(example, path=path)
        for example, path in zip(data.examples, paths, strict=True)
        if not missing or path.is_file()
    )
    warnings = (*data.warnings, f"left out: {missing[0]} not found{more}") if missing else data.warnings
    recordings = tuple(
        replace(recording, path=path)
        for recording in data.recordings
        if recording.path is not None and (path := flow_path(flow_dir, root, recording.path)).is_file()
    )
    return replace(data, examples=examples, warnings=warnings, recordings=recordings)


def build_flow(
    data: RecognitionData,
    root: Path,
    flow_dir: Path,
    *,
    tag: FlowTag,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FlowBuildReport:
    """Compute the flow of every video of a data set, in parallel over videos; a second call goes on where it stopped.

    Args:
        data: What to compute flow for.
        root: The data set's folder.
        flow_dir: Where to.
        tag: Method, frame rate and size; files there that were made otherwise are made again.
        workers: Processes; by default one a processor.
        on_progress: Called with the videos done and their number, at the start and after each.

    Raises:
        UnknownNameError: If there is no such method.
        MissingExtraError: If OpenCV is not installed.
        ConfigError: If the method's weights cannot be had.
        DataError: If a video does not lie below `root`.
    """
    FlowImages(tag.method)  # a wrong method fails here, once, not in every worker
    jobs = {
        video: flow_path(flow_dir, root, video) for video in dict.fromkeys(example.path for example in data.examples)
    }
    missing = {video: path for video, path in jobs.items() if not _is_made(path, tag)}
    report = on_progress or (lambda done, total: None)
    kept, stale = len(jobs) - len(missing), sum(path.is_file() for path in missing.values())
    report(kept, len(jobs))
    failures = []
    calls = [(video, path, tag) for video, path in missing.items()]
    for done, failure in enumerate(in_processes(_build_one, calls, workers), start=1):
        failures += [failure] if failure else []
        report(kept + done, len(jobs))
    return FlowBuildReport(len(missing) - len(failures), kept, tuple(sorted(failures)), stale)


def _is_made(path: Path, tag: FlowTag) -> bool:
    try:
        return path.is_file() and read_flow_tag(path) == tag
    except MediaError:
        return False


def _build_one(video: Path, path: Path, tag: FlowTag) -> str | None:
    """Write one flow file; return why it could not be done."""
    if tag.method != "raft":
        require("cv2", extra="flow", wanted_by="optical flow").setNumThreads(1)  # the parallelism is over videos
    try:
        write_flow_file(path, _images(video, tag), fps=tag.sample_fps or probe(video).fps, tag=tag)
    except LRCNError as exc:
        return str(exc)
    return None


def _images(video: Path, tag: FlowTag) -> Iterator[npt.NDArray[np.uint8]]:
    flow = FlowImages(tag.method)
    count = 0
    for chunk in read_frames(video, sample_fps=tag.sample_fps, resize=tag.resize, on_warning=lambda message: None):
        images = flow.push(chunk.frames)
        count += len(images)
        yield from images
    if not count:
        yield from flow.still()
