"""Decoding in processes of their own: the same frames, and what kills a process costs one input."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

import lrcn
from lrcn.data.file_checks import look_at_files
from lrcn.errors import ConfigError, MediaError
from lrcn.video.flow_file import FlowTag, read_flow_tag, write_flow_file
from lrcn.video.inputs import as_picture
from lrcn.video.isolation import DecodingLimits, isolated_decoding
from lrcn.video.read import probe, read_all, read_frames


def children() -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "isolated_reader" in line]


def test_what_is_read_is_the_same(clip20: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(textured_frames(1, 40, 30)[0]).convert("RGBA").save(image)
    broken = tmp_path / "b.avi"
    broken.write_bytes(clip20.read_bytes()[:-30_000])
    flow = tmp_path / "c.flow.mkv"
    write_flow_file(flow, list(textured_frames(3, 32, 48)), fps=10, tag=FlowTag("dis", None, (32, 48)))
    settings = (
        {},
        {"sample_fps": 5.0, "resize": 20},
        {"resize": (30, 31), "start_s": 0.5, "end_s": 1.0, "roi": (8, 4, 20, 30)},
    )

    def everything() -> list[object]:
        found: list[object] = [probe(path) for path in (clip20, image, broken, flow)]
        for path in (clip20, image, broken, flow):
            for chosen in settings[: 3 if path == clip20 else 2]:
                warnings: list[str] = []
                frames, times_s = read_all(path, on_warning=warnings.append, **chosen)  # type: ignore[arg-type]
                found.append((frames.shape, frames.tobytes(), times_s.tobytes(), warnings))
        frames, _ = read_all(io.BytesIO(clip20.read_bytes()))
        chunks = [
            (len(chunk.frames), chunk.end_s, None if chunk.numbers is None else chunk.numbers.tolist())
            for chunk in read_frames(clip20, sample_fps=7.0, chunk_size=3)
        ]
        return [*found, frames.tobytes(), chunks, read_flow_tag(flow), read_flow_tag(clip20)]

    here = everything()
    with isolated_decoding():
        assert everything() == here
        assert as_picture(image) == image
        assert as_picture(clip20) is None
        assert len(children()) == 1  # one after the other, whatever ended how
    assert not children()


def test_errors_are_the_same(clip20: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.mp4"
    nothing.write_bytes(b"nothing at all")
    cases = ((nothing, {}, MediaError), (clip20, {"start_s": 9.0}, MediaError), (clip20, {"resize": 0}, ConfigError))
    for path, settings, kind in cases:
        with pytest.raises(kind) as here:
            read_all(path, **settings)  # type: ignore[arg-type]
        with isolated_decoding(), pytest.raises(kind) as there:
            read_all(path, **settings)  # type: ignore[arg-type]
        assert str(here.value) == str(there.value)


def test_a_killed_decoder_costs_one_input(clip20: Path, frames20: np.ndarray) -> None:
    with isolated_decoding():
        chunks = read_frames(clip20, chunk_size=2)
        next(chunks)
        (child,) = children()
        os.kill(child, signal.SIGKILL)
        with pytest.raises(MediaError, match=r"clip20\.avi.*died \(by signal SIGKILL\)"):
            list(chunks)
        frames, _ = read_all(clip20)
        assert np.array_equal(frames, frames20)
        (child,) = children()
        os.kill(child, signal.SIGKILL)  # while it waits: nothing is lost
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # all its threads, not only the first
        frames, _ = read_all(clip20)
        assert np.array_equal(frames, frames20)


@pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP")
def test_a_decoder_that_sleeps_costs_one_input(clip20: Path, frames20: np.ndarray) -> None:
    """It takes no CPU time, and would be waited for without end."""
    with isolated_decoding(DecodingLimits(wall_s=2.0, wall_s_per_mb=0.0)):
        chunks = read_frames(clip20, chunk_size=2)
        next(chunks)
        (child,) = children()
        os.kill(child, signal.SIGSTOP)
        with pytest.raises(MediaError, match=r"clip20\.avi.*died \(it took more time than an input of this size may\)"):
            list(chunks)
        frames, _ = read_all(clip20)
        assert np.array_equal(frames, frames20)


def test_time_between_chunks_is_not_the_decoders(clip20: Path) -> None:
    with isolated_decoding(DecodingLimits(wall_s=1.0, wall_s_per_mb=0.0)):
        read_all(clip20)
        chunks = read_frames(clip20, chunk_size=10)
        next(chunks)
        time.sleep(1.5)
        assert len(next(chunks).frames) == 10
    assert len(children()) == 1  # still of use to who reads
    del chunks
    assert not children()


def test_files_of_a_data_set_look_the_same(clip20: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, pixels in enumerate(textured_frames(12, 24, 32)):
        Image.fromarray(pixels).save(frames / f"{number}.png")
    broken = tmp_path / "b.avi"
    broken.write_bytes(clip20.read_bytes()[:-30_000])
    (tmp_path / "nothing.mp4").write_bytes(b"nothing at all")
    long = tmp_path / "long.mkv"  # more times than are told at once
    make_clip(long, textured_frames(40, 24, 32), pts_ms=[10_000 * number for number in range(40)])
    paths = [clip20, frames, broken, tmp_path / "nothing.mp4", long]

    def looked_at() -> list[tuple[object, ...]]:
        found = look_at_files(paths, decode=True, on_progress=None).values()
        return [(replace(file, fingerprint=None), pickle.dumps(file.fingerprint)) for file in found]

    here = looked_at()
    with isolated_decoding():
        assert looked_at() == here
        assert children()
    assert sum(bool(file.error) for file, _ in here) == 1  # type: ignore[attr-defined]


def test_who_stops_early_leaves_a_reader_that_works(clip20: Path, frames20: np.ndarray) -> None:
    with isolated_decoding():
        for _ in range(3):
            chunks = read_frames(clip20, chunk_size=2)
            next(chunks)
            chunks.close()  # type: ignore[attr-defined]
        frames, _ = read_all(clip20)
        assert np.array_equal(frames, frames20)
        assert len(children()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_memory_and_time_are_limited(tmp_path: Path, clip20: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (8000, 8000)).save(large)  # 192 MB when decoded
    with isolated_decoding(DecodingLimits(memory_bytes=100 * 2**20)):
        with pytest.raises(MediaError) as refused:
            read_all(large)
        assert str(large) in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
        assert len(read_all(clip20, resize=8)[0]) == 20
    with isolated_decoding(DecodingLimits(cpu_s=0.0, cpu_s_per_mb=0.0)), pytest.raises(MediaError, match="CPU time"):
        read_all(large, sample_fps=1000.0, resize=(4000, 4000))  # 33 times


def test_no_answer_is_believed_that_no_reader_gives(
    clip20: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that was taken over may say anything: what it says is looked at, never run."""
    (tmp_path / "lrcn" / "video").mkdir(parents=True)
    for name in ("lrcn/__init__.py", "lrcn/video/__init__.py"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for answer in (
        '{"shape": [1, 99999, 99999]}',
        '{"shape": [1e400, 1, 1]}',
        "[" * 9000,
        "7",
        '{"shape": [2, 2, 2]}',
        "",
    ):
        (tmp_path / "lrcn" / "video" / "isolated_reader.py").write_text(
            f"print('{{}}', flush=True)\ninput()\nprint({answer!r})\n"
        )
        with isolated_decoding(), pytest.raises(MediaError, match="died"):
            read_all(clip20)


def test_predictions_are_the_same(tiny_model: Path, clip20: Path) -> None:
    recognizer = lrcn.load(tiny_model)
    here = recognizer(clip20)
    with lrcn.isolated_decoding():
        there = recognizer(clip20)
    assert replace(there, timing_s=here.timing_s) == here
