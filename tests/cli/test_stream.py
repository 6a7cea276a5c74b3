from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.video.test_live import free_port, serving

from lrcn.cli import exits, main
from lrcn.inference.recognition.predictor import Recognizer


def test_a_file_streams_the_segments_that_it_has(
    tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", str(clip20), "--model", str(tiny_model), "--json", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    expected = Recognizer.load(tiny_model, device="cpu")(clip20, top_k=3).segments
    segments = [json.loads(line) for line in said.out.splitlines()]
    assert len(segments) == len(expected)
    for found, segment in zip(segments, expected, strict=True):
        assert found["source"] == str(clip20)
        assert (found["start_s"], found["end_s"]) == pytest.approx((segment.start_s, segment.end_s))
        assert [e["prob"] for e in found["top"]] == pytest.approx([e.prob for e in segment.top], abs=1e-5)
    assert said.err == f"{clip20}: 20 frames\n"


def test_the_rest_go_on_where_one_source_does_not_open(
    tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["stream", "77", str(clip20), "gone.mp4", "--model", str(tiny_model), "--mode", "carry"]
    assert main(arguments) == exits.SOME_FAILED
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith(f"{clip20}  0.0 - 0.1 s  ")
    assert "camera 77: cannot be opened" in said.err
    assert "gone.mp4: no such file" in said.err
    # at once, because a camera may never end
    assert said.err.index("cannot be opened") < said.err.index(f"{clip20}: 20 frames")
    assert main(["stream", "77", "--model", str(tiny_model)]) == exits.ERROR
    assert main(["stream"]) == exits.USAGE
    assert main(["stream", "0", "--max-age", "0"]) == exits.USAGE


def test_a_camera_streams_through_the_death_of_its_server(tiny_model: Path, clip20: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "lrcn", "stream", url, str(clip20), "--json", "--model", str(tiny_model)]
    with serving(port, clip20) as server:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        live = 0
        while live < 3:
            live += json.loads(process.stdout.readline())["source"] == url
        server.kill()
        assert "lost" in process.stderr.readline()
    with serving(port, clip20):
        while "back" not in process.stderr.readline():
            pass
        sources = [json.loads(process.stdout.readline())["source"] for _ in range(5)]
        assert url in sources
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == exits.INTERRUPTED
    assert "dropped, reconnected 1 times" in errors
    assert "Traceback" not in errors
