"""The set of long recordings: what is written is what is shown, and the same whoever builds it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from lrcn.annotations.formats import read_annotations
from lrcn.errors import ConfigError
from lrcn_sets.behaviour.building import build_behaviour, render_recording, split_of, stage, stretches_of
from lrcn_sets.behaviour.performance import BEHAVIOURS
from lrcn_sets.cli import main
from lrcn_sets.mocap.clips import FPS

NUM_FRAMES = 300


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of half a minute, as the command line builds them."""
    output = tmp_path_factory.mktemp("behaviour") / "set"
    flags = ["--recordings", "2", "--minutes", "0.5", "--size-px", "32", "--workers", "1"]
    assert main(["behaviour", str(output), *flags]) == 0
    return output


def test_both_files_hold_the_bouts_that_are_rendered(built: Path) -> None:
    table, project = (read_annotations(built / f"annotations.{suffix}") for suffix in ("csv", "boris"))
    assert [recording.split for recording in table.recordings] == ["train", "test"]
    assert len({recording.group for recording in table.recordings}) == 2
    assert project.labels == tuple(BEHAVIOURS)
    for number, recordings in enumerate(zip(table.recordings, project.recordings, strict=True)):
        expected = [
            (stretch.label, stretch.start / FPS, stretch.end / FPS)
            for stretch in stretches_of(number, NUM_FRAMES)
            if stretch.label
        ]
        for recording in recordings:
            assert recording.path == built / "recordings" / f"{number + 1:02d}.mp4"
            assert recording.looked_at is not None
            assert recording.duration_s == NUM_FRAMES / FPS
            assert [(bout.label, bout.start_s, bout.end_s) for bout in recording.bouts] == expected


def test_a_video_shows_the_rendered_frames(built: Path) -> None:
    with av.open(str(built / "recordings" / "02.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == FPS
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    rendered = render_recording(1, NUM_FRAMES, 32)
    assert frames.shape == rendered.shape
    error = np.mean((frames.astype(float) - rendered) ** 2)
    assert 10 * np.log10(255**2 / error) > 30


def test_the_whole_person_stays_in_the_frame() -> None:
    for number in range(3):
        body, camera, _ = stage(number, NUM_FRAMES)
        seen, depth = camera.project(body.centers)
        assert depth.min() > 0.3
        assert abs(seen).max() < 0.5


def test_a_longer_set_keeps_what_is_there(built: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.rglob("*.mp4")}
    calls: list[tuple[int, int]] = []
    result = build_behaviour(
        built, recordings=2, minutes=0.5, size_px=32, workers=1, on_progress=lambda *call: calls.append(call)
    )
    assert result == built / "annotations.csv"
    assert calls == [(2, 2)]
    assert {path: path.stat().st_mtime_ns for path in built.rglob("*.mp4")} == before


def test_splits_come_in_order() -> None:
    assert [split_of(number, 6) for number in range(6)] == ["train"] * 3 + ["val"] + ["test"] * 2
    assert [split_of(number, 2) for number in range(2)] == ["train", "test"]
    assert split_of(0, 1) == "train"


@pytest.mark.parametrize("settings", [{"minutes": 0.4}, {"minutes": 61.0}, {"recordings": 0}, {"size_px": 33}])
def test_numbers_out_of_range_are_refused(settings: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        build_behaviour(tmp_path / "set", **settings)  # type: ignore[arg-type]
    assert not (tmp_path / "set").exists()
