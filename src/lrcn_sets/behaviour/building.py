"""Long recordings with known bouts, to try what is made for hours of video: rendered on the spot, no download.

Every recording is a function of its number and length alone. Each shows a person of its own, in clothes, in a place and
from a camera of its own, so that no person and no place is in two splits. There is one motion recording a behaviour: a
score says how a model copes with new views, bodies and places and with finding borders, not with new performers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import ConfigError
from lrcn.files import replacing
from lrcn_sets.behaviour.performance import BEHAVIOURS, Stretch, draw_stretches, perform
from lrcn_sets.building import build_missing, building_in, check_counts
from lrcn_sets.mocap.actions import check_size, write_clip
from lrcn_sets.mocap.body import PosedSolids, draw_body, pose_solids
from lrcn_sets.mocap.camera import CameraPath, draw_camera
from lrcn_sets.mocap.clips import FPS
from lrcn_sets.mocap.motion import forward_kinematics
from lrcn_sets.mocap.render import Frames, render_clip
from lrcn_sets.mocap.scene import Scene, draw_scene

GENERATOR_VERSION = 1
"""Raised when the recording of a given number changes."""

_CHUNK = 200
"""Frames rendered at once: a recording's floats need not fit into memory together."""


def build_behaviour(
    output: Path,
    *,
    recordings: int = 6,
    minutes: float = 2.0,
    size_px: int = 128,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Render recordings into a folder and return the path of its `annotations.csv`.

    The recordings are `recordings/<number>.mp4`, H.264, 10 frames a second. Beside the CSV file (columns path, label,
    start_s, end_s, subject, split, ...) stands a BORIS project of the same bouts, `annotations.boris`. The last third
    of the recordings is for testing, a sixth before it for validation. An interrupted build goes on where it stopped.

    Args:
        output: Folder to build in; created if missing.
        recordings: How many.
        minutes: Length of each, at least 0.5.
        size_px: Side of the square frames, even.
        workers: Processes to render in; by default one a processor.
        on_progress: Called with the recordings done and the recordings in all, at the start and after each.

    Raises:
        ConfigError: If a number is out of range.
        DataError: If the folder cannot be written or holds something else.
    """
    check_counts({"recordings": recordings}, "recordings", workers)
    check_size(size_px)
    if not 0.5 <= minutes <= 60:
        raise ConfigError(f"minutes must be 0.5 to 60, got {minutes}")
    num_frames = round(minutes * 60 * FPS)
    mark = {"generator": "behaviour", "version": GENERATOR_VERSION, "frames": num_frames, "size_px": size_px}
    with building_in(output, mark, "set of recordings"):
        paths = [output / "recordings" / f"{number:02d}.mp4" for number in range(1, recordings + 1)]
        build_missing(
            _render_to_file,
            [(number, num_frames, size_px) for number in range(recordings)],
            paths,
            workers=workers,
            on_progress=on_progress,
        )
        known = tuple(
            _recording(path, number, recordings, stretches_of(number, num_frames)) for number, path in enumerate(paths)
        )
        num_events = sum(len(recording.bouts) for recording in known)
        annotations = Annotations("behaviour", known, tuple(BEHAVIOURS), num_events=num_events)
        write_annotations(annotations, output / "annotations.boris")
        write_annotations(annotations, output / "annotations.csv")
    return output / "annotations.csv"


def _recording(path: Path, number: int, count: int, stretches: list[Stretch]) -> Recording:
    person = f"person {number + 1}"
    bouts = tuple(
        Bout(stretch.label, stretch.start / FPS, stretch.end / FPS, person)
        for stretch in stretches
        if stretch.label is not None
    )
    return Recording(
        path.name,
        path,
        bouts,
        looked_at=WHOLE,
        duration_s=stretches[-1].end / FPS,
        fps=float(FPS),
        split=split_of(number, count),
        group=person,
    )


def split_of(number: int, count: int) -> str:
    """Return the split of a recording of so many: `train`, then a sixth of them `val`, then a third `test`."""
    num_test = max(1, count // 3) if count > 1 else 0
    num_val = count // 6
    return "test" if number >= count - num_test else "val" if number >= count - num_test - num_val else "train"


def _rng(number: int, what: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"behaviour/{number}/{what}".encode()).digest()[:8]))


def stretches_of(number: int, num_frames: int) -> list[Stretch]:
    """Return what is done in a recording."""
    return draw_stretches(_rng(number, "stretches"), num_frames)


def stage(number: int, num_frames: int) -> tuple[PosedSolids, CameraPath, Scene]:
    """Return the body over time, the camera and the place of a recording."""
    rng = _rng(number, "stage")
    root, rotations = perform(rng, stretches_of(number, num_frames))
    body = draw_body(rng, None)
    root = root * body.leg_scale
    posed = pose_solids(body, *forward_kinematics(root, rotations, body.offsets))
    root[:, 1] -= np.percentile((posed.centers[..., 1] - posed.radii).min(axis=1), 15)  # feet on the floor
    posed = pose_solids(body, *forward_kinematics(root, rotations, body.offsets))
    camera = draw_camera(
        rng,
        posed.centers,
        posed.radii,
        azimuth_deg=float(rng.uniform(0, 360)),
        elevation_deg=float(rng.uniform(5, 25)),
        fps=FPS,
    )
    return posed, camera, draw_scene(rng, root, camera.position)


def render_recording(number: int, num_frames: int, size_px: int) -> Frames:
    """Render a recording: RGB frames `(num_frames, size_px, size_px, 3)`, uint8, 10 a second."""
    posed, camera, scene = stage(number, num_frames)
    frames = np.empty((num_frames, size_px, size_px, 3), np.uint8)
    for start in range(0, num_frames, _CHUNK):
        here = slice(start, start + _CHUNK)
        part = replace(posed, start=posed.start[here], end=posed.end[here], to_local=posed.to_local[here])
        seen = replace(camera, position=camera.position[here], axes=camera.axes[here])
        # each with the same draws of cloth and camera: it is one person and one film
        frames[here] = render_clip(part, seen, scene, size_px, _rng(number, "camera"))
    return frames


def _render_to_file(path: Path, number: int, num_frames: int, size_px: int) -> None:
    frames = render_recording(number, num_frames, size_px)
    with replacing(path) as unfinished:
        write_clip(unfinished, frames)
