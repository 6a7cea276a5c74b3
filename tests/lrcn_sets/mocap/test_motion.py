"""The packaged recordings and their kinematics, checked against geometry and formulas written here anew."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn_sets.mocap.motion import (
    JOINTS,
    OFFSETS,
    PARENTS,
    Recording,
    cut,
    forward_kinematics,
    interpolate,
    load_recordings,
    repeat,
    slerp,
)

NAMES = sorted(load_recordings())
POSES_SHA256 = "74a5225f85eae943f28a60567710572f625b35887bb0f644f1567b4138113590"


def unit_quaternion(values: list[float]) -> np.ndarray:
    quaternion = np.array(values) + np.array([1e-3, 0, 0, 0])
    return quaternion / np.linalg.norm(quaternion)


quaternions = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(unit_quaternion)


def turn(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rodrigues' form of a rotation, without matrices."""
    w, axis = quaternion[0], quaternion[1:]
    return vector + 2 * w * np.cross(axis, vector) + 2 * np.cross(axis, np.cross(axis, vector))


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * np.arccos(np.clip(abs(first @ second), 0, 1))


def test_there_are_fifteen_recordings_of_finite_numbers_and_unit_rotations() -> None:
    assert len(NAMES) == 15
    for recording in load_recordings().values():
        assert np.isfinite(recording.root).all()
        np.testing.assert_allclose(np.linalg.norm(recording.rotations, axis=-1), 1, atol=1e-9)


def test_poses_are_the_pinned_ones() -> None:
    digest = hashlib.sha256()
    for name in NAMES:
        recording = load_recordings()[name]
        positions, _ = forward_kinematics(recording.root[::10], recording.rotations[::10])
        digest.update((np.round(positions, 2) + 0.0).astype("<f4").tobytes())
    assert digest.hexdigest() == POSES_SHA256


@pytest.mark.parametrize("name", ["walk", "cartwheel", "getup_faceup"])
def test_joints_lie_where_turning_the_offsets_one_after_another_puts_them(name: str) -> None:
    recording = load_recordings()[name]
    row = len(recording.root) // 3
    positions, _ = forward_kinematics(recording.root[row : row + 1], recording.rotations[row : row + 1])
    for joint in range(len(JOINTS)):
        point, at = np.zeros(3), joint
        while PARENTS[at] >= 0:
            point = turn(recording.rotations[row, PARENTS[at]], point + OFFSETS[at])
            at = PARENTS[at]
        np.testing.assert_allclose(positions[0, joint], recording.root[row] + point, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_bones_keep_their_length(name: str) -> None:
    recording = load_recordings()[name]
    positions, _ = forward_kinematics(recording.root, recording.rotations)
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            lengths = np.linalg.norm(positions[:, joint] - positions[:, parent], axis=-1)
            np.testing.assert_allclose(lengths, np.linalg.norm(OFFSETS[joint]), atol=1e-9)


@pytest.mark.parametrize("name", ["walk", "run"])
def test_the_person_moves_the_way_they_face_on_straight_knees_or_knees_bent_back(name: str) -> None:
    recording = load_recordings()[name]
    _, rotations = forward_kinematics(recording.root, recording.rotations)
    facing = rotations[:, 0, :, 0].mean(axis=0) * [1, 0, 1]
    way = recording.root[-1] - recording.root[0]
    assert facing @ way / np.linalg.norm(facing) / np.linalg.norm(way) > 0.95
    for knee in (JOINTS.index("right_knee"), JOINTS.index("left_knee")):
        assert recording.rotations[:, knee, 3].max() < 0.05  # a positive turn about z would bend it forward


def test_right_joints_are_on_the_right() -> None:
    recording = load_recordings()["walk"]
    positions, rotations = forward_kinematics(recording.root, recording.rotations)
    right = rotations[:, 0, :, 2]
    across = positions[:, JOINTS.index("right_shoulder")] - positions[:, JOINTS.index("left_shoulder")]
    assert (np.einsum("fi,fi->f", across, right) > 0.2).all()
    np.testing.assert_allclose(np.cross(rotations[:, 0, :, 0], rotations[:, 0, :, 1]), right, atol=1e-9)


@given(quaternions, quaternions, st.floats(0, 1))
def test_slerp_turns_at_an_even_rate_along_the_shorter_way(
    first: np.ndarray, second: np.ndarray, weight: float
) -> None:
    whole = angle_between(first, second)
    between = slerp(first[None, None], second[None, None], np.array([[weight]]))[0, 0]
    assert angle_between(first, between) == pytest.approx(weight * whole, abs=1e-6)
    assert angle_between(between, second) == pytest.approx((1 - weight) * whole, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_interpolation_meets_the_rows(name: str) -> None:
    recording = load_recordings()[name]
    root, rotations = interpolate(recording, np.arange(len(recording.root)) * recording.step_s)
    np.testing.assert_allclose(root, recording.root, atol=1e-9)
    np.testing.assert_allclose(abs(np.sum(rotations * recording.rotations, axis=-1)), 1, atol=1e-9)


def test_a_cut_plays_the_same_poses_as_the_whole() -> None:
    recording = load_recordings()["jump"]
    part = cut(recording, 0.25, 1.55)
    times_s = np.linspace(0, part.duration_s, 9)
    assert part.duration_s == pytest.approx(1.3)
    np.testing.assert_allclose(interpolate(part, times_s)[0], interpolate(recording, times_s + 0.25)[0], atol=2e-3)


@pytest.mark.parametrize(("name", "blend_s"), [("walk", 0.15), ("run", 0.1), ("kick", 0.3), ("crawl", 0.3)])
def test_a_repeated_motion_has_no_jump_where_a_round_ends(name: str, blend_s: float) -> None:
    recording = load_recordings()[name]
    times_s = np.arange(0, 3.5 * recording.duration_s, 0.01)
    positions, _ = forward_kinematics(*repeat(recording, times_s, blend_s=blend_s))
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=-1).max(axis=-1)
    near_seam = (times_s[1:] % recording.duration_s < 0.011) | (times_s[1:] % recording.duration_s < times_s[1] / 2)
    assert steps[near_seam].max() < 1.5 * np.percentile(steps, 99)


@pytest.mark.parametrize("name", ["walk", "run"])
def test_a_repeated_walk_goes_straight_on_by_the_same_stretch_a_round(name: str) -> None:
    recording = load_recordings()[name]
    root, _ = repeat(recording, np.arange(4) * recording.duration_s + 1e-6, blend_s=0.15)
    strides = np.diff(root, axis=0)
    np.testing.assert_allclose(strides, np.broadcast_to(strides[0], strides.shape), atol=1e-6)
    assert np.linalg.norm(strides[0]) == pytest.approx(np.linalg.norm((recording.root[-1] - recording.root[0])[::2]))


def test_a_large_turn_adds_up_over_the_rounds() -> None:
    quarter = np.array([np.cos(np.pi / 4), 0, np.sin(np.pi / 4), 0])
    rotations = np.tile(np.array([1.0, 0, 0, 0]), (2, len(JOINTS), 1))
    rotations[1, 0] = quarter
    recording = Recording(1.0, np.array([[0.0, 1, 0], [1.0, 1, 0]]), rotations)
    root, _ = repeat(recording, np.array([0.0, 1, 2, 3, 4 - 1e-9]), blend_s=0.1)
    square = [[0, 1, 0], [1, 1, 0], [1, 1, -1], [0, 1, -1], [0, 1, 0]]
    np.testing.assert_allclose(root, square, atol=1e-6)
