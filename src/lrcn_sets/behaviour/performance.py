"""What a person does in a recording, and how they move: bouts of five behaviours with standing about in between.

The person stays in one place of a few metres, as an animal in an arena does: they turn towards its middle while they
move away from it. One behaviour passes into standing, and standing into the next, within the time that is background,
so a bout shows its behaviour from its first frame to its last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrcn_sets.mocap.clips import FPS, Take
from lrcn_sets.mocap.motion import (
    Array,
    about_y,
    cut,
    interpolate,
    load_recordings,
    quaternion_product,
    repeat,
    rotate_y,
    slerp,
)

BEHAVIOURS: dict[str, Take] = {
    "dance": Take("dance_b", 0.0, 2.53),
    "jump": Take("jump", 0.25, 1.55),
    "kick": Take("kick", 0.2, 1.3, 1.0, 0.3),
    "punch": Take("punch", 0.3, 2.13, 1.15, 0.25),
    "walk": Take("walk", 0.0, 1.2666),
}
"""Label -> the part of a motion recording that is played over and over."""

_STANDING = (("backflip", 0.0), ("jump", 0.08))
"""Moments of recordings in which a person just stands: standing about is on the way from one to the other."""
_TRAVELLING = frozenset({"jump", "walk"})
"""What leads somewhere; the rest is done on the spot."""
_BLEND_FRAMES = 4
_BOUT_S = (3.0, 9.0)
_BACKGROUND_S = (2.0, 7.0)
_DRIFT_FRAMES = 7
"""Drift is the mean over so many frames to either side."""
_TURN_RAD_S = 2.0
"""How fast the person turns back to the middle of the place."""
_NEAR_M = 0.3
"""This near to the middle they go straight on."""


@dataclass(frozen=True)
class Stretch:
    """Frames in which one thing is done.

    Attributes:
        label: A key of `BEHAVIOURS`; None for standing about.
        start: First frame.
        end: The frame after the last.
    """

    label: str | None
    start: int
    end: int


def draw_stretches(rng: np.random.Generator, num_frames: int) -> list[Stretch]:
    """Draw what is done when: behaviours in turn with the background, which comes first and last.

    Within five bouts no behaviour comes twice more often than another: all are drawn before one comes again.
    """
    stretches: list[Stretch] = []
    waiting: list[str] = []
    place = 0
    while True:
        rest, active = (round(rng.uniform(*limits) * FPS) for limits in (_BACKGROUND_S, _BOUT_S))
        if place + rest + active + round(_BACKGROUND_S[0] * FPS) > num_frames:
            stretches.append(Stretch(None, place, num_frames))
            return stretches
        if not waiting:
            waiting = [str(label) for label in rng.permutation(list(BEHAVIOURS))]
        stretches.append(Stretch(None, place, place + rest))
        stretches.append(Stretch(waiting.pop(), place + rest, place + rest + active))
        place += rest + active


def perform(rng: np.random.Generator, stretches: list[Stretch]) -> tuple[Array, Array]:
    """Return root positions `(F, 3)` and joint rotations `(F, 13, 4)` of a person who does these things in turn."""
    num_frames = stretches[-1].end
    root, rotations = _stand(rng, num_frames)
    place, heading = np.zeros(3), float(rng.uniform(-np.pi, np.pi))
    for stretch in stretches:
        here = slice(stretch.start, stretch.end)
        if stretch.label is None:
            root[here] += place * np.array([1.0, 0.0, 1.0])
            rotations[here, 0] = quaternion_product(about_y(heading), rotations[here, 0])
        else:
            moved, turned = _play(rng, BEHAVIOURS[stretch.label], stretch.end - stretch.start)
            if stretch.label in _TRAVELLING:
                root[here], rotations[here] = _steered(moved, turned, place, heading)
                place = root[stretch.end - 1]
            else:
                root[here], rotations[here] = _on_the_spot(moved, turned, place, heading)
            heading = float(_yaw(rotations[stretch.end - 1 : stretch.end, 0])[0])
    _blend(root, rotations, stretches)
    return root, rotations


def _stand(rng: np.random.Generator, num_frames: int) -> tuple[Array, Array]:
    """Return standing about at the origin, on the way between two poses, back and forth at an uneven pace."""
    poses = [interpolate(load_recordings()[name], np.array([time_s])) for name, time_s in _STANDING]
    steps = rng.uniform(0.3, 1.2, size=num_frames) * rng.choice([0.0, 1.0], size=num_frames, p=[0.3, 0.7])
    weight = (0.5 - 0.5 * np.cos(np.cumsum(steps) / FPS))[:, None]
    (first_root, first), (second_root, second) = poses
    height = (first_root[:, 1] * (1 - weight[:, 0]) + second_root[:, 1] * weight[:, 0])[:, None]
    root = np.concatenate([np.zeros_like(height), height, np.zeros_like(height)], axis=1)
    shape = (num_frames, *first.shape[1:])
    rotations = slerp(np.broadcast_to(first, shape), np.broadcast_to(second, shape), weight)
    rotations[:, 0] = quaternion_product(about_y(-_yaw(rotations[:, 0])), rotations[:, 0])
    return root, rotations


def _play(rng: np.random.Generator, take: Take, num_frames: int) -> tuple[Array, Array]:
    """Return a behaviour as recorded, from any moment of it on."""
    recording = load_recordings()[take.recording]
    part = cut(recording, take.start_s, min(take.end_s, recording.duration_s))
    times_s = np.arange(num_frames) / FPS * take.speed * rng.uniform(0.85, 1.2)
    return repeat(part, times_s + rng.random() * part.duration_s, blend_s=take.blend_s)


def _steered(root: Array, rotations: Array, place: Array, heading: float) -> tuple[Array, Array]:
    """Move a behaviour to a place and a heading, and bend its way back towards the origin.

    Every step of the way, and the body with it, is turned about the vertical by an angle that changes a little from
    frame to frame.
    """
    turn = heading - float(_yaw(rotations[:1, 0])[0])
    way, turns = [place * np.array([1.0, 0.0, 1.0])], [turn]
    for step in np.diff(root, axis=0) * np.array([1.0, 0.0, 1.0]):
        moved = rotate_y(step, turn)
        way.append(way[-1] + moved)
        back = -way[-1]
        if np.hypot(back[0], back[2]) > _NEAR_M and np.hypot(moved[0], moved[2]) > 1e-3:
            # about the vertical, counter-clockwise seen from above, x turns towards -z
            off = np.arctan2(-back[2], back[0]) - np.arctan2(-moved[2], moved[0])
            off = (off + np.pi) % (2 * np.pi) - np.pi
            turn += float(np.clip(off, -_TURN_RAD_S / FPS, _TURN_RAD_S / FPS))
        turns.append(turn)
    path = np.stack(way)
    path[:, 1] = root[:, 1]
    rotations = rotations.copy()
    rotations[:, 0] = quaternion_product(about_y(np.array(turns)), rotations[:, 0])
    return path, rotations


def _on_the_spot(root: Array, rotations: Array, place: Array, heading: float) -> tuple[Array, Array]:
    """Move a behaviour to a place and a heading, without its slow drift over the floor."""
    turn = heading - float(_yaw(rotations[:1, 0])[0])
    steps = np.arange(len(root))
    near = np.abs(steps[:, None] - steps) <= _DRIFT_FRAMES
    drift = (near @ root) / near.sum(axis=1, keepdims=True)
    path = rotate_y(root - drift, turn) + place
    path[:, 1] = root[:, 1]
    rotations = rotations.copy()
    rotations[:, 0] = quaternion_product(about_y(turn), rotations[:, 0])
    return path, rotations


def _blend(root: Array, rotations: Array, stretches: list[Stretch]) -> None:
    """Let each behaviour pass into the standing after it and come out of the standing before it."""
    eased = np.arange(1, _BLEND_FRAMES + 1) / (_BLEND_FRAMES + 1)
    eased = (eased * eased * (3 - 2 * eased))[:, None]
    for stretch in stretches:
        if stretch.label is None:
            continue
        after = slice(stretch.end, stretch.end + _BLEND_FRAMES)
        before = slice(stretch.start - _BLEND_FRAMES, stretch.start)
        for frames, other, weight in ((after, stretch.end - 1, 1 - eased), (before, stretch.start, eased)):
            pose = np.broadcast_to(rotations[other], rotations[frames].shape)
            root[frames] = root[frames] * (1 - weight) + root[other] * weight
            rotations[frames] = slerp(rotations[frames], pose, weight)


def _yaw(rotations: Array) -> Array:
    """Return how far rotations `(F, 4)` turn about the vertical, rad."""
    return np.asarray(2 * np.arctan2(rotations[:, 2], rotations[:, 0]), dtype=np.float64)
