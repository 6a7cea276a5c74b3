"""Bouts that are drawn, and bodies that do what they say: against the motion recordings, frame by frame."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from lrcn_sets.behaviour.performance import BEHAVIOURS, Stretch, draw_stretches, perform
from lrcn_sets.mocap.clips import FPS
from lrcn_sets.mocap.motion import Array, forward_kinematics, load_recordings

FRAMES = 1200


def drawn(seed: int) -> tuple[list[Stretch], Array, Array]:
    rng = np.random.default_rng(seed)
    stretches = draw_stretches(rng, FRAMES)
    return stretches, *perform(rng, stretches)


PERFORMANCES = [drawn(seed) for seed in range(8)]


@pytest.mark.parametrize("num_frames", [300, FRAMES])
def test_behaviours_and_background_take_turns(num_frames: int) -> None:
    for seed in range(20):
        stretches = draw_stretches(np.random.default_rng(seed), num_frames)
        assert (stretches[0].start, stretches[-1].end) == (0, num_frames)
        assert all(before.end == after.start for before, after in pairwise(stretches))
        assert [stretch.label is None for stretch in stretches] == [True, False] * (len(stretches) // 2) + [True]
        assert len(stretches) >= 3
        for stretch in stretches:
            least, most = (2, 99) if stretch.label is None else (3, 9)
            assert least * FPS <= stretch.end - stretch.start <= most * FPS


def test_no_behaviour_is_rare() -> None:
    for stretches, _, _ in PERFORMANCES:
        counts = Counter(stretch.label for stretch in stretches if stretch.label)
        assert max(counts.values()) - min(counts[label] for label in BEHAVIOURS) <= 1
        assert sum(counts.values()) >= 8


def test_the_person_stays_in_the_place_and_moves_without_a_leap() -> None:
    for _, root, rotations in PERFORMANCES:
        assert np.hypot(root[:, 0], root[:, 2]).max() < 2.5
        assert np.linalg.norm(np.diff(root, axis=0), axis=1).max() * FPS < 5
        np.testing.assert_allclose(np.linalg.norm(rotations, axis=-1), 1, atol=1e-9)


def test_bouts_move_from_their_first_frame_to_their_last_and_the_background_hardly() -> None:
    for stretches, root, rotations in PERFORMANCES:
        joints, _ = forward_kinematics(root, rotations)
        speed = np.linalg.norm(np.diff(joints - joints[:, :1], axis=0), axis=-1).max(axis=-1) * FPS
        for stretch in stretches:
            own = speed[stretch.start : stretch.end - 1]
            if stretch.label is not None:
                assert min(np.median(own[place : place + 15]) for place in range(max(1, len(own) - 15))) > 0.35
            else:
                assert np.median(own[5:-5]) < 0.35  # apart from the passing over into what follows


def test_a_bout_shows_the_poses_of_its_recording() -> None:
    """All joints but the first, which is turned to where the person goes."""
    for stretches, _, rotations in PERFORMANCES[:3]:
        for stretch in stretches:
            if stretch.label is None:
                continue
            poses = load_recordings()[BEHAVIOURS[stretch.label].recording].rotations[:, 1:]
            own = rotations[stretch.start : stretch.end, 1:]
            near = np.abs(np.einsum("fjq,njq->fnj", own, poses)).clip(0, 1)
            degrees = np.degrees(2 * np.arccos(near)).mean(axis=-1).min(axis=1)
            assert np.median(degrees) < 4
