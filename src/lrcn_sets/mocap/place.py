"""Draws the place of a rendered clip, floor and walls, with the shadow that the body casts on the floor."""

from __future__ import annotations

import numpy as np

from lrcn_sets.mocap.body import PosedSolids
from lrcn_sets.mocap.motion import Array, rotate_y
from lrcn_sets.mocap.scene import Image, Scene

_SHADOW_REACH_M = 2.8
_SHADOW_TEXELS = 72


def shadow_map(posed: PosedSolids, scene: Scene, frame: int) -> tuple[Image, float, float]:
    """Return how much light reaches the floor around the body, `(texels, texels)` by x and z, and its middle."""
    start, end = posed.start[frame], posed.end[frame]
    middle = start[0, [0, 2]]
    light = np.ones((_SHADOW_TEXELS, _SHADOW_TEXELS), np.float32)
    height = np.maximum(0.5 * (start[:, 1] + end[:, 1]), 0)
    radius = np.array([0.5 * (solid.start_radius + solid.end_radius) for solid in posed.solids])
    slant = scene.sun[[0, 2]] / scene.sun[1]
    sun_start, sun_end = (v[:, [0, 2]] - slant * v[:, 1:2] - middle for v in (start, end))
    _darken(light, sun_start, sun_end, radius * 1.2, 0.03 + 0.06 * height, np.full(len(radius), scene.shadow))
    low = height < 0.5  # the dim zone under what is near the floor
    low_start, low_end = (v[low][:, [0, 2]] - middle for v in (start, end))
    _darken(light, low_start, low_end, radius[low] * 1.25, np.full(low.sum(), 0.1), 0.55 * np.exp(-height[low] / 0.2))
    return light, float(middle[0]), float(middle[1])


def _darken(light: Image, start: Array, end: Array, radius: Array, soft: Array, strength: Array) -> None:
    """Darken `light` under thick lines from `start` to `end` `(S, 2)` whose edges fade over `soft` to either side."""
    scale = _SHADOW_TEXELS / (2 * _SHADOW_REACH_M)  # work in texels
    start, end = ((v + _SHADOW_REACH_M) * scale - 0.5 for v in (start, end))
    reach, soft = (radius + soft) * scale, soft * scale
    low = np.maximum(np.floor(np.minimum(start, end) - reach[:, None]), 0).astype(np.int64).tolist()
    high = np.minimum(np.ceil(np.maximum(start, end) + reach[:, None]), _SHADOW_TEXELS).astype(np.int64).tolist()
    steps = np.arange(_SHADOW_TEXELS, dtype=np.float32)
    direction = end - start
    per_length = direction / ((direction**2).sum(axis=1, keepdims=True) + 1e-9)
    lines = np.concatenate(
        [start, direction, per_length, np.stack([reach, 2 * soft, strength], axis=1)], axis=1
    ).tolist()
    for (x0, z0), (x1, z1), (ax, az, sx, sz, px, pz, far, fade, dark) in zip(low, high, lines, strict=True):
        if x0 >= x1 or z0 >= z1:
            continue
        x, z = steps[x0:x1, None] - ax, steps[z0:z1] - az
        along = np.minimum(np.maximum(x * px + z * pz, 0), 1)
        distance = np.sqrt((x - along * sx) ** 2 + (z - along * sz) ** 2)
        shade = np.minimum(np.maximum((far - distance) * (1 / fade), 0), 1) * dark
        patch = light[x0:x1, z0:z1]
        np.minimum(patch, 1 - shade, out=patch)


def draw_place(
    scene: Scene, eye: Array, rays: Array, focal: float, size: int, shadow: tuple[Image, float, float]
) -> Image:
    """Draw floor and walls as seen from `eye`, `(3, size, size)`."""
    grid = np.arange(size, dtype=np.float32)
    ox, oy, oz = rotate_y(eye, -scene.turn).tolist()
    room_rays = rotate_y(rays.T, -scene.turn).T.tolist()
    dx, dy, dz = (((across * grid + corner) + down * grid[:, None]).ravel() for across, down, corner in room_rays)
    tiny = np.float32(1e-6)
    to_far = np.where(dx > tiny, (scene.far - ox) / np.maximum(dx, tiny), np.inf)
    gap = np.where(dz > 0, np.float32(scene.sides[1] - oz), np.float32(-scene.sides[0] - oz))
    side = gap / np.where(abs(dz) < tiny, tiny, dz)
    to_wall = np.minimum(to_far, side)
    to_floor = np.where(dy < -tiny, -oy / np.minimum(dy, -tiny), np.inf)
    picture = np.empty((3, size * size), np.float32)
    pixel = 1 / (focal * size)

    floor = np.flatnonzero(to_floor < to_wall)
    if len(floor):
        t = to_floor[floor]
        x, z = ox + t * dx[floor], oz + t * dz[floor]
        footprint = t * pixel / np.sqrt(np.minimum(-dy[floor], 1))
        picture[:, floor] = scene.floor.look_up(x, z, footprint) * _shadow_at(shadow, x, z, scene.turn)
    wall = np.flatnonzero(to_floor >= to_wall)
    if len(wall):
        t = to_wall[wall]
        is_far = to_far[wall] <= side[wall]
        x, z = ox + t * dx[wall], oz + t * dz[wall]
        across = np.where(is_far, z, x + 7)
        light = np.where(is_far, *(np.float32(value) for value in scene.wall_light))
        picture[:, wall] = (
            scene.wall.look_up(across.astype(np.float32), oy + t * dy[wall], t * np.float32(pixel)) * light
        )
    return picture.reshape(3, size, size)


def _shadow_at(shadow: tuple[Image, float, float], x: Image, z: Image, turn: float) -> Image:
    light, middle_x, middle_z = shadow
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    texel = 2 * _SHADOW_REACH_M / _SHADOW_TEXELS
    column = ((cos * x + sin * z) - middle_x + _SHADOW_REACH_M) / texel - 0.5
    row = ((cos * z - sin * x) - middle_z + _SHADOW_REACH_M) / texel - 0.5
    result = np.ones(len(x), np.float32)
    near = np.flatnonzero((column > 0) & (row > 0) & (column < _SHADOW_TEXELS - 1) & (row < _SHADOW_TEXELS - 1))
    column, row = column[near], row[near]
    first_column, first_row = np.floor(column), np.floor(row)
    u, v = column - first_column, row - first_row
    texel_index = (first_column * _SHADOW_TEXELS + first_row).astype(np.int32)
    corners = [light.ravel().take(texel_index + step) for step in (0, _SHADOW_TEXELS, 1, _SHADOW_TEXELS + 1)]
    result[near] = (corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[2] * (1 - u) + corners[3] * u) * v
    return result
