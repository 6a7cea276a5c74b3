"""The packaged motion recordings: read, repeat, and turn into joint positions (forward kinematics).

Axes are those of the recordings: x forward, y up, z to the person's right, metres, seconds. Rotations are unit
quaternions `(w, x, y, z)`; a joint's rotation is relative to its parent.

Source of the recordings and of the joint offsets: the DeepMimic humanoid (Peng et al. 2018, arXiv:1804.02717), as
packaged in pybullet 3.2.7; see NOTICE.
"""

from __future__ import annotations

import functools
import json
import lzma
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

JOINTS = (
    "root",
    "chest",
    "neck",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_shoulder",
    "right_elbow",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_shoulder",
    "left_elbow",
)
"""Joints in the order of the recordings' columns."""

PARENTS = (-1, 0, 1, 0, 3, 4, 1, 6, 0, 8, 9, 1, 11)
OFFSETS: Array = np.array(
    [
        (0, 0, 0),
        (0, 0.236151, 0),
        (0, 0.223894, 0),
        (0, 0, 0.084887),
        (0, -0.421546, 0),
        (0, -0.40987, 0),
        (-0.02405, 0.24350, 0.18311),
        (0, -0.274788, 0),
        (0, 0, -0.084887),
        (0, -0.421546, 0),
        (0, -0.40987, 0),
        (-0.02405, 0.24350, -0.18311),
        (0, -0.274788, 0),
    ],
    dtype=np.float64,
)
"""Each joint in its parent's frame, metres."""

HINGES = frozenset({4, 7, 9, 12})
"""Knees and elbows: recorded as one angle about z."""

_STRAIGHTEN_BELOW_RAD = np.radians(45)


@dataclass(frozen=True)
class Recording:
    """One recorded motion, sampled evenly.

    Attributes:
        step_s: Time between two rows.
        root: Position of the pelvis, `(N, 3)`.
        rotations: One quaternion a joint, in the order of `JOINTS`, `(N, 13, 4)`.
    """

    step_s: float
    root: Array
    rotations: Array

    @property
    def duration_s(self) -> float:
        """Time from the first row to the last."""
        return self.step_s * (len(self.root) - 1)


@functools.cache
def load_recordings() -> dict[str, Recording]:
    """Return the 15 recordings that ship with the package, by name."""
    packed = files("lrcn_sets").joinpath("assets/mocap_motions.json.xz").read_bytes()
    return {
        name: Recording(entry["step_s"], *_split_columns(np.array(entry["frames"], dtype=np.float64)))
        for name, entry in json.loads(lzma.decompress(packed)).items()
    }


def _split_columns(rows: Array) -> tuple[Array, Array]:
    rotations = np.zeros((len(rows), len(JOINTS), 4))
    column = 3
    for joint in range(len(JOINTS)):
        if joint in HINGES:
            half = rows[:, column] / 2
            rotations[:, joint, 0], rotations[:, joint, 3] = np.cos(half), np.sin(half)
            column += 1
        else:
            rotations[:, joint] = rows[:, column : column + 4]
            column += 4
    return rows[:, :3].copy(), rotations / np.linalg.norm(rotations, axis=-1, keepdims=True)


def cut(recording: Recording, start_s: float, end_s: float) -> Recording:
    """Return the part between two times, resampled with the recording's own step."""
    num_steps = max(1, round((end_s - start_s) / recording.step_s))
    root, rotations = interpolate(recording, np.linspace(start_s, end_s, num_steps + 1))
    return Recording((end_s - start_s) / num_steps, root, rotations)


def interpolate(recording: Recording, times_s: Array) -> tuple[Array, Array]:
    """Return root `(F, 3)` and rotations `(F, 13, 4)` at any times; outside the recording its ends hold."""
    position = np.clip(np.asarray(times_s) / recording.step_s, 0, len(recording.root) - 1)
    before = np.minimum(position.astype(np.int64), len(recording.root) - 2)
    weight = (position - before)[:, None]
    root = recording.root[before] * (1 - weight) + recording.root[before + 1] * weight
    return root, slerp(recording.rotations[before], recording.rotations[before + 1], weight)


def repeat(recording: Recording, times_s: Array, *, blend_s: float) -> tuple[Array, Array]:
    """Play the motion over and over: root `(F, 3)` and rotations `(F, 13, 4)` at `times_s >= 0`.

    Each round starts where and in the direction in which the last one ended, so a walk walks on. A small turn over one
    round (below 45 degrees, an accident of the recording) is spread out and removed; a larger one belongs to the motion
    and adds up. Over the last `blend_s` of a round the pose passes into that of the next round's start.
    """
    recording = _straightened(recording)
    times = np.asarray(times_s, dtype=np.float64)
    rounds = np.floor(times / recording.duration_s)
    phase_s = times - rounds * recording.duration_s
    root, rotations = interpolate(recording, phase_s)

    turn = _heading_change(recording)
    start, end = recording.root[0], recording.root[-1]
    weight = np.clip((phase_s - (recording.duration_s - blend_s)) / blend_s, 0, 1)
    weight = (weight * weight * (3 - 2 * weight))[:, None]
    next_root = np.array([end[0], start[1], end[2]])
    next_rotations = recording.rotations[:1].copy()
    next_rotations[:, 0] = quaternion_product(about_y(turn), next_rotations[:, 0])
    root[:, 1:2] += (next_root - end)[1] * weight
    rotations = slerp(rotations, np.broadcast_to(next_rotations, rotations.shape), weight)

    per_round = (end - start) * np.array([1.0, 0.0, 1.0])
    for number in range(1, int(rounds.max(initial=0)) + 1):
        here = rounds == number
        offset = sum((rotate_y(per_round, turn * earlier) for earlier in range(number)), np.zeros(3))
        root[here] = rotate_y(root[here] - start, turn * number) + start + offset
        rotations[here, 0] = quaternion_product(about_y(turn * number), rotations[here, 0])
    return root, rotations


def _straightened(recording: Recording) -> Recording:
    turn = _heading_change(recording)
    if abs(turn) > _STRAIGHTEN_BELOW_RAD:
        return recording
    angles = -turn * np.linspace(0, 1, len(recording.root))
    rotations = recording.rotations.copy()
    rotations[:, 0] = quaternion_product(about_y(angles), rotations[:, 0])
    # the path is bent back by half the angle: a walker who turns by `turn` has travelled along the mean direction
    root = rotate_y(recording.root - recording.root[0], angles / 2) + recording.root[0]
    return replace(recording, root=root, rotations=rotations)


def _heading_change(recording: Recording) -> float:
    first, last = recording.rotations[0, 0], recording.rotations[-1, 0]
    change = quaternion_product(last, first * np.array([1.0, -1.0, -1.0, -1.0]))
    angle = 2 * np.arctan2(change[2], change[0])
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def about_y(angle: Array | float) -> Array:
    """Return the rotation about the vertical by `angle` (rad, counter-clockwise seen from above), `(..., 4)`."""
    half = np.asarray(angle) / 2
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, np.sin(half), zero], axis=-1)


def rotate_y(points: Array, angle: Array | float) -> Array:
    """Turn points `(..., 3)` about the vertical by `angle` (rad, counter-clockwise seen from above)."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return np.stack([cos * x + sin * z, y + 0 * cos, cos * z - sin * x], axis=-1)


def quaternion_product(left: Array, right: Array) -> Array:
    """Return the rotation `right` followed by `left`, `(..., 4)`."""
    w1, x1, y1, z1 = np.moveaxis(left, -1, 0)
    w2, x2, y2, z2 = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        axis=-1,
    )


def slerp(start: Array, end: Array, weight: Array) -> Array:
    """Return the rotation at `weight` of the shorter way from `start` to `end`.

    Args:
        start: Quaternions `(F, J, 4)`.
        end: Quaternions `(F, J, 4)`.
        weight: `(F, 1)`, 0 to 1.
    """
    dot = np.sum(start * end, axis=-1)
    end = np.where(dot[..., None] < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    sine = np.maximum(np.sin(angle), 1e-9)
    near = angle < 1e-4
    first = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / sine)
    second = np.where(near, weight, np.sin(weight * angle) / sine)
    mixed = start * first[..., None] + end * second[..., None]
    return np.asarray(mixed / np.linalg.norm(mixed, axis=-1, keepdims=True), dtype=np.float64)


def rotation_matrices(quaternions: Array) -> Array:
    """Return `(..., 3, 3)` for unit quaternions `(..., 4)`."""
    w, x, y, z = np.moveaxis(quaternions, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def forward_kinematics(root: Array, rotations: Array, offsets: Array = OFFSETS) -> tuple[Array, Array]:
    """Return where every joint is and how it is turned.

    Args:
        root: Pelvis positions `(F, 3)`.
        rotations: Joint rotations relative to the parent, `(F, 13, 4)`.
        offsets: Each joint in its parent's frame, `(13, 3)`; longer limbs have longer offsets.

    Returns:
        Joint positions `(F, 13, 3)` and world rotations `(F, 13, 3, 3)`.
    """
    local = rotation_matrices(rotations)
    positions, world = np.empty((*local.shape[:2], 3)), np.empty_like(local)
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            positions[:, joint], world[:, joint] = root, local[:, joint]
        else:
            positions[:, joint] = positions[:, parent] + world[:, parent] @ offsets[joint]
            world[:, joint] = world[:, parent] @ local[:, joint]
    return positions, world
