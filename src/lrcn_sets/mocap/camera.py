"""The camera of a rendered clip: where it stands, how it follows the person, how large the person appears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lrcn_sets.mocap.motion import Array

SECTOR_DEG = 30.0
_EDGE = 0.485  # half the frame, less a margin
_SMALLEST = 0.45  # a camera that shows the person smaller than this, as a fraction of the frame, pans all the way


@dataclass(frozen=True)
class CameraPath:
    """A pinhole camera over time.

    Attributes:
        position: `(F, 3)` metres.
        axes: Rows right, up, forward, `(F, 3, 3)`.
        focal: Focal length as a fraction of the frame's side.
        shift: Where the optical axis meets the frame, as fractions of its side from the middle: right, up.
    """

    position: Array
    axes: Array
    focal: float
    shift: tuple[float, float]

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return where points `(F, N, 3)` are seen, `(F, N, 2)` (-0.5 to 0.5, right and up), and their depths."""
        seen = np.einsum("fij,fnj->fni", self.axes, points - self.position[:, None])
        depth = np.maximum(seen[..., 2], 1e-3)
        return seen[..., :2] / depth[..., None] * self.focal + np.array(self.shift), depth


def draw_camera(
    rng: np.random.Generator, balls: Array, radii: Array, *, azimuth_deg: float, elevation_deg: float, fps: float
) -> CameraPath:
    """Place a camera so that the whole person stays in the frame and is seen from within one azimuth sector.

    The azimuth is counted from the recording's forward direction towards the person's right. Most cameras stand, as on
    a tripod, and let the person move through the frame, or pan after them, in part or all the way; some dolly along.
    Where a standing camera would leave the sector, or one that does not follow would make the person tiny, it dollies
    or pans as much as it must. Its path has no sense of time: played backwards it is as likely.

    Args:
        rng: Source of all draws.
        balls: Centres of the balls that must stay visible, `(F, N, 3)`.
        radii: Their radii, `(N,)`.
        azimuth_deg: Direction of the camera at the middle of the path.
        elevation_deg: Angle above the horizontal at which it looks down.
        fps: Frames per second, for smoothing.
    """
    focal = float(0.5 / np.tan(np.radians(rng.uniform(18, 45)) / 2))
    target_size = rng.uniform(0.66, 0.95)
    dolly = rng.choice([0.0, rng.uniform(0.3, 0.8), 1.0], p=[0.75, 0.15, 0.1])
    pan = rng.choice([0.0, rng.uniform(0.2, 0.7), 1.0], p=[0.45, 0.4, 0.15])
    center = 0.5 * (balls.min(axis=1) + balls.max(axis=1))
    smooth = _smooth(center, rng.uniform(0.15, 0.6) * fps)
    smooth[:, 1] = _mix(smooth[:, 1].mean(), smooth[:, 1], rng.uniform(0, 1))
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    outward = np.array([np.cos(elevation) * np.cos(azimuth), np.sin(elevation), np.cos(elevation) * np.sin(azimuth)])
    shake = np.radians(rng.choice([0.0, rng.uniform(0.1, 0.7)], p=[0.6, 0.4])) * _wobble(rng, len(balls), fps)
    roll = np.radians(rng.normal(0, 1.2))
    offset = rng.random(2)

    def build(distance: float, dolly: float, pan: float, shift: tuple[float, float] = (0.0, 0.0)) -> CameraPath:
        middle = 0.5 * (smooth.min(axis=0) + smooth.max(axis=0))
        position = _mix(middle, smooth, dolly) + distance * outward
        aim = _mix(middle, smooth, max(pan, dolly))
        return CameraPath(position, _look_at(aim - position, shake, roll), focal, shift)

    def fit(dolly: float, pan: float) -> float:
        distance = 4.0
        for _ in range(8):
            low, high = _bounds(build(distance, dolly, pan), balls, radii)
            spread = (high.max(axis=0) - low.min(axis=0)).max() / (2 * _EDGE)
            distance = float(np.clip(distance * max((high - low).max() / target_size, spread), 1.2, 60.0))
        return distance

    if pan < 1:
        low, high = _bounds(build(fit(dolly, pan), dolly, pan), balls, radii)
        pan = 1.0 if (high - low).max() < _SMALLEST else pan
    allowed = SECTOR_DEG / 2 - abs((azimuth_deg % SECTOR_DEG) - SECTOR_DEG / 2)
    for _ in range(6):
        drift = _drift_deg(build(fit(dolly, pan), dolly, pan), smooth, azimuth_deg)
        if drift <= allowed:
            break
        dolly = 1 - (1 - dolly) * 0.8 * allowed / drift
    else:
        dolly = 1.0
    distance = fit(dolly, pan)
    low, high = _bounds(build(distance, dolly, pan), balls, radii)
    low, high = low.min(axis=0), high.max(axis=0)
    shift = _mix(-_EDGE - low, _EDGE - high, offset) if (high - low).max() < 2 * _EDGE else -0.5 * (low + high)
    return build(distance, dolly, pan, (float(shift[0]), float(shift[1])))


def _mix(first: Array, second: Array, weight: Array | float) -> Array:
    return np.asarray(first * (1 - weight) + second * weight, dtype=np.float64)


def _bounds(camera: CameraPath, balls: Array, radii: Array) -> tuple[Array, Array]:
    """Return the left lower and right upper corner of what is seen of the balls, each `(F, 2)`."""
    seen, depth = camera.project(balls)
    radius = (radii * camera.focal / depth)[..., None]
    return (seen - radius).min(axis=1), (seen + radius).max(axis=1)


def _drift_deg(camera: CameraPath, path: Array, azimuth_deg: float) -> float:
    away = camera.position - path
    angles = np.degrees(np.arctan2(away[:, 2], away[:, 0])) - azimuth_deg
    return float(np.abs((angles + 180) % 360 - 180).max())


def _smooth(path: Array, sigma_frames: float) -> Array:
    """Gaussian filter over time that treats both directions alike; straight motion passes through unchanged."""
    radius = int(3 * sigma_frames) + 1
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_frames) ** 2)
    kernel /= kernel.sum()
    before = 2 * path[:1] - path[1 : radius + 1][::-1]
    after = 2 * path[-1:] - path[-radius - 1 : -1][::-1]
    short = radius - len(before)
    padded = np.concatenate([np.repeat(before[:1], short, 0), before, path, after, np.repeat(after[-1:], short, 0)])
    return np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(path.shape[1])], axis=-1)


def _wobble(rng: np.random.Generator, num_frames: int, fps: float) -> Array:
    """Hand tremor: two angles over time, `(F, 2)`, of about unit size."""
    times_s = np.arange(num_frames) / fps
    frequency_hz = rng.uniform(0.3, 4.0, size=(6, 2))
    phase = rng.uniform(0, 2 * np.pi, size=(6, 2))
    waves = np.sin(2 * np.pi * frequency_hz * times_s[:, None, None] + phase) / np.sqrt(1 + frequency_hz**2)
    return np.asarray(waves.sum(axis=1), dtype=np.float64)


def _look_at(direction: Array, shake: Array, roll: float) -> Array:
    forward = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    forward = forward + shake[:, :1] * right + shake[:, 1:] * np.array([0.0, 1.0, 0.0])
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    up = np.cross(right, forward)
    right, up = np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right
    return np.stack([right, up, forward], axis=1)
