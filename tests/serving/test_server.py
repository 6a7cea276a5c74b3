"""A real server over real sockets: answers, statuses, streams, killed processes, the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames
from tests.pages import ROOT, blocks_of, check_command
from tests.serving.running import PATIENCE_S, Running, held, wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from lrcn.cli import main
from lrcn.inference.recognition.predictor import Recognizer

PAGE = ROOT / "docs" / "serving.md"
KEY = "a-key-for-this-test-alone"
MAX_QUEUE = 2
PLACES = MAX_QUEUE + 4


@pytest.fixture(scope="module")
def server(tiny_model: Path, tiny_caption_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two models and a short queue."""
    temp = tmp_path_factory.mktemp("uploads")
    running = Running(str(tiny_model), str(tiny_caption_model), "--max-queue", str(MAX_QUEUE), temp=temp)
    running.wait_ready()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    Image.fromarray(textured_frames(1, 80, 90, seed=3)[0]).save(path)
    return path


def post(server: Running, path: str, *files: tuple[str, Any], data: Any = None, **query: Any) -> httpx.Response:
    answer = httpx.post(f"{server.url}{path}", files=list(files), data=data, params=query, timeout=PATIENCE_S)
    assert "Traceback" not in answer.text
    assert str(server.temp) not in answer.text
    return answer


def recognize(server: Running, clip: Path, **query: Any) -> httpx.Response:
    return post(server, "/v1/recognize", ("file", (clip.name, clip.read_bytes())), **query)


def said_by_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Return what a command prints with `--json`, but for what differs from run to run."""
    capsys.readouterr()
    assert main([*arguments, "--json", "--quiet", "--device", "cpu"]) == 0
    return [bare(json.loads(line)) for line in capsys.readouterr().out.splitlines()]


def bare(result: dict[str, Any]) -> dict[str, Any]:
    result = {name: value for name, value in result.items() if name != "timing_s"}
    if "source" in result:
        result["source"] = Path(result["source"]).name
    return result


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "flags"),
    [
        ({}, []),
        ({"top_k": 1, "clip_stride": 1}, ["--top-k", "1", "--clip-stride", "1"]),
        ({"roi": "8,4,40,40", "unknown_below": 0.9}, ["--roi", "8,4,40,40", "--unknown-below", "0.9"]),
        ({"crops": 10}, ["--crops", "10"]),
        ({"bouts": True, "threshold": 0.3}, ["--threshold", "0.3"]),
    ],
)
def test_a_clip_is_answered_as_the_command_line_does_to_the_last_digit(
    server: Running,
    tiny_model: Path,
    clip20: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    query: dict[str, Any],
    flags: list[str],
) -> None:
    folder = ["--bouts", str(tmp_path / "bouts")] if "bouts" in query else []
    expected = said_by_command(capsys, "recognize", str(clip20), "--model", str(tiny_model), *flags, *folder)
    answer = recognize(server, clip20, **query)
    assert answer.status_code == 200
    assert [bare(answer.json())] == expected
    assert ("bouts" in answer.json()) == ("bouts" in query)


def test_an_excerpt_is_answered_as_the_library_does(server: Running, tiny_model: Path, clip20: Path) -> None:
    expected = Recognizer.load(tiny_model, device="cpu")(clip20, start_s=0.5, end_s=1.5).to_dict()
    assert bare(recognize(server, clip20, start_s=0.5, end_s=1.5).json()) == bare(expected)


def test_captions_and_retrieval_are_those_of_the_command_line(
    server: Running,
    tiny_caption_model: Path,
    clip20: Path,
    picture: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = ["--model", str(tiny_caption_model)]
    for path in (clip20, picture):
        flags = ["--segment-s", "0.5", "--num-captions", "2"]
        expected = said_by_command(capsys, "caption", str(path), *model, *flags)
        file = ("file", (path.name, path.read_bytes()))
        answer = post(server, "/v1/caption", file, segment_s=0.5, num_captions=2)
        assert [bare(answer.json())] == expected

    texts = ["a red square", "a blue circle moves"]
    expected = said_by_command(capsys, "retrieve", *model, "--images", str(clip20), str(picture), "--text", *texts)
    for result in expected:
        for match in result["matches"]:
            match["item"] = Path(match["item"]).name
    files = [("images", (path.name, path.read_bytes())) for path in (clip20, picture)]
    assert post(server, "/v1/retrieve", *files, data={"text": texts}).json()["results"] == expected

    (tmp_path / "texts.txt").write_text("\n".join(texts))
    of_image = ["--image", str(picture), "--captions", str(tmp_path / "texts.txt"), "--images", str(clip20)]
    (expected_one,) = said_by_command(capsys, "retrieve", *model, *of_image)
    files = [("images", (clip20.name, clip20.read_bytes())), ("image", (picture.name, picture.read_bytes()))]
    (found,) = post(server, "/v1/retrieve", *files, data={"text": texts}).json()["results"]
    assert found == {**expected_one, "query": picture.name}


def test_models_are_listed_with_what_clients_must_know(server: Running) -> None:
    listed = {model["name"]: model for model in httpx.get(f"{server.url}/v1/models").json()["models"]}
    assert listed["tiny"]["labels"] == ["walk", "wave", "jump"]
    assert (listed["tiny"]["sample_fps"], listed["tiny"]["clip_length"]) == (10.0, 4)
    assert listed["tiny_captions"]["task"] == "captioning"


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_answered_has_its_status_and_one_line(server: Running, clip20: Path) -> None:
    clip = ("file", ("clip.avi", clip20.read_bytes()))
    url = f"{server.url}/v1/recognize"
    answers = [
        (404, "unknown model 'tni'", post(server, "/v1/recognize", clip, model="tni")),
        (404, "Not Found", post(server, "/v1/nothing", clip)),
        (405, "Method Not Allowed", httpx.get(url)),
        (415, "multipart/form-data", httpx.post(url, json={"file": "clip.avi"})),
        (422, "tiny_captions is a captioning model", post(server, "/v1/recognize", clip, model="tiny_captions")),
        (422, "top_k", post(server, "/v1/recognize", clip, top_k=0)),
        (422, "end_s must lie after start_s", post(server, "/v1/recognize", clip, start_s=2, end_s=1)),
        (422, "clip_stride must be between", post(server, "/v1/recognize", clip, clip_stride=5)),
        (422, "give bouts=true", post(server, "/v1/recognize", clip, threshold=0.5)),
        (422, "does not lie", post(server, "/v1/recognize", clip, roi="900,900,10,10")),
        (422, "is empty", post(server, "/v1/recognize", ("file", ("clip.avi", b"")))),
        (422, "expected file", post(server, "/v1/recognize", ("video", clip[1]))),
        (422, "one file", post(server, "/v1/recognize", clip, clip)),
        (422, "clip.avi", post(server, "/v1/recognize", ("file", ("../../clip.avi", b"no video at all")))),
        (422, "num_captions", post(server, "/v1/caption", clip, num_captions=9)),
        (422, "`text`", post(server, "/v1/retrieve", ("images", clip[1]))),
    ]
    for status, text, answer in answers:
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
        assert text in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
    assert server.left_behind() == []


@pytest.mark.parametrize("stated", [10, 10_000])
def test_a_body_that_lies_about_its_length_costs_nobody_anything(server: Running, clip20: Path, stated: int) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nno video\r\n--b--\r\n'
    head = f"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: {stated}\r\n"
    with socket.create_connection(server.url.removeprefix("http://").split(":")) as raw:
        raw.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
        if stated < len(body):
            assert b" 422 " in raw.recv(1000)
    wait_for(lambda: server.figure('lrcn_admitted{model="tiny"}') == 0 or None)
    assert recognize(server, clip20).status_code == 200
    assert server.left_behind() == []


def test_a_full_queue_is_429_and_says_when_to_come_back(server: Running, clip20: Path) -> None:
    with ThreadPoolExecutor(PLACES) as pool:
        with held(server.worker()):
            accepted = [pool.submit(recognize, server, clip20) for _ in range(PLACES)]
            wait_for(lambda: server.figure('lrcn_admitted{model="tiny"}') == PLACES or None)
            refused = recognize(server, clip20)
            large = post(server, "/v1/recognize", ("file", ("large.avi", bytes(5_000_000))))
        assert [one.result().status_code for one in accepted] == [200] * PLACES
    assert (refused.status_code, large.status_code) == (429, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert recognize(server, clip20).status_code == 200


def test_a_client_that_goes_away_cancels_its_work(server: Running, clip20: Path) -> None:
    before = server.figure('lrcn_cancelled_total{model="tiny"}')
    done = server.figure('lrcn_job_seconds_count{model="tiny"}')
    files = {"file": clip20.read_bytes()}
    with held(server.worker()):
        with ThreadPoolExecutor(PLACES) as pool:
            for one in [
                pool.submit(httpx.post, f"{server.url}/v1/recognize", files=files, timeout=1.0) for _ in range(PLACES)
            ]:
                with pytest.raises(httpx.ReadTimeout):
                    one.result()
        wait_for(lambda: server.figure('lrcn_cancelled_total{model="tiny"}') == before + PLACES or None)
        assert server.figure('lrcn_waiting{model="tiny"}') == server.figure('lrcn_admitted{model="tiny"}') == 0
        assert server.left_behind() == []
    assert recognize(server, clip20).status_code == 200
    wait_for(lambda: server.figure('lrcn_job_seconds_count{model="tiny"}') >= done + 5 or None)
    assert server.figure('lrcn_job_seconds_count{model="tiny"}') == done + 4 + 1  # two were never handed out


# -- killed processes and the end -------------------------------------------------------------------------------------


def test_a_killed_process_is_told_and_started_again_and_its_requests_are_answered(
    server: Running, clip20: Path
) -> None:
    expected = bare(recognize(server, clip20).json())
    restarts = httpx.get(f"{server.url}/ready").json()["models"]["tiny"]["restarts"]
    pid = server.worker()
    with ThreadPoolExecutor(PLACES) as pool:
        with held(pid):
            asked = [pool.submit(recognize, server, clip20) for _ in range(PLACES)]
            wait_for(lambda: server.figure('lrcn_admitted{model="tiny"}') == PLACES or None)
            os.kill(pid, signal.SIGKILL)
            told = wait_for(lambda: _unready(server))
        assert [bare(one.result().json()) for one in asked] == [expected] * PLACES
    assert (told["ready"], told["models"]["tiny"]["state"]) == (False, "starting")
    assert told["models"]["tiny"]["last_exit"] == "by signal SIGKILL"
    assert told["models"]["tiny_captions"]["state"] == "ready"
    server.wait_ready()
    assert httpx.get(f"{server.url}/ready").json()["models"]["tiny"]["restarts"] == restarts + 1


def _unready(server: Running) -> dict[str, Any] | None:
    answer = httpx.get(f"{server.url}/ready", timeout=PATIENCE_S)
    return answer.json() if answer.status_code == 503 else None


@pytest.fixture(scope="module")
def guarded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Keys, short times, small uploads."""
    temp = tmp_path_factory.mktemp("guarded")
    keys = temp / "keys.txt"
    keys.write_text(f"# of the lab\n\n{'x' * 20}\n{KEY}\n")
    limits = ["--deadline", "12", "--idle", "8", "--max-upload-mb", "1"]
    running = Running(str(tiny_model), "--keys", str(keys), *limits, temp=temp)
    running.wait_ready()
    yield running
    running.kill()


HEADERS = {"Authorization": f"Bearer {KEY}"}


def test_keys_uploads_and_times_are_limited_and_what_is_accepted_is_finished_at_the_end(
    guarded: Running, clip20: Path
) -> None:
    url, files = f"{guarded.url}/v1/recognize", {"file": clip20.read_bytes()}
    for headers in ({}, {"Authorization": KEY}, {"Authorization": "Bearer " + "x" * 19}):
        assert httpx.post(url, files=files, headers=headers).status_code == 401
        assert httpx.get(f"{guarded.url}/metrics", headers=headers).status_code == 401
        with pytest.raises(InvalidStatus, match="401"), connect(guarded.ws_url, additional_headers=headers):
            pass
    assert httpx.get(f"{guarded.url}/health").json() == {"status": "ok"}
    assert httpx.post(url, files=files, headers=HEADERS, timeout=PATIENCE_S).status_code == 200

    stated = httpx.post(url, files={"file": bytes(10**6)}, headers=HEADERS, timeout=PATIENCE_S)

    def unstated() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield from [bytes(2**16)] * 20

    chunked = {**HEADERS, "Content-Type": "multipart/form-data; boundary=b"}
    streamed = httpx.post(url, content=unstated(), headers=chunked, timeout=PATIENCE_S)
    assert (stated.status_code, streamed.status_code) == (413, 413)

    with (
        connect(guarded.ws_url, additional_headers=HEADERS, open_timeout=PATIENCE_S) as idle,
        pytest.raises(ConnectionClosed, match="no frame for 8 s"),
    ):
        idle.recv(PATIENCE_S)

    pid = guarded.worker()
    with held(pid):
        late = httpx.post(url, files=files, headers=HEADERS, timeout=PATIENCE_S)
    assert (late.status_code, "12 s" in late.json()["error"]) == (504, True)
    assert guarded.left_behind() == []

    with (
        connect(guarded.ws_url, additional_headers=HEADERS, open_timeout=PATIENCE_S) as open_stream,
        ThreadPoolExecutor(1) as pool,
        held(pid),
    ):
        accepted = pool.submit(httpx.post, url, files=files, headers=HEADERS, timeout=PATIENCE_S)
        admitted = 'lrcn_admitted{model="tiny"}'
        wait_for(lambda: guarded.figure(admitted, **HEADERS) == 1 or None)
        guarded.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed, match="1012"):
            open_stream.recv(PATIENCE_S)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{guarded.url}/health")
        os.kill(pid, signal.SIGCONT)
        assert accepted.result().status_code == 200
    assert guarded.process.wait(PATIENCE_S) == 0
    assert "Traceback" not in "".join(guarded.lines)
    assert guarded.left_behind() == []


def test_what_cannot_be_served_is_one_line(tiny_model: Path, server: Running, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(tiny_model.read_bytes())
    content[-3] ^= 1
    damaged.write_bytes(content)
    (tmp_path / "keys").write_text("short\n")
    for arguments, text in [
        ([str(tiny_model), "--port", port], f"--port {port}: nothing can listen on 127.0.0.1:{port}"),
        ([str(tmp_path / "none.safetensors")], "none.safetensors"),
        ([str(damaged), "--port", "0"], "damaged"),
        ([str(tiny_model), str(tiny_model)], "2 of the models are called 'tiny'"),
        ([str(tiny_model), "--keys", str(tmp_path / "keys")], "keys line 1: a key has at least 16"),
        ([], "name at least one model"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "lrcn", "serve", *arguments], capture_output=True, text=True, timeout=PATIENCE_S
        )
        errors = [line for line in done.stderr.splitlines() if not line.startswith("lrcn: listening")]
        assert done.returncode in (1, 2)
        assert len(errors) == 1, done.stderr
        assert text in errors[0]


# -- docs -------------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_page_run(
    server: Running, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make_clip(tmp_path / "holiday.mp4", textured_frames(30, 80, 96), 10, codec="libx264", pix_fmt="yuv420p")
    monkeypatch.chdir(tmp_path)
    blocks = blocks_of(PAGE)
    curls = pythons = 0
    for block in blocks:
        text = block.text.replace("127.0.0.1:8000", server.url.removeprefix("http://"))
        if block.language == "sh":
            for words in block.commands():
                check_command(words, block)
            for line in text.splitlines() if "curl" in text else ():
                done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
                assert (done.returncode, "error" in done.stdout) == (0, False), (line, done.stdout, done.stderr)
                curls += 1
        elif block.language == "python":
            exec(compile(text, block.place, "exec"), {})
            pythons += 1
    assert (curls, pythons) == (2, 2)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 + 14  # a line of the whole, and one a window of 4 frames, 2 apart, of 30
