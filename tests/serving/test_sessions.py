"""Streams over real sockets, of a server that loses its process in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.conftest import textured_frames
from tests.serving.running import PATIENCE_S, Running, wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.video.read import read_all


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(str(tiny_model), temp=tmp_path_factory.mktemp("uploads"))
    running.wait_ready()
    yield running
    pid = running.worker()
    running.kill()  # as nobody should, and still nothing is left
    wait_for(lambda: True if not _runs(pid) else None)


def _runs(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def segments_of(socket: ClientConnection, frames: list[bytes]) -> list[dict[str, Any]]:
    """Send frames and the end; return what comes back until the connection is closed."""
    found: list[dict[str, Any]] = []

    def listen() -> None:
        for text in socket:
            found.append(json.loads(text))

    listener = threading.Thread(target=listen)
    listener.start()
    for frame in [*frames, b""]:
        socket.send(frame)
    listener.join(PATIENCE_S)
    assert socket.close_code == 1000
    return found


def offline(model: Path, frames: list[np.ndarray], **options: Any) -> list[dict[str, Any]]:
    streaming = StreamingRecognizer(Recognizer.load(model, device="cpu"), **options)
    return [segment.to_dict() for segment in streaming.stream((frame, t / 10) for t, frame in enumerate(frames))]


def jpeg(frame: np.ndarray, tmp_path: Path) -> bytes:
    Image.fromarray(frame).save(tmp_path / "frame.jpg", quality=90)
    return (tmp_path / "frame.jpg").read_bytes()


def test_streams_say_what_they_say_offline_to_the_last_bit_though_a_process_is_killed(
    server: Running, tiny_model: Path, tmp_path: Path
) -> None:
    clips = [list(textured_frames(9 + seed, 80, 96, seed=seed)) for seed in range(4)]
    jpegs = [jpeg(frame, tmp_path) for frame in clips[0]]
    (tmp_path / "decoded").mkdir()
    decoded = []
    for number, encoded in enumerate(jpegs):
        (tmp_path / "decoded" / f"{number}.jpg").write_bytes(encoded)
        decoded.append(read_all(tmp_path / "decoded" / f"{number}.jpg")[0][0])
    raw = "?width=96&height=80"
    restarts = server.figure('lrcn_worker_restarts_total{model="tiny"}')
    half = threading.Barrier(len(clips) + 1)

    def follow(query: str, frames: list[bytes]) -> list[dict[str, Any]]:
        with connect(server.ws_url + query, open_timeout=PATIENCE_S, ping_timeout=None) as socket:
            middle = len(frames) // 2
            for frame in frames[:middle]:
                socket.send(frame)
            half.wait()
            half.wait()
            return segments_of(socket, frames[middle:])

    with ThreadPoolExecutor(len(clips)) as pool:
        streams = [pool.submit(follow, "", jpegs)]
        streams += [pool.submit(follow, raw, [frame.tobytes() for frame in clip]) for clip in clips[1:3]]
        streams += [pool.submit(follow, f"{raw}&mode=carry&top_k=1", [frame.tobytes() for frame in clips[3]])]
        half.wait()
        os.kill(server.worker(), signal.SIGKILL)  # with frames on their way
        half.wait()
        found = [one.result() for one in streams]
    assert server.figure('lrcn_worker_restarts_total{model="tiny"}') == restarts + 1
    assert found[0] == offline(tiny_model, decoded)
    assert found[1:3] == [offline(tiny_model, clip) for clip in clips[1:3]]
    assert found[3] == offline(tiny_model, clips[3], mode="carry", top_k=1)
    assert len(found[0]) >= 3


def test_a_stream_is_refused_or_closed_with_a_reason(server: Running) -> None:
    for query, status, text in [
        ("?model=tni", 404, "unknown model"),
        ("?model=tiny_captions", 404, "unknown model"),
        ("?width=8", 422, "width and height"),
        ("?mode=loop", 422, "mode"),
        ("?clip_stride=9", 422, "clip_stride must be between"),
    ]:
        with pytest.raises(InvalidStatus) as refused, connect(server.ws_url + query, open_timeout=PATIENCE_S):
            pass
        assert refused.value.response.status_code == status
        assert text in refused.value.response.body.decode()
    for message, query, code, text in [
        ("hello", "", 1003, "got text"),
        (b"no jpeg", "", 1007, "JPEG"),
        (b"\xff\xd8\xff but damaged", "", 1007, ""),
        (bytes(10), "?width=8&height=8", 1007, "192 bytes"),
        (bytes(2**24 + 1), "?width=8&height=8", 1009, ""),
    ]:
        with connect(server.ws_url + query, open_timeout=PATIENCE_S) as socket, suppress(ConnectionClosed):
            socket.send(message)
            socket.recv(PATIENCE_S)
        # who sends on into a connection that is closed may not get to read why
        assert socket.close_code == code or (code == 1009 and socket.close_code == 1006)
        assert text in (socket.close_reason or "")
    wait_for(lambda: server.figure('lrcn_sessions{model="tiny"}') == 0 or None)
