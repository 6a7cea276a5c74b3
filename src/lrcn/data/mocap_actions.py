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
import functools
import hashlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from lrcn.data.mocap_body import draw_body, pose_solids
from lrcn.data.mocap_camera import SECTOR_DEG, draw_camera
from lrcn.data.mocap_motion import Array, Recording, cut, forward_kinematics, interpolate, load_recordings, repeat
from lrcn.data.mocap_render import Frames, render_clip
from lrcn.data.mocap_scene import draw_scene
from lrcn.errors import ConfigError, DataError, lookup
from lrcn.files import replacing

GENERATOR_VERSION = 1
"""Raised when the clips of a given number change."""

FPS = 20
NUM_FRAMES = 48
SPLIT_SECTORS = {"train": (0, 2, 4, 6, 7, 8, 10, 11), "val": (3,), "test": (1, 5, 9)}
"""Camera sectors of each split; sector n spans 30 n to 30 (n + 1) degrees from the recording's forward direction."""


@dataclass(frozen=True)
class Take:
    """The part of a recording that shows an action.

    Attributes:
        recording: Name of the recording.
        start_s: Where the action starts in it.
        end_s: Where it ends.
        speed: Playing speed around which clips vary; 1 is real time.
        blend_s: Over how long the end of a round passes into the start of the next; 0: the action happens once.
    """

    recording: str
    start_s: float
    end_s: float
    speed: float = 1.0
    blend_s: float = 0.15


@dataclass(frozen=True)
class Action:
    """A class: its takes and whether they are played backwards."""

    takes: tuple[Take, ...]
    reversed: bool = False


_GET_UP = (Take("getup_faceup", 0.1, 3.4, 1.3, 0.0), Take("getup_facedown", 0.25, 2.9, 1.05, 0.0))
_WALK = (Take("walk", 0.0, 1.2666),)
ACTIONS: dict[str, Action] = {
    "backflip": Action((Take("backflip", 0.12, 1.65),)),
    "cartwheel": Action((Take("cartwheel", 0.3, 2.35, 1.2, 0.25),)),
    "crawl": Action((Take("crawl", 0.0, 2.93, 1.1, 0.3),)),
    "dance": Action((Take("dance_b", 0.0, 2.53),)),
    "get_up": Action(_GET_UP),
    "jump": Action((Take("jump", 0.25, 1.55),)),
    "kick": Action((Take("kick", 0.2, 1.3, 1.0, 0.3), Take("spinkick", 0.0, 1.28, 1.0, 0.25))),
    "lie_down": Action(_GET_UP, reversed=True),
    "punch": Action((Take("punch", 0.3, 2.13, 1.15, 0.25),)),
    "roll": Action((Take("roll", 0.0, 2.0, 1.15),)),
    "run": Action((Take("run", 0.0, 0.8, 1.0, 0.1),)),
    "spin": Action((Take("spin", 0.6, 3.0, 1.4, 0.3),)),
    "walk": Action(_WALK),
    "walk_backwards": Action(_WALK, reversed=True),
}
"""The 14 classes, in the order of their labels."""


@dataclass(frozen=True)
class ClipSpec:
    """What one clip shows; everything else about it is drawn from `seed`.

    Attributes:
        action: Class name.
        take: The recording and the part of it.
        speed: Playing speed, 1 is real time.
        phase: Where in the action the clip starts, 0 to 1.
        azimuth_deg: Camera direction seen from above, from the recording's forward direction towards its right side.
        elevation_deg: How steeply the camera looks down.
        mirrored: Whether all frames are flipped left to right; the azimuth is that before the flip.
        reversed: Whether the frames are played backwards.
        seed: Of body, place, camera and grain.
    """

    action: str
    take: Take
    speed: float
    phase: float
    azimuth_deg: float
    elevation_deg: float
    mirrored: bool
    reversed: bool
    seed: int

    @property
    def sector(self) -> int:
        """Camera sector, 0 to 11."""
        return int(self.azimuth_deg // SECTOR_DEG) % 12


def clip_spec(split: str, label: str, index: int) -> ClipSpec:
    """Return what clip number `index` of a class shows.

    Raises:
        UnknownNameError: If the split or the class does not exist.
    """
    sectors, action = lookup(SPLIT_SECTORS, split, kind="split"), lookup(ACTIONS, label, kind="class")
    seed = int.from_bytes(hashlib.sha256(f"{split}/{label}/{index}".encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    take = action.takes[rng.integers(len(action.takes))]
    jitter = rng.uniform(0.85, 1.2) if take.blend_s else rng.uniform(0.88, 1.06)
    # every class sees the sectors of its split equally often
    azimuth = SECTOR_DEG * (sectors[index % len(sectors)] + 0.5) + rng.uniform(-12, 12)
    return ClipSpec(
        action=label,
        take=take,
        speed=float(take.speed * jitter),
        phase=float(rng.random()),
        azimuth_deg=float(azimuth),
        elevation_deg=float(2 + 30 * rng.random() ** 1.7),
        mirrored=bool(rng.random() < 0.5),
        reversed=action.reversed,
        seed=int(rng.integers(2**63)),
    )


def clip_motion(spec: ClipSpec) -> tuple[Array, Array]:
    """Return root positions `(48, 3)` and joint rotations `(48, 13, 4)` of a clip, before mirroring and reversing."""
    part = _part(spec.take)
    times_s = np.arange(NUM_FRAMES) / FPS * spec.speed
    if spec.take.blend_s:
        return repeat(part, times_s + spec.phase * part.duration_s, blend_s=spec.take.blend_s)
    slack_s = part.duration_s - times_s[-1]
    return interpolate(part, times_s + spec.phase * max(slack_s, 0) + 0.5 * min(slack_s, 0))


@functools.cache
def _part(take: Take) -> Recording:
    recording = load_recordings()[take.recording]
    return cut(recording, take.start_s, min(take.end_s, recording.duration_s))


def render(spec: ClipSpec, size_px: int) -> Frames:
    """Render a clip: RGB frames `(48, size_px, size_px, 3)`, uint8, 20 a second."""
    rng = np.random.default_rng(spec.seed)
    root, rotations = clip_motion(spec)
    body = draw_body(rng)
    posed = pose_solids(body, *forward_kinematics(root * body.leg_scale, rotations, body.offsets))
    # Other proportions than recorded would sink or float: the lowest moments of the clip touch the floor.
    root = root * body.leg_scale - np.array(
        [0.0, np.percentile((posed.centers[..., 1] - posed.radii).min(axis=1), 15), 0.0]
    )
    posed = pose_solids(body, *forward_kinematics(root, rotations, body.offsets))
    camera = draw_camera(
        rng, posed.centers, posed.radii, azimuth_deg=spec.azimuth_deg, elevation_deg=spec.elevation_deg, fps=FPS
    )
    scene = draw_scene(rng, root, camera.position)
    frames = render_clip(posed, camera, scene, size_px, rng)
    if spec.mirrored:
        frames = frames[:, :, ::-1]
    return np.ascontiguousarray(frames[::-1] if spec.reversed else frames)


def build_mocap_actions(
    output: Path,
    *,
    train_clips: int = 96,
    val_clips: int = 12,
    test_clips: int = 32,
    size_px: int = 144,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the action set into a folder and return the path of its `annotations.csv`.

    Each clip is 2.4 s at 20 frames a second, H.264, at `videos/<split>/<class>/<number>.mp4`. The annotations (columns
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
    with ProcessPoolExecutor(min(workers, len(clips)), mp_context=context) as pool:
        try:
            for future in as_completed([pool.submit(_render_to_file, output, *clip, size_px) for clip in clips]):
                future.result()
                yield
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _render_to_file(output: Path, split: str, label: str, index: int, size_px: int) -> None:
    frames = render(clip_spec(split, label, index), size_px)
    with replacing(_video_path(output, split, label, index)) as unfinished:
        write_video(unfinished, frames)


def write_video(path: Path, frames: Frames) -> None:
    """Write RGB frames `(F, H, W, 3)` as H.264 in MP4, 20 a second; the same frames give the same bytes."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
