"""The place of a rendered clip: a textured floor, walls or a horizon around it, boxes standing about, and the light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrcn_sets.mocap.motion import Array, rotate_y

Image = npt.NDArray[np.float32]

FLOOR_TEXELS = 256
WALL_TEXELS = (128, 256)


@dataclass(frozen=True)
class Texture:
    """A tileable picture at every size from full down to 4 texels, ready to be looked up without flicker.

    Attributes:
        texels: All sizes one after another, `(3, N)`, 0 to 255; colours come first, as NumPy is slow on short rows.
        height: Rows at full size.
        width: Columns at full size.
        size_m: Height and width of one tile, metres.
        repeats_up: Whether it repeats upwards too; else its first and last rows continue.
    """

    texels: Image
    height: int
    width: int
    size_m: tuple[float, float]
    repeats_up: bool

    @staticmethod
    def build(picture: Image, size_m: tuple[float, float], *, repeats_up: bool) -> Texture:
        """Prepare a picture `(height, width, 3)` whose sides are powers of two."""
        height, width = picture.shape[:2]
        levels = [picture]
        while min(levels[-1].shape[:2]) > 4:
            last = levels[-1]
            levels.append(0.25 * (last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]))
        texels = np.concatenate([level.reshape(-1, 3) for level in levels]).astype(np.float32).T
        return Texture(np.ascontiguousarray(texels), height, width, size_m, repeats_up)

    def look_up(self, across_m: Image, up_m: Image, footprint_m: Image) -> Image:
        """Return colours `(3, N)` at points on the surface, averaged over about `footprint_m`."""
        num_levels = int(np.log2(min(self.height, self.width) // 4)) + 1
        level = np.log2(np.maximum(footprint_m * (self.height / self.size_m[0]), 1)) + np.float32(0.5)
        level = np.minimum(level, num_levels - 1).astype(np.int32)
        rows_at = self.height >> np.arange(num_levels)
        columns_at = self.width >> np.arange(num_levels)
        start = np.concatenate([[0], np.cumsum(rows_at * columns_at)[:-1]]).astype(np.int32).take(level)
        rows, columns = rows_at.astype(np.int32).take(level), columns_at.astype(np.int32).take(level)
        x = across_m * (columns_at / self.size_m[1]).astype(np.float32).take(level) - np.float32(0.5)
        y = up_m * (rows_at / self.size_m[0]).astype(np.float32).take(level) - np.float32(0.5)
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        left = x0.astype(np.int32) & (columns - 1)
        right = (left + 1) & (columns - 1)
        below = y0.astype(np.int32)
        if self.repeats_up:
            below &= rows - 1
            above = (below + 1) & (rows - 1)
        else:
            above = np.minimum(np.maximum(below + 1, 0), rows - 1)
            below = np.minimum(np.maximum(below, 0), rows - 1)
        low, high = start + below * columns, start + above * columns
        corners = [low + left, low + right, high + left, high + right]
        weights = [(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy]
        color = np.zeros((3, len(x)), np.float32)
        for channel, texels in zip(color, self.texels, strict=True):
            for corner, weight in zip(corners, weights, strict=True):
                channel += texels.take(corner) * weight
        return color


@dataclass(frozen=True)
class Box:
    """A box on the floor: middle of its base `(3,)`, half sizes `(3,)`, turn about the vertical, colour."""

    base: Array
    half_size: Array
    turn: float
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """Where a clip plays.

    Attributes:
        turn: Direction of the far wall's normal, rad about the vertical; walls are given in axes turned by it.
        far: Distance of the far wall along that direction from the origin, metres.
        sides: Distances of the two side walls, metres.
        floor: Floor texture.
        wall: Texture of all walls; its top row continues as sky or ceiling.
        wall_light: Brightness of the far and the side walls.
        boxes: Things standing about.
        sun: Direction to the light, unit vector.
        sun_strength: Share of the light that comes from the sun, 0 to 1.
        shadow: How much a cast shadow darkens the floor, 0 to 1.
    """

    turn: float
    far: float
    sides: tuple[float, float]
    floor: Texture
    wall: Texture
    wall_light: tuple[float, float]
    boxes: tuple[Box, ...]
    sun: Array
    sun_strength: float
    shadow: float


def draw_scene(rng: np.random.Generator, path: Array, camera: Array) -> Scene:
    """Draw a place that holds the person's path `(F, 3)` and the camera's `(F, 3)`, the far wall facing the camera."""
    outdoors = bool(rng.random() < 0.5)
    view = path.mean(axis=0) - camera.mean(axis=0)
    turn = float(np.arctan2(-view[2], view[0]) + np.radians(rng.uniform(-40, 40)))
    room_path, room_camera = rotate_y(path, -turn), rotate_y(camera, -turn)
    reach = np.concatenate([room_path, room_camera])
    gap = rng.uniform(8, 45, size=3) if outdoors else rng.uniform(1.0, 7.0, size=3)
    far = float(max(room_path[:, 0].max() + gap[0], room_camera[:, 0].max() + 0.5))
    sides = (float(-reach[:, 2].min() + gap[1]), float(reach[:, 2].max() + gap[2]))
    elevation = np.radians(rng.uniform(28, 75))
    around = rng.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(elevation) * np.cos(around), np.sin(elevation), np.cos(elevation) * np.sin(around)])
    return Scene(
        turn=turn,
        far=far,
        sides=sides,
        floor=_draw_floor(rng, outdoors),
        wall=_draw_outdoors(rng) if outdoors else _draw_wall(rng),
        wall_light=(float(rng.uniform(0.75, 1.05)), float(rng.uniform(0.6, 1.05))),
        boxes=_draw_boxes(rng, path, camera, turn),
        sun=sun,
        sun_strength=float(rng.uniform(0.2, 0.65)),
        shadow=float(rng.uniform(0.15, 0.65)),
    )


def _draw_boxes(rng: np.random.Generator, path: Array, camera: Array, turn: float) -> tuple[Box, ...]:
    boxes = []
    for _ in range(rng.choice([0, 1, 2, 4], p=[0.4, 0.25, 0.2, 0.15])):
        around = path[rng.integers(len(path))]
        beyond = (around - camera.mean(axis=0)) * np.array([1.0, 0.0, 1.0])
        beyond /= np.linalg.norm(beyond)
        aside = rng.uniform(-1.2, 1.2)  # behind the person or beside them; in front stand only the narrow posts below
        base = around + rotate_y(beyond, aside) * rng.uniform(1.3, 5.0)
        half = rng.uniform((0.1, 0.1, 0.1), (0.6, 0.9, 0.6))
        boxes.append(Box(base * np.array([1.0, 0.0, 1.0]), half, turn + rng.uniform(-0.6, 0.6), _muted(rng)))
    if rng.random() < 0.06:
        between = path[rng.integers(len(path))] * 0.7 + camera[rng.integers(len(camera))] * 0.3
        half = np.array([rng.uniform(0.015, 0.045), 2.0, rng.uniform(0.015, 0.045)])
        boxes.append(Box(between * np.array([1.0, 0.0, 1.0]), half, turn, _muted(rng)))
    clear = [box for box in boxes if np.hypot(*(path - box.base)[:, ::2].T).min() > 0.6 + box.half_size[::2].max()]
    return tuple(clear)


def _muted(rng: np.random.Generator) -> tuple[float, float, float]:
    # surroundings are grey, brown, beige, bluish or green, hardly ever pink
    grey, warm, green_tint = rng.uniform(45, 235), rng.normal(0.05, 0.12), abs(rng.normal(0, 0.05))
    tint = np.array([warm - green_tint, 0.25 * warm + green_tint, -0.75 * warm - green_tint])
    red, green, blue = np.clip(grey * (1 + tint), 5, 250)
    return float(red), float(green), float(blue)


def _noise(rng: np.random.Generator, shape: tuple[int, int], roughness: float) -> Image:
    """Tileable noise of zero mean and unit deviation; roughness 0 is a smooth cloud, 2 is white."""
    rows = np.fft.fftfreq(shape[0])[:, None] * shape[0]
    columns = np.fft.rfftfreq(shape[1])[None] * shape[1]
    radius = np.hypot(rows, columns)
    radius[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * radius ** (roughness - 2)
    field = np.fft.irfft2(spectrum, s=shape)
    return np.asarray(field / field.std(), dtype=np.float32)


def _paint(picture: Image, color: tuple[float, float, float], where: npt.NDArray[np.bool_]) -> None:
    picture[where] = color


def _draw_floor(rng: np.random.Generator, outdoors: bool) -> Texture:
    size = FLOOR_TEXELS
    row, column = np.mgrid[:size, :size]
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = _muted(rng)
    kinds = (
        ("grass", "ground", "tiles", "plain", "lines")
        if outdoors
        else ("planks", "checker", "tiles", "carpet", "plain", "lines")
    )
    kind = kinds[rng.integers(len(kinds))]
    grain = rng.uniform(2, 9)
    if kind == "grass":
        picture[:] = (rng.uniform(70, 125), rng.uniform(90, 130), rng.uniform(45, 80))
        grain = rng.uniform(10, 22)
    elif kind == "planks":
        width = int(rng.choice([8, 16]))
        picture[:] = np.array([150, 105, 65]) * rng.uniform(0.5, 1.5) + rng.normal(0, 10, 3)
        shade = rng.normal(0, rng.uniform(4, 16), size=(size // width, 4))
        picture += shade[row // width, ((column + 37 * (row // width)) % size) * 4 // size][..., None]
        picture[row % width == 0] *= 0.75
    elif kind in ("checker", "tiles"):
        width = int(rng.choice([16, 32, 64]))
        if kind == "checker":
            _paint(picture, _muted(rng), (row // width + column // width) % 2 == 0)
        else:
            picture += rng.normal(0, 8, size=(size // width, size // width))[row // width, column // width][..., None]
            _paint(picture, _muted(rng), (row % width < 2) | (column % width < 2))
    elif kind == "carpet":
        other = np.array(_muted(rng))
        wave = np.sin(2 * np.pi * row * rng.integers(2, 12) / size) * np.sin(
            2 * np.pi * column * rng.integers(2, 12) / size
        )
        picture += (wave[..., None] > rng.uniform(0, 0.6)) * (other - picture) * rng.uniform(0.3, 1)
    elif kind == "lines":
        place = rng.integers(0, size, size=2)
        _paint(picture, (235, 235, 230), (abs(row - place[0]) < 3) | (abs(column - place[1]) < 3))
    picture += _noise(rng, (size, size), rng.uniform(0.2, 1.4))[..., None] * grain
    picture += _noise(rng, (size, size), 0.0)[..., None] * rng.uniform(0, 9)
    side_m = float(rng.uniform(3.5, 9))
    return Texture.build(np.clip(picture, 0, 255), (side_m, side_m), repeats_up=True)


def _draw_wall(rng: np.random.Generator) -> Texture:
    """An indoor wall with what hangs on it and stands before it; row 0 is at the floor."""
    rows, columns = WALL_TEXELS
    height_m = float(rng.uniform(2.6, 6.0))
    row, column = np.mgrid[:rows, :columns]
    picture = np.empty((rows, columns, 3), np.float32)
    picture[:] = _muted(rng) if rng.random() < 0.6 else np.array([210, 205, 198]) * rng.uniform(0.7, 1.15)
    style = rng.integers(5)
    if style == 1:
        brick_rows, brick_columns = row // 4, (column + 8 * ((row // 4) % 2)) // 16
        picture += rng.normal(0, 12, size=(rows, columns))[brick_rows, brick_columns % 16][..., None]
        picture[(row % 4 == 0) | ((column + 8 * ((row // 4) % 2)) % 16 == 0)] *= 0.8
    elif style == 2:
        width = int(rng.choice([8, 16, 32]))
        _paint(picture, _muted(rng), (column // width) % 2 == 0)
    elif style == 3:
        _paint(picture, _muted(rng), row < rng.uniform(0.2, 0.5) * rows)
    for _ in range(rng.integers(0, 9)):
        left, bottom = int(rng.integers(columns)), int(rng.choice([0, 30, 50, 70]) * rng.uniform(0.7, 1.3))
        width, tall = int(rng.integers(8, 60)), int(rng.integers(10, 70))
        inside = ((column - left) % columns < width) & (row >= bottom) & (row < bottom + tall)
        _paint(picture, _muted(rng), inside)
        rim = inside & (
            ((column - left) % columns < 2)
            | ((column - left) % columns >= width - 2)
            | (row < bottom + 2)
            | (row >= bottom + tall - 2)
        )
        _paint(picture, _muted(rng), rim)
        if rng.random() < 0.4:
            picture[inside] += rng.normal(0, 25, size=(rows // 8, columns // 8))[row // 8, column // 8][inside][:, None]
    if rng.random() < 0.6:
        _paint(picture, _muted(rng), row < 4)
    picture += _noise(rng, (rows, columns), 0.8)[..., None] * rng.uniform(1, 6)
    picture *= np.linspace(rng.uniform(0.75, 1.05), rng.uniform(0.85, 1.15), rows)[:, None, None]
    ceiling = rng.uniform(120, 240)
    picture[-4:] = ceiling
    return Texture.build(np.clip(picture, 0, 255), (height_m, 2 * height_m), repeats_up=False)


def _draw_outdoors(rng: np.random.Generator) -> Texture:
    """A sky above buildings, trees, hills or a fence; row 0 is at the ground."""
    rows, columns = WALL_TEXELS
    height_m = float(rng.uniform(14, 30))
    row, column = np.mgrid[:rows, :columns]
    sky = np.array([150, 185, 225]) if rng.random() < 0.6 else np.array([200, 202, 205])
    picture = np.empty((rows, columns, 3), np.float32)
    picture[:] = sky * rng.uniform(0.75, 1.1)
    picture += (1 - np.linspace(0, 1, rows))[:, None, None] * rng.uniform(0, 45)
    picture += np.maximum(_noise(rng, (rows, columns), 0.0), 0)[..., None] * rng.uniform(0, 18)
    hills = rng.uniform(5, 45) + _noise(rng, (1, columns), 0.4)[0] * rng.uniform(2, 10)
    far_color = np.array([rng.uniform(70, 140), rng.uniform(95, 150), rng.uniform(70, 140)])
    below = row < hills[column]
    picture[below] = (far_color + _noise(rng, (rows, columns), 1.0)[..., None] * rng.uniform(3, 14))[below]
    if rng.random() < 0.6:
        for _ in range(rng.integers(2, 10)):
            left, width, tall = (int(rng.integers(*span)) for span in ((0, columns), (14, 60), (25, 110)))
            inside = ((column - left) % columns < width) & (row < tall)
            _paint(picture, _muted(rng), inside)
            step = int(rng.integers(5, 11))
            windows = inside & ((column - left) % step < step // 2) & (row % step < step // 2 + 1) & (row > 3)
            _paint(picture, _muted(rng), windows)
    if rng.random() < 0.55:
        for _ in range(rng.integers(2, 12)):
            middle, size, trunk = rng.integers(columns), rng.uniform(6, 20), rng.uniform(10, 45)
            away = (column - middle + columns // 2) % columns - columns // 2
            crown = (away / size) ** 2 + ((row - trunk) / (0.8 * size)) ** 2 + 0.35 * _noise(
                rng, (rows, columns), 1.0
            ) < 1
            _paint(picture, (70, 52, 40), (abs(away) < 1.5) & (row < trunk))
            leaves = np.array([rng.uniform(35, 90), rng.uniform(70, 125), rng.uniform(25, 65)])
            picture[crown] = (leaves + _noise(rng, (rows, columns), 1.3)[..., None] * 14)[crown]
    if rng.random() < 0.3:
        _paint(picture, _muted(rng), (row < rng.uniform(4, 14)) & ((column % 8 < 5) | (rng.random() < 0.4)))
    picture += _noise(rng, (rows, columns), 1.0)[..., None] * rng.uniform(0.5, 4)
    return Texture.build(np.clip(picture, 0, 255), (height_m, 2 * height_m), repeats_up=False)
