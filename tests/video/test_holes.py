"""A hole in the middle of a file costs what it hit, at the right times, and is told; pauses are no holes."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from scripts.holes import FPS, KINDS, LEAST, Kind, damages_of, numbered, recovery, write
from tests.conftest import MakeClip, textured_frames

from lrcn.video.read import read_all

MUXING = {".webm": {"cluster_time_limit": "1000"}}
"""A demuxer of Matroska goes on at the next cluster."""


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kind]:
    kind = request.param
    path = tmp_path_factory.mktemp("holes") / f"whole{kind.suffix}"
    write(path, kind, 600, **MUXING.get(kind.suffix, {}))
    return path, kind


@pytest.mark.parametrize("damage", ["zeroed", "random", "missing"])
def test_what_lies_outside_comes_back_at_its_time(whole: tuple[Path, Kind], damage: str) -> None:
    path, kind = whole
    if damage not in damages_of(kind):
        pytest.skip("no place in it would be right")
    found = recovery(path, kind, damage)
    assert 500 < found.whole < 600
    assert found.recovered >= LEAST * found.whole
    assert re.search(r"no frame can be read from 11\.|damaged ones .* around 11\.", found.told), found.told
    assert "(file cut short?)" not in found.told


def test_nothing_is_told_of_whole_files(whole: tuple[Path, Kind]) -> None:
    path, _ = whole
    frames, times_s = read_all(path, on_warning=pytest.fail)
    assert len(frames) == 600
    np.testing.assert_allclose(times_s, np.arange(600) / FPS, atol=1e-3)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("alpha", [False, True])
def test_a_pause_is_no_hole(make_clip: MakeClip, tmp_path: Path, suffix: str, alpha: bool) -> None:
    """Screen recordings hold a frame where something changes."""
    path = tmp_path / f"pauses{suffix}"
    times_ms = [0, 40, 80, 9_000, 9_040, 60_000, 60_040]
    codec, pix_fmt = ("libx264", "yuv420p") if suffix == ".mp4" else ("ffv1", "bgra" if alpha else "bgr0")
    make_clip(path, textured_frames(7, 48, 64), 25, codec=codec, pix_fmt=pix_fmt, pts_ms=times_ms)
    _, times_s = read_all(path, on_warning=pytest.fail)
    np.testing.assert_allclose(times_s, np.array(times_ms) / 1000)


def test_a_frame_that_avi_repeats_is_no_hole(tmp_path: Path) -> None:
    """Capture programs write a chunk of no bytes where nothing new came in time."""
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(numbered(60)):
            if 20 <= number < 40:
                continue
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, times_s = read_all(path, on_warning=pytest.fail)
    assert len(frames) == 40
    np.testing.assert_allclose(times_s * FPS, [*range(20), *range(40, 60)], atol=0.01)


def test_streams_that_were_joined_go_on(tmp_path: Path) -> None:
    """Stamps that start anew are no strays."""
    kind = next(kind for kind in KINDS if kind.suffix == ".ts")
    write(tmp_path / "a.ts", kind, 100)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(2 * (tmp_path / "a.ts").read_bytes())
    frames, times_s = read_all(joined)
    assert len(frames) >= 198
    assert times_s[-1] == pytest.approx(200 / FPS, abs=0.2)
