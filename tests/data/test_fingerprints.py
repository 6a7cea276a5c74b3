from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.data.file_checks import look_at_files, same_pictures
from lrcn.data.fingerprints import Fingerprint, alike, powers, tolerance_s
from lrcn_sets.behaviour.building import render_recording
from lrcn_sets.mocap.actions import write_clip


def groups_in(paths: list[Path], *, workers: int | None = None) -> list[list[str]]:
    files = look_at_files(paths, decode=True, on_progress=None, workers=workers)
    return [sorted(path.name for path in group) for group, _ in same_pictures(files)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Rendered people from six views, and what a careless hand made of two of them."""
    folder = tmp_path_factory.mktemp("rendered")
    frames = [render_recording(number, 30, 64) for number in range(6)]
    for number, each in enumerate(frames):
        write_clip(folder / f"{number}.mp4", each)
    make_clip(folder / "0-rough.mkv", frames[0], 10, options={"crf": "36"}, codec="libx264", pix_fmt="yuv420p")
    large = frames[0].repeat(2, axis=1).repeat(3, axis=2)
    make_clip(folder / "0-stretched.mp4", large, 10, options={"crf": "30"}, codec="libx264", pix_fmt="yuv420p")
    make_clip(folder / "1-at-20.mp4", frames[1].repeat(2, axis=0), 20, codec="libx264", pix_fmt="yuv420p")
    make_clip(folder / "1-less.mp4", frames[1][:28], 10, codec="mpeg4", pix_fmt="yuv420p")
    return folder


def test_clips_encoded_anew_are_found_and_no_others(clips: Path) -> None:
    paths = sorted(clips.iterdir())
    found = sorted(groups_in(paths))
    assert found == [["0-rough.mkv", "0-stretched.mp4", "0.mp4"], ["1-at-20.mp4", "1-less.mp4", "1.mp4"]]
    assert sorted(groups_in(paths, workers=1)) == found


def test_recordings_of_one_arena_are_told_apart_by_what_moves_in_it(tmp_path: Path, make_clip: MakeClip) -> None:
    arena = textured_frames(1, 96, 128, seed=3)[0] // 2
    rng = np.random.default_rng(0)
    paths = []
    for number in range(8):
        frames = np.repeat(arena[None], 60, axis=0)
        row, column = rng.integers(0, 80, 2)
        for frame in frames:
            row, column = np.clip(np.array([row, column]) + rng.integers(-12, 13, 2), 0, [84, 116])
            frame[row : row + 12, column : column + 12] = 250
        paths.append(make_clip(tmp_path / f"{number}.mp4", frames, 10, codec="libx264", pix_fmt="yuv420p"))
    assert groups_in(paths) == []
    paths.append(
        make_clip(tmp_path / "copy.mp4", frames, 10, options={"crf": "34"}, codec="libx264", pix_fmt="yuv420p")
    )
    assert groups_in(paths) == [["7.mp4", "copy.mp4"]]


def test_stills_are_alike_only_where_they_look_the_same(tmp_path: Path, make_clip: MakeClip) -> None:
    stills = [np.repeat(textured_frames(1, 48, 64, seed=seed), 20, axis=0) for seed in range(4)]
    paths = [
        make_clip(tmp_path / f"{i}.mp4", still, 10, codec="libx264", pix_fmt="yuv420p")
        for i, still in enumerate(stills)
    ]
    assert groups_in(paths) == []
    paths.append(
        make_clip(tmp_path / "again.mp4", stills[2], 10, options={"crf": "32"}, codec="libx264", pix_fmt="yuv420p")
    )
    paths.append(
        make_clip(tmp_path / "longer.mp4", stills[1].repeat(2, axis=0), 10, codec="libx264", pix_fmt="yuv420p")
    )
    assert groups_in(paths) == [["2.mp4", "again.mp4"]]


def test_groups_are_those_of_every_pair_compared() -> None:
    """Brute force: join every pair that correlates, with NumPy's own correlation."""
    rng = np.random.default_rng(1)
    prints = []
    for number in range(40):
        frames = rng.uniform(0, 255, (8, 8, 8, 3)).astype(np.float32)
        duration_s = float(rng.uniform(1, 40))
        for _ in range(number % 4):
            longer_s = duration_s + rng.uniform(0, tolerance_s(duration_s) / 2)
            noisy = (frames + rng.normal(0, 3, frames.shape)).astype(np.float32)
            prints.append(Fingerprint(longer_s, dict.fromkeys(powers(longer_s), noisy)))
    order = rng.permutation(len(prints))
    prints = [prints[place] for place in order]

    def change(one: Fingerprint) -> np.ndarray:
        grey = next(iter(one.frames.values())).reshape(8, 64, 3) @ [0.299, 0.587, 0.114]
        grey = grey - grey.mean(0)
        return np.ravel(grey - grey.mean(1, keepdims=True))

    changes = [change(one) for one in prints]
    parents = list(range(len(prints)))
    for i, j in itertools.combinations(range(len(prints)), 2):
        if np.corrcoef(changes[i], changes[j])[0, 1] > 0.9:
            old, new = parents[j], parents[i]
            parents = [new if parent == old else parent for parent in parents]
    expected = {frozenset(np.flatnonzero(np.array(parents) == root).tolist()) for root in set(parents)}
    assert {frozenset(group) for group in alike(prints)} == {group for group in expected if len(group) > 1}


@pytest.mark.parametrize("duration_s", [0.03, 0.4, 1.0, 7.99, 8.0, 16.1, 599.9, 36000.0])
def test_videos_of_about_one_length_have_frames_at_the_same_times(duration_s: float) -> None:
    for longer_s in np.linspace(duration_s, duration_s + tolerance_s(duration_s), 50):
        assert powers(duration_s) & powers(float(longer_s))
    assert all(7 * 2.0**power < duration_s + tolerance_s(duration_s) for power in powers(duration_s))


def test_findings_do_not_depend_on_the_number_of_workers(clips: Path, tmp_path: Path) -> None:
    paths = [tmp_path / path.name for path in sorted(clips.iterdir())]
    for path in paths:
        path.write_bytes((clips / path.name).read_bytes())
    damaged = bytearray(paths[4].read_bytes())
    damaged[1000:1100] = bytes(100)
    paths[4].write_bytes(damaged)
    paths[1].write_bytes(paths[1].read_bytes()[:500])
    (tmp_path / "same.mp4").write_bytes(paths[3].read_bytes())
    paths += [tmp_path / "same.mp4", tmp_path / "nowhere.mp4"]
    one, many = (look_at_files(paths, decode=True, on_progress=None, workers=workers) for workers in (1, 4))
    said = [[(f.path, f.digest, f.duration_s, f.error, f.warnings) for f in files.values()] for files in (one, many)]
    assert said[0] == said[1]
    assert {path.name for path, file in one.items() if file.error} == {paths[1].name, "nowhere.mp4"}
    assert {path.name for path, file in one.items() if file.digest} == {paths[3].name, "same.mp4"}
    assert one[paths[4]].warnings


def test_every_length_that_the_file_states_is_kept(clips: Path) -> None:
    files = look_at_files(sorted(clips.glob("*.mp4")), decode=True, on_progress=None)
    for path, file in files.items():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.duration is not None
            assert stream.time_base is not None
            assert file.duration_s == float(stream.duration * stream.time_base)
