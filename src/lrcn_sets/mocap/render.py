"""Draws the clips: a body of rounded cones by ray casting, twice as fine as the picture, over a textured place.

Everything is plain NumPy in float32. Each solid is cast only inside the rectangle that it covers, so a frame of
144 x 144 pixels takes a few milliseconds on one core.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lrcn_sets.mocap.body import PosedSolids, Solid
from lrcn_sets.mocap.camera import CameraPath
from lrcn_sets.mocap.motion import Array, rotate_y
from lrcn_sets.mocap.place import draw_place, shadow_map
from lrcn_sets.mocap.scene import Box, Image, Scene

Frames = npt.NDArray[np.uint8]
Rectangles = npt.NDArray[np.int64]

_FINE = 2  # body samples a pixel and axis


def render_clip(posed: PosedSolids, camera: CameraPath, scene: Scene, size_px: int, rng: np.random.Generator) -> Frames:
    """Render all frames of a clip.

    Args:
        posed: The body over time.
        camera: The camera over as many frames.
        scene: Place and light.
        size_px: Side of the square frames.
        rng: Draws the cloth pattern and the camera's grain, blur and exposure.

    Returns:
        RGB frames `(F, size_px, size_px, 3)`, uint8.
    """
    cloth = rng.standard_normal((64, 64)).astype(np.float32)
    cloth = cloth + np.roll(cloth, 1, 0) + np.roll(cloth, 1, 1) + np.roll(cloth, (1, 1), (0, 1))
    if rng.random() < 0.5:
        cloth[:] = np.sign(np.sin(np.arange(64) * 2 * np.pi * rng.integers(4, 12) / 64))[:, None] * 2
    rays = _ray_matrices(camera, size_px)
    caster = BodyCaster(posed, camera, scene, size_px, cloth)
    frames = np.empty((len(posed.start), 3, size_px, size_px), np.float32)
    for index in range(len(frames)):
        shadow = shadow_map(posed, scene, index)
        frames[index] = draw_place(scene, camera.position[index], rays[index], camera.focal, size_px, shadow)
        caster.draw_over(frames[index], index)
    return _develop(frames, rng)


def _ray_matrices(camera: CameraPath, size: int) -> Array:
    """Return `(F, 3, 3)`: times (column, row, 1) gives the ray through a pixel, forward component 1."""
    right, up, forward = camera.axes[:, 0], camera.axes[:, 1], camera.axes[:, 2]
    across, along = right / (camera.focal * size), up / (camera.focal * size)
    corner = forward + across * (0.5 - size * (0.5 + camera.shift[0])) + along * (size * (0.5 - camera.shift[1]) - 0.5)
    return np.stack([across, -along, corner], axis=-1)


class BodyCaster:
    """Casts the solids and boxes of one frame after another, `_FINE` samples a pixel and axis.

    Attributes:
        depth: Distance along the optical axis of what each sample shows, metres; kept for the rows of the last frame.
    """

    def __init__(self, posed: PosedSolids, camera: CameraPath, scene: Scene, size_px: int, cloth: Image) -> None:
        self.posed, self.scene, self.cloth = posed, scene, cloth
        self.size = size = size_px * _FINE
        self.rays = _ray_matrices(camera, size)
        self.eye = camera.position
        self.local_rays = posed.to_local @ self.rays[:, None]
        self.local_eye = np.einsum("fsij,fsj->fsi", posed.to_local, camera.position[:, None] - posed.start)
        self.slopes = [
            (solid.start_radius - solid.end_radius) / length
            for solid, length in zip(posed.solids, posed.lengths, strict=True)
        ]
        self.cone_forms = self._cone_forms()
        self.local_sun = posed.to_local @ scene.sun
        self.local_up = posed.to_local[..., 1]
        self.rectangles = self._solid_rectangles(camera)
        self.box_rectangles = [self._box_rectangles(camera, box) for box in scene.boxes]
        self.depth = np.full(size * size, np.inf, np.float32)
        self.light = np.empty(size * size, np.float32)
        self.color = np.empty(size * size, np.int64)  # column of the palette
        colors = [color for solid in posed.solids for color in (solid.color, solid.end_color)]
        self.palette = np.array([*colors, *(box.color for box in scene.boxes)], np.float32).T.copy()
        self.grid = np.arange(size, dtype=np.float32)

    def _cone_forms(self) -> Array:
        """Return the matrices `(F, S, 3, 3)` of forms in (column, row, 1), positive where a ray meets the cone.

        The infinite cone that touches both balls, `cos^2 (x^2 + z^2) = (radius - slope y)^2` with the sine `slope` of
        its half angle, meets the ray `o + t d` where `a t^2 + 2 b t + c = 0`; this is `b^2 - a c`. `a` is a quadratic
        and `b` a linear form in `d`, which is linear in column and row. In float64, as both terms nearly cancel.
        """
        slope = np.array(self.slopes)
        cos2 = 1 - slope**2
        reach = np.array([solid.start_radius for solid in self.posed.solids]) - slope * self.local_eye[..., 1]
        diagonal = np.stack([cos2, -(slope**2), cos2], axis=-1)
        linear = diagonal * self.local_eye
        linear[..., 1] = reach * slope
        constant = cos2 * (self.local_eye[..., 0] ** 2 + self.local_eye[..., 2] ** 2) - reach**2
        inner = linear[..., :, None] * linear[..., None, :] - constant[..., None, None] * (
            diagonal[:, None] * np.eye(3)
        )
        return np.asarray(self.local_rays.swapaxes(-1, -2) @ inner @ self.local_rays, dtype=np.float64)

    def _solid_rectangles(self, camera: CameraPath) -> Rectangles:
        seen, depth = camera.project(self.posed.centers)
        radii = self.posed.radii * np.tile([max(1, *solid.flatten) for solid in self.posed.solids], 2)
        extent = (1.15 * radii * camera.focal / np.maximum(depth - radii, 0.05))[..., None]
        low, high = (bound.reshape(len(seen), 2, -1, 2) for bound in (seen - extent, seen + extent))
        return self._rectangles(low.min(axis=1), high.max(axis=1))

    def _box_rectangles(self, camera: CameraPath, box: Box) -> Rectangles:
        corners = np.array([(x, y, z) for x in (-1, 1) for y in (0, 2) for z in (-1, 1)]) * box.half_size
        corners = np.tile(rotate_y(corners, box.turn) + box.base, (len(self.eye), 1, 1))
        seen, depth = camera.project(corners)
        rectangles = self._rectangles(seen.min(axis=1), seen.max(axis=1))
        rectangles[(depth < 0.05).any(axis=1)] = (0, self.size, 0, self.size)
        return rectangles

    def _rectangles(self, low: Array, high: Array) -> Rectangles:
        """Turn frame coordinates `(..., 2)` into first and last column and row, the last exclusive, `(..., 4)`."""
        columns = np.stack([low[..., 0], high[..., 0]], axis=-1) + 0.5
        rows = 0.5 - np.stack([high[..., 1], low[..., 1]], axis=-1)
        edges = np.concatenate([columns, rows], axis=-1) * self.size + np.array([-1, 1, -1, 1])
        return np.asarray(np.clip(edges, 0, self.size), dtype=np.int64)

    def draw_over(self, picture: Image, frame: int) -> None:
        """Cast everything that stands in `picture` `(3, size_px, size_px)` and blend it over."""
        rectangles = np.array([*self.rectangles[frame], *(edges[frame] for edges in self.box_rectangles)])
        top, bottom = int(rectangles[:, 2].min()) // 2, (int(rectangles[:, 3].max()) + 1) // 2
        if top >= bottom:
            return
        used = slice(2 * top * self.size, 2 * bottom * self.size)
        self.depth[used] = np.inf
        self.light[used] = 0
        self.color[used] = 0
        for number, (box, edges) in enumerate(zip(self.scene.boxes, self.box_rectangles, strict=True)):
            self._cast_box(box, 2 * len(self.posed.solids) + number, edges[frame].tolist(), frame)
        for index, solid in enumerate(self.posed.solids):
            self._cast_solid(solid, index, frame)
        covered = (self.depth[used] < np.inf).reshape(-1, self.size).astype(np.float32)
        light, color = self.light[used], self.color[used]
        rest = 1 - _halved(covered)
        for channel, palette in zip(picture[:, top:bottom], self.palette, strict=True):
            channel *= rest
            channel += _halved((palette.take(color) * light).reshape(-1, self.size))

    def _cast_solid(self, solid: Solid, index: int, frame: int) -> None:
        left, right, top, bottom = self.rectangles[frame, index].tolist()
        if left >= right or top >= bottom:
            return
        # Where a ray meets the cone at all: a quadratic form in column and row, taken about the rectangle's corner.
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        form = (shift.T @ self.cone_forms[frame, index] @ shift).tolist()
        column, row = self.grid[: right - left], self.grid[: bottom - top, None]
        along_row = (form[0][0] * column + 2 * form[0][2]) * column + form[2][2]
        root = (2 * form[0][1] * row) * column + ((form[1][1] * row + 2 * form[1][2]) * row + along_row)
        hit = np.flatnonzero(root > 0)
        if not len(hit):
            return
        width = right - left
        row_index = hit // width + top
        column_index = hit - (row_index - top) * width + left
        column, row = column_index.astype(np.float32), row_index.astype(np.float32)
        rays = self.local_rays[frame, index].tolist()
        dx, dy, dz = (across * column + down * row + corner for across, down, corner in rays)
        ox, oy, oz = self.local_eye[frame, index].tolist()
        length, radius, slope = self.posed.lengths[index], solid.start_radius, self.slopes[index]
        cos2 = 1 - slope * slope
        a = cos2 * (dx * dx + dz * dz) - (slope * dy) ** 2
        a = np.where(abs(a) < 1e-9, np.float32(1e-9), a)
        reach = radius - slope * oy
        b = cos2 * (ox * dx + oz * dz) + (reach * slope) * dy
        t = (-b - np.sqrt(root.ravel()[hit])) / a
        x, z = ox + t * dx, oz + t * dz
        # the ball that touches the cone at this point, by its place along the axis
        ball: Image = oy + t * dy - np.sqrt(x * x + z * z) * (slope / cos2**0.5)
        if reach > 0 and cos2 * (ox * ox + oz * oz) < reach * reach:
            ball[:] = oy  # the eye is inside the infinite cone, beyond an end: only that end is seen
        outside = np.flatnonzero((ball < 0) | (ball > length))
        ball = np.minimum(np.maximum(ball, 0), length)
        if len(outside):  # beyond the ends the surface is that of the end ball
            ex, ey, ez = dx[outside], dy[outside], dz[outside]
            center = ball[outside]
            size = radius - slope * center
            a = ex * ex + ey * ey + ez * ez
            b = ox * ex + (oy - center) * ey + oz * ez
            root = b * b - a * (ox * ox + (oy - center) ** 2 + oz * oz - size * size)
            t[outside] = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)

        pixel = row_index * self.size + column_index
        nearer = np.flatnonzero((t < self.depth[pixel]) & (t > 0.05))
        if not len(nearer):
            return
        pixel, t, ball = pixel[nearer], t[nearer], ball[nearer]
        size = radius - slope * ball
        nx, nz = (ox + t * dx[nearer]) / size, (oz + t * dz[nearer]) / size
        ny = (oy + t * dy[nearer] - ball) / size
        self.depth[pixel] = t
        self.light[pixel] = self._light(solid, index, frame, nx, ny, nz, ball / length)
        if solid.hairline < 2:
            self.color[pixel] = 2 * index + (ny - 0.8 * nx > solid.hairline)
        else:
            self.color[pixel] = 2 * index + (ball > solid.color_cut * length)

    def _light(self, solid: Solid, index: int, frame: int, nx: Image, ny: Image, nz: Image, along: Image) -> Image:
        """Return the brightness of surface points by their normals in the solid's own axes."""
        sx, sy, sz = self.local_sun[frame, index].tolist()
        ux, uy, uz = self.local_up[frame, index].tolist()
        strength = self.scene.sun_strength
        sun = np.maximum(nx * sx + ny * sy + nz * sz, 0) * (1.25 * strength)
        up = (nx * ux + ny * uy + nz * uz) * (0.22 * (1 - strength))
        light: Image = sun + up
        if solid.flatten != (1.0, 1.0):
            light = light / np.sqrt((nx * (1 / solid.flatten[0])) ** 2 + ny * ny + (nz * (1 / solid.flatten[1])) ** 2)
        light = light + 0.78 * (1 - strength)
        if solid.pattern:
            cell_y = (along * (self.posed.lengths[index] * 90)).astype(np.int64) & 63
            cell_x = ((nx - nz) * 9).astype(np.int64) & 63
            light = light * (1 + (0.25 * solid.pattern) * self.cloth.take(cell_y * 64 + cell_x))
        if solid.hairline < 2:
            eyes = (nx > 0.6) & (abs(ny - 0.1) < 0.14) & (abs(abs(nz) - 0.4) < 0.18)
            light = np.where(eyes, 0.35 * light, light)
        return light

    def _cast_box(self, box: Box, color: int, rectangle: list[int], frame: int) -> None:
        """Slab test in the box's own axes."""
        left, right, top, bottom = rectangle
        if left >= right or top >= bottom:
            return
        eye = rotate_y(self.eye[frame] - box.base, -box.turn)
        rays = rotate_y(self.rays[frame].T, -box.turn).T
        low = np.array([-box.half_size[0], 0.0, -box.half_size[2]])
        high = np.array([box.half_size[0], 2 * box.half_size[1], box.half_size[2]])
        column, row = self.grid[left:right], self.grid[top:bottom, None]
        enter: Image = np.full((bottom - top, right - left), -np.inf, np.float32)
        leave = -enter
        entries = []
        for axis in range(3):
            across, down, corner = rays[axis].tolist()
            direction = across * column + down * row + corner
            direction = np.where(abs(direction) < 1e-7, np.float32(1e-7), direction)
            first, second = float(low[axis] - eye[axis]) / direction, float(high[axis] - eye[axis]) / direction
            entries.append(np.minimum(first, second))
            enter, leave = np.maximum(enter, entries[-1]), np.minimum(leave, np.maximum(first, second))
        hit = np.flatnonzero((enter < leave) & (enter > 0.05))
        width = right - left
        pixel = (hit // width + top) * self.size + hit % width + left
        t = enter.ravel()[hit]
        face = np.where(entries[1].ravel()[hit] == t, 1, np.where(entries[0].ravel()[hit] == t, 0, 2))
        nearer = np.flatnonzero(t < self.depth[pixel])
        pixel = pixel[nearer]
        self.depth[pixel] = t[nearer]
        self.light[pixel] = np.array([0.7, 1.0, 0.85], np.float32).take(face[nearer])
        self.color[pixel] = color


def _halved(fine: Image) -> Image:
    """Average squares of four samples: `(2 H, 2 W)` to `(H, W)`."""
    rows = fine[::2] + fine[1::2]
    return np.asarray(0.25 * (rows[:, ::2] + rows[:, 1::2]), dtype=np.float32)


def _develop(frames: Image, rng: np.random.Generator) -> Frames:
    """Give frames `(F, 3, H, W)` exposure, tint, blur, vignette and grain as a camera does; return `(F, H, W, 3)`."""
    size = frames.shape[-1]
    gain = rng.uniform(0.85, 1.25) * (1 + rng.normal(0, 0.035, size=3))
    gamma, black = rng.uniform(0.7, 1.15), rng.uniform(0, 25)
    blur = float(rng.choice([0.0, rng.uniform(0.05, 0.25)], p=[0.35, 0.65]))  # weight of each neighbour
    grain, corner = rng.uniform(0.0, 5.0), rng.uniform(0, 0.35)

    curve = (black + (255 - black) * np.clip(np.arange(512) / 255, 0, 1) ** gamma).astype(np.float32)
    distance = np.linspace(-1, 1, size) ** 2
    vignette = ((1 - corner * 0.5 * (distance[:, None] + distance)) * gain[:, None, None]).astype(np.float32)
    noise = rng.standard_normal((1, 2 * size, 2 * size)) + 0.5 * rng.standard_normal((3, 2 * size, 2 * size))
    noise = (noise * grain * 0.8 + 0.5).astype(np.float32)
    places = rng.integers(0, size, size=(len(frames), 2)).tolist()
    developed = np.empty((len(frames), size, size, 3), np.uint8)
    for index, (picture, (top, left)) in enumerate(zip(frames, places, strict=True)):
        picture = curve.take(np.minimum(picture * vignette, 511).astype(np.int64))
        if blur:
            picture[:, 1:-1] = picture[:, 1:-1] * (1 - 2 * blur) + (picture[:, 2:] + picture[:, :-2]) * blur
            picture[..., 1:-1] = picture[..., 1:-1] * (1 - 2 * blur) + (picture[..., 2:] + picture[..., :-2]) * blur
        picture += noise[:, top : top + size, left : left + size]
        developed[index] = np.minimum(np.maximum(picture, 0), 255).astype(np.uint8).transpose(1, 2, 0)
    return developed
