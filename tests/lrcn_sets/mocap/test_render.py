"""The renderer against brute force: solids as many balls, textures as plain averages, points as projections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrcn_sets.mocap.body import PosedSolids, Solid, pose_solids
from lrcn_sets.mocap.camera import CameraPath
from lrcn_sets.mocap.clips import NUM_FRAMES, clip_spec, stage
from lrcn_sets.mocap.place import shadow_map
from lrcn_sets.mocap.render import BodyCaster, render_clip
from lrcn_sets.mocap.scene import Box, Scene, Texture

SIZE = 48
CAMERA = CameraPath(np.zeros((1, 3)), np.array([[[0.0, 0, 1], [0, 1, 0], [1, 0, 0]]]), 0.8, (0.05, -0.03))


def plain_scene(*boxes: Box) -> Scene:
    grey = Texture.build(np.full((8, 8, 3), 100, np.float32), (1.0, 1.0), repeats_up=True)
    sun = np.array([0.0, 1.0, 0.0])
    return Scene(0.0, 50.0, (50.0, 50.0), grey, grey, (1.0, 1.0), boxes, sun, 0.5, 0.5)


def solid(radii: tuple[float, float], flatten: tuple[float, float] = (1.0, 1.0)) -> Solid:
    return Solid(0, (0, 0, 0), (0.5, 0.7, -0.2), *radii, flatten, (200, 200, 200), (200, 200, 200))


def posed(shape: Solid, place: tuple[float, float, float] = (4.0, -0.3, 0.1)) -> PosedSolids:
    class One:
        solids = (shape,)

    angle = 0.6
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return pose_solids(One, np.array([[place]]), rotation[None, None])  # type: ignore[arg-type]


def depth_by_casting(bodies: PosedSolids, scene: Scene, camera: CameraPath = CAMERA) -> np.ndarray:
    caster = BodyCaster(bodies, camera, scene, SIZE, np.zeros((64, 64), np.float32))
    caster.draw_over(np.zeros((3, SIZE, SIZE), np.float32), 0)
    return caster.depth.reshape(2 * SIZE, 2 * SIZE)


def rays() -> np.ndarray:
    middles = (np.arange(2 * SIZE) + 0.5) / (2 * SIZE)
    right, up = np.meshgrid(middles - 0.5 - CAMERA.shift[0], 0.5 - middles - CAMERA.shift[1])
    return np.stack([np.ones_like(right), up / CAMERA.focal, right / CAMERA.focal], axis=-1)  # forward is x


def depth_of_balls(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """First hit of every ray with a great many balls; rays start at the origin."""
    ray = rays()
    nearest = np.full(ray.shape[:2], np.inf)
    for center, radius in zip(centers, radii, strict=True):
        a, b = (ray**2).sum(-1), ray @ center
        root = b * b - a * (center @ center - radius**2)
        nearest = np.fmin(nearest, np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf))
    return nearest


@pytest.mark.parametrize("radii", [(0.3, 0.3), (0.35, 0.1), (0.1, 0.4), (0.05, 0.05)])
def test_a_rounded_cone_is_the_hull_of_its_balls(radii: tuple[float, float]) -> None:
    bodies = posed(solid(radii))
    along = np.linspace(0, 1, 400)
    centers = bodies.start[0, 0] + along[:, None] * (bodies.end[0, 0] - bodies.start[0, 0])
    expected = depth_of_balls(centers, radii[0] + along * (radii[1] - radii[0]))

    found = depth_by_casting(bodies, plain_scene())

    both = np.isfinite(expected) & np.isfinite(found)
    assert both.sum() > 25
    assert (np.isfinite(expected) != np.isfinite(found)).sum() < 0.02 * both.sum() + 3  # samples on the very edge
    np.testing.assert_allclose(np.median(abs(found[both] - expected[both])), 0, atol=1e-4)
    assert np.percentile(abs(found[both] - expected[both]), 98) < 5e-3


@pytest.mark.parametrize("radii", [(0.2, 0.35), (0.35, 0.2), (0.3, 0.3)])
def test_a_rounded_cone_seen_end_on_has_no_hole(radii: tuple[float, float]) -> None:
    bodies = posed(replace(solid(radii), end=(0.5, 0.05, 0.0)), (4.0, 0.1, 0.0))
    along = np.linspace(0, 1, 400)
    centers = bodies.start[0, 0] + along[:, None] * (bodies.end[0, 0] - bodies.start[0, 0])
    eye = replace(CAMERA, position=bodies.start[:, 0] - 3 * (bodies.end - bodies.start)[:, 0])
    expected = depth_of_balls(centers - eye.position, radii[0] + along * (radii[1] - radii[0]))

    found = depth_by_casting(bodies, plain_scene(), eye)

    assert np.isfinite(expected).sum() > 200
    assert (np.isfinite(expected) != np.isfinite(found)).sum() < 0.02 * np.isfinite(expected).sum()


def test_a_flattened_ball_is_an_ellipsoid() -> None:
    # almost a ball: the two centres are 2 micrometres apart along y, so x and z are the flattened axes
    shape = replace(solid((0.4, 0.4), (0.5, 1.5)), end=(0.0, 2e-6, 0.0))
    bodies = posed(shape, (4.0, 0.0, 0.0))
    axes = bodies.to_local[0, 0]
    ray, center = rays() @ axes.T, axes @ np.array([4.0, 0.0, 0.0])
    a, b = (ray**2).sum(-1), ray @ center
    root = b * b - a * (center @ center - 0.4**2)
    expected = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    np.testing.assert_allclose(sorted(np.linalg.norm(axes, axis=1)), [1 / 1.5, 1, 2], rtol=1e-6)

    found = depth_by_casting(bodies, plain_scene())

    both = np.isfinite(expected) & np.isfinite(found)
    assert (np.isfinite(expected) != np.isfinite(found)).sum() < 0.02 * both.sum()
    assert np.percentile(abs(found[both] - expected[both]), 98) < 2e-3


def test_a_box_is_hit_where_marching_along_the_rays_enters_it() -> None:
    box = Box(np.array([4.0, -1.0, 0.2]), np.array([0.5, 0.6, 0.4]), 0.7, (90, 90, 90))
    far_away = posed(solid((0.1, 0.1)), (-5.0, 0.0, 0.0))
    steps = np.arange(3, 5.2, 0.008)
    points = rays()[..., None, :] * steps[:, None] - box.base
    cos, sin = np.cos(box.turn), np.sin(box.turn)  # a turn about y takes x to (cos, -sin) in (x, z)
    x, z = cos * points[..., 0] - sin * points[..., 2], sin * points[..., 0] + cos * points[..., 2]
    inside = (abs(x) < 0.5) & (abs(z) < 0.4) & (points[..., 1] > 0) & (points[..., 1] < 1.2)
    expected = np.where(inside.any(-1), steps[inside.argmax(-1)], np.inf)

    found = depth_by_casting(far_away, plain_scene(box))

    both = np.isfinite(expected) & np.isfinite(found)
    assert both.sum() > 150
    assert (np.isfinite(expected) != np.isfinite(found)).sum() < 0.03 * both.sum()
    assert np.percentile(abs(found[both] - expected[both]), 98) < 0.015


def test_what_is_nearer_hides_what_is_behind() -> None:
    wall = Box(np.array([2.0, -1.0, 0.0]), np.array([0.1, 2.0, 2.0]), 0.0, (90, 90, 90))
    hidden = depth_by_casting(posed(solid((0.3, 0.3))), plain_scene(wall))
    assert (hidden[24:72, 24:72] < 2.2).all()


def test_a_texture_shows_its_texels_near_by_and_their_mean_far_away() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (32, 64, 3)).astype(np.float32)
    texture = Texture.build(picture, (2.0, 4.0), repeats_up=True)
    across, up = (np.array([10.5]) * 4 / 64, np.array([7.5]) * 2 / 32)
    tiny, huge = np.full(1, 1e-3, np.float32), np.full(1, 100.0, np.float32)
    near = texture.look_up(across.astype(np.float32), up.astype(np.float32), tiny)
    np.testing.assert_allclose(near[:, 0], picture[7, 10], atol=0.01)
    again = texture.look_up(across.astype(np.float32) - 4, up.astype(np.float32) + 2, tiny)
    np.testing.assert_allclose(again, near, atol=0.01)
    cells = picture.reshape(4, 8, 8, 8, 3).mean(axis=(1, 3))
    middle = np.float32(0.25)  # the middle of the first of the coarsest texels, half a metre wide
    np.testing.assert_allclose(texture.look_up(middle[None], middle[None], huge)[:, 0], cells[0, 0], atol=0.01)


def test_the_shadow_falls_away_from_the_sun() -> None:
    bodies = posed(solid((0.1, 0.1)), (0.0, 1.0, 0.0))
    sun = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    light, middle_x, _ = shadow_map(bodies, replace(plain_scene(), sun=sun), 0)
    texels = len(light)
    shaded = np.argwhere(light < 0.8)
    assert light.max() == 1
    assert light.min() == pytest.approx(0.5, abs=0.02)
    # the middle of the body is 1.35 m up: at 45 degrees its shadow lies as far behind it, on the side away from the sun
    middle = 0.5 * (bodies.start[0, 0] + bodies.end[0, 0])
    x = middle_x + (shaded[:, 0].mean() + 0.5 - texels / 2) * 5.6 / texels
    assert x == pytest.approx(middle[0] - middle[1], abs=0.1)


def test_a_person_is_seen_where_their_joints_project_to() -> None:
    bodies, camera, scene = stage(clip_spec("train", "walk", 1))
    bright = replace(scene, boxes=(), shadow=0.0)
    frames = render_clip(bodies, camera, bright, 96, np.random.default_rng(0))
    up = np.array([0.0, 500.0, 0.0])
    elsewhere = replace(bodies, start=bodies.start + up, end=bodies.end + up)
    empty = render_clip(elsewhere, camera, bright, 96, np.random.default_rng(0))
    changed = abs(frames.astype(int) - empty.astype(int)).sum(axis=-1) > 0
    seen, _ = camera.project(bodies.centers)
    for frame in range(len(frames)):
        columns, rows = ((seen[frame, :, 0] + 0.5) * 96).astype(int), ((0.5 - seen[frame, :, 1]) * 96).astype(int)
        assert changed[frame][rows, columns].mean() > 0.95


def test_frames_look_as_they_did() -> None:
    """Coarse brightness of one frame; small numeric differences between machines pass."""
    frames = render_clip(*stage(clip_spec("test", "cartwheel", 2)), 48, np.random.default_rng(7))
    assert frames.shape == (NUM_FRAMES, 48, 48, 3)
    blocks = frames[10].reshape(4, 12, 4, 12, 3).mean(axis=(1, 3, 4))
    np.testing.assert_allclose(blocks, np.array(PINNED_BLOCKS), atol=6)


PINNED_BLOCKS = [
    [131.2, 154.7, 143.9, 135.0],
    [164.7, 146.7, 111.0, 122.9],
    [143.3, 116.2, 106.2, 106.2],
    [99.5, 106.9, 113.5, 112.4],
]
