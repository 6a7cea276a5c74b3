"""The action set: what its clips promise (splits, pairs, framing) and how it is built."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from lrcn.errors import ConfigError, DataError, UnknownNameError
from lrcn_sets.cli import main
from lrcn_sets.mocap.actions import build_mocap_actions
from lrcn_sets.mocap.clips import ACTIONS, FPS, NUM_FRAMES, SPLIT_SECTORS, clip_motion, clip_spec, render, stage
from lrcn_sets.mocap.motion import forward_kinematics

SPECS = {
    (split, label, k): clip_spec(split, label, k) for split in SPLIT_SECTORS for label in ACTIONS for k in range(8)
}


def test_no_two_clips_share_a_seed_but_those_of_a_pair() -> None:
    seeds = {spec.seed for (_, label, _), spec in SPECS.items() if ACTIONS[label].reverse_of is None}
    assert len(seeds) == sum(not spec.reversed for spec in SPECS.values())
    assert {spec.seed for spec in SPECS.values()} == seeds


def test_the_splits_share_no_camera_sector_and_fill_the_circle() -> None:
    sectors = [sector for split in SPLIT_SECTORS.values() for sector in split]
    assert sorted(sectors) == list(range(12))
    for (split, _, _), spec in SPECS.items():
        assert spec.sector in SPLIT_SECTORS[split]
        assert spec.sector == int(spec.azimuth_deg / 30)


@pytest.mark.parametrize("split", SPLIT_SECTORS)
@pytest.mark.parametrize("label", ["run", "cartwheel", "lie_down"])
def test_the_camera_sees_the_person_from_its_own_sector_at_all_times(split: str, label: str) -> None:
    for index in range(4):
        spec = SPECS[split, label, index]
        body, camera, _ = stage(spec)
        away = camera.position - 0.5 * (body.centers.min(axis=1) + body.centers.max(axis=1))
        # the path is smoothed, so a fast hand may move the middle of the body a little against the camera
        azimuth = np.degrees(np.arctan2(away[:, 2], away[:, 0])) % 360
        off = (azimuth - 30 * spec.sector - 15 + 180) % 360 - 180
        assert abs(off).max() < 15 + 6
        assert abs(np.median(off)) <= 15


@pytest.mark.parametrize("label", ACTIONS)
def test_the_whole_person_stays_in_the_frame_and_on_the_floor(label: str) -> None:
    body, camera, scene = stage(SPECS["train", label, 0])
    seen, depth = camera.project(body.centers)
    assert depth.min() > 0.3
    assert abs(seen).max() < 0.5
    lowest = (body.centers[..., 1] - body.radii).min(axis=1)
    assert -0.15 < lowest.min() < 0.05
    assert np.percentile(lowest, 15) == pytest.approx(0, abs=1e-6)
    assert scene.far > 0


@pytest.mark.parametrize(("label", "forward"), [("lie_down", "get_up"), ("walk_backwards", "walk")])
def test_the_pairs_differ_in_the_order_of_frames_only(label: str, forward: str) -> None:
    for split, index in (("train", 0), ("test", 5)):
        backwards, forwards = SPECS[split, label, index], SPECS[split, forward, index]
        assert (backwards.reversed, forwards.reversed) == (True, False)
        np.testing.assert_array_equal(render(backwards, 32), render(forwards, 32)[::-1])


def test_a_mirrored_clip_is_the_flipped_clip() -> None:
    spec = replace(SPECS["val", "punch", 0], mirrored=False)
    np.testing.assert_array_equal(render(replace(spec, mirrored=True), 32), render(spec, 32)[:, :, ::-1])


def test_half_of_the_clips_are_mirrored() -> None:
    assert 0.4 < np.mean([spec.mirrored for spec in SPECS.values()]) < 0.6


@pytest.mark.parametrize("label", ACTIONS)
def test_every_window_shows_movement(label: str) -> None:
    """1.6 s from any start: limbs move against the hips most of the time, by more than a swaying stand."""
    for index in range(4):
        root, rotations = clip_motion(SPECS["train", label, index])
        positions, _ = forward_kinematics(root, rotations)
        speed = np.linalg.norm(np.diff(positions - positions[:, :1], axis=0), axis=-1).max(axis=-1) * FPS
        for start in range(0, NUM_FRAMES - 16 + 1, 4):
            assert np.median(speed[start : start + 15]) > 0.4


def test_a_walk_covers_ground_at_walking_speed() -> None:
    speeds = []
    for index in range(8):
        root, _ = clip_motion(SPECS["train", "walk", index])
        speeds.append(np.hypot(*(root[-1] - root[0])[::2]) / ((NUM_FRAMES - 1) / FPS))
    assert min(speeds) > 0.75
    assert max(speeds) < 1.35


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'walk'"):
        clip_spec("train", "wlak", 0)
    with pytest.raises(UnknownNameError, match="choices: test, train, val"):
        clip_spec("training", "walk", 0)


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == FPS
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one clip a class, as the command line builds it."""
    output = tmp_path_factory.mktemp("mocap") / "set"
    counts = ["--train-clips", "1", "--val-clips", "0", "--test-clips", "0"]
    assert main(["mocap-actions", str(output), *counts, "--size-px", "32", "--workers", "2"]) == 0
    return output


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_annotations_name_every_video_once(built: Path) -> None:
    with (built / "annotations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [*ACTIONS, *2 * ("walk", "walk_backwards")]  # the hardest have more
    assert {row["split"] for row in rows} == {"train"}
    assert all((built / row["path"]).is_file() for row in rows)
    assert {row["path"] for row in rows} == {n for n in contents(built) if n.endswith(".mp4")}


def test_a_video_holds_the_rendered_frames(built: Path) -> None:
    for label in ("walk", "dance"):
        frames = decode(built / f"videos/train/{label}/0.mp4")
        rendered = render(clip_spec("train", label, 0), 32)
        assert frames.shape == rendered.shape == (NUM_FRAMES, 32, 32, 3)
        error = np.mean((frames.astype(float) - rendered) ** 2)
        assert 10 * np.log10(255**2 / error) > 33


def test_a_finished_build_returns_at_once_and_touches_nothing(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*")}
    calls: list[tuple[int, int]] = []
    result = build_mocap_actions(
        built, train_clips=1, val_clips=0, test_clips=0, size_px=32, on_progress=lambda *c: calls.append(c)
    )
    assert result == built / "annotations.csv"
    assert calls == [(18, 18)]
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*")} == before


def test_a_killed_build_goes_on_and_ends_the_same(built: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from lrcn_sets.mocap.actions import build_mocap_actions\n"
        "if __name__ == '__main__':\n"
        "    build_mocap_actions(Path(sys.argv[1]), train_clips=1, val_clips=0, test_clips=0, size_px=32, workers=2)"
    )
    (tmp_path / "build.py").write_text(script)
    source = Path(__file__).parents[3] / "src"
    output = tmp_path / "set"
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "build.py"), str(output)], env={**os.environ, "PYTHONPATH": str(source)}
    )
    deadline = time.monotonic() + 120
    while len(list(output.rglob("[0-9]*.mp4"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "annotations.csv").exists()

    calls: list[tuple[int, int]] = []
    build_mocap_actions(
        output, train_clips=1, val_clips=0, test_clips=0, size_px=32, workers=1, on_progress=lambda *c: calls.append(c)
    )

    left = calls[0][0]
    assert 3 <= left < 18
    assert calls == [(done, 18) for done in range(left, 19)]
    whole = {name: data for name, data in contents(output).items() if not Path(name).name.startswith(".")}
    assert whole == contents(built)


def test_folders_that_hold_something_else_are_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds another build"):
        build_mocap_actions(built, size_px=64)
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(DataError, match="not empty"):
        build_mocap_actions(tmp_path)
    with pytest.raises(DataError, match="cannot build"):
        build_mocap_actions(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("settings", [{"size_px": 33}, {"size_px": 16}, {"train_clips": -1}, {"workers": 0}])
def test_numbers_out_of_range_are_refused(settings: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        build_mocap_actions(tmp_path / "set", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()
