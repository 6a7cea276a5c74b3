from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml

from lrcn.errors import ModelFileError, TaskMismatchError
from lrcn.model_file import from_pretrained, header_from_dict, inspect, load, push_to_hub, save_pretrained


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    header, network = load(tiny_model)
    folder = tmp_path_factory.mktemp("hub") / "my-actions"
    save_pretrained(folder, header, network.state_dict())
    return folder


def test_folder_has_the_layout_of_the_hub(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_config_is_the_header(folder: Path) -> None:
    assert header_from_dict(json.loads((folder / "config.json").read_text()), source="config.json") == inspect(folder)


def test_folder_loads_as_the_model_it_was_saved_from(folder: Path, tiny_model: Path) -> None:
    header, network = from_pretrained(folder)
    expected_header, expected = load(tiny_model)
    assert header == expected_header
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in network.state_dict().items())


def test_card_says_what_a_stranger_needs(folder: Path, tiny_model: Path) -> None:
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["pipeline_tag"] == "video-classification"
    assert front["license"] == "test"
    header = inspect(tiny_model)
    for word in (*header.labels, "lrcn recognize video.mp4 --model my-actions", '"sample_fps": 10.0', header.sha256):
        assert word in card


def test_folder_that_cannot_be_made_is_one_line(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    header, network = load(tiny_model)
    with pytest.raises(ModelFileError, match="cannot be written"):
        save_pretrained(tmp_path / "file" / "model", header, network.state_dict())


def test_wrong_task_is_refused(folder: Path) -> None:
    with pytest.raises(TaskMismatchError, match="is a recognition model; use: lrcn recognize"):
        from_pretrained(folder, task="captioning")


@pytest.mark.parametrize("name", ["no-such-folder", "a/b/c", "../x/y"])
def test_what_is_no_repository_name_is_looked_for_here_only(name: str) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        from_pretrained(name)


# ---- against a small server that speaks the part of the Hub's protocol used here

COMMIT = "a" * 40


class _Hub(BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._answer_file()

    def do_GET(self) -> None:
        self._answer_file()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self._answer_json({"url": f"http://{self.headers['Host']}/me/new", "id": "me/new"})
        elif self.path == "/api/validate-yaml":
            self._answer_json({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self._answer_json({"files": modes})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    name = entry["value"]["path"]
                    self.files[f"/me/new/resolve/main/{name}"] = base64.b64decode(entry["value"]["content"])
            self._answer_json(
                {"commitUrl": f"http://{self.headers['Host']}/me/new/commit/{COMMIT}", "commitOid": COMMIT}
            )
        else:
            self.send_error(404)

    def _answer_file(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", '"abc"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _answer_json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(folder: Path) -> Iterator[str]:
    handler = type("Hub", (_Hub,), {"files": {"/me/there/resolve/main/model.safetensors": _content(folder)}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _content(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def run(program: str, tmp_path: Path, endpoint: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because huggingface_hub reads its settings when it is imported."""
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": endpoint,
        "HF_TOKEN": "hf_test",
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_OFFLINE": "0",  # `lrcn demo`, which other tests run in this process, turns it on
        **variables,
    }
    lines = "import time\ntime.sleep = lambda s: None\n"  # the Hub's client waits longer before each new try
    lines += f"from lrcn.errors import ModelFileError\nfrom lrcn.model_file import *\ntry:\n    {program}\n"
    catch = "except ModelFileError as exc:\n    print('refused:', exc)\n"
    return subprocess.run([sys.executable, "-c", lines + catch], text=True, capture_output=True, env=environment)


def test_model_comes_from_the_hub(hub: str, folder: Path, tmp_path: Path) -> None:
    result = run("print(from_pretrained('me/there')[0].sha256)", tmp_path, hub)
    assert result.stdout.strip() == inspect(folder).sha256, result.stderr


def test_model_goes_to_the_hub_and_comes_back(hub: str, folder: Path, tmp_path: Path) -> None:
    program = f"push_to_hub({str(folder)!r}, 'me/new'); print(from_pretrained('me/new')[0].sha256)"
    result = run(program, tmp_path, hub)
    assert result.stdout.strip() == inspect(folder).sha256, result.stderr


@pytest.mark.parametrize(
    ("endpoint", "variables"), [("", {}), ("http://127.0.0.1:9", {}), ("http://127.0.0.1:9", {"HF_HUB_OFFLINE": "1"})]
)
def test_hub_that_does_not_give_the_model_is_one_line(
    hub: str, tmp_path: Path, endpoint: str, variables: dict[str, str]
) -> None:
    result = run("from_pretrained('me/gone')", tmp_path, endpoint or hub, **variables)
    assert result.stdout.startswith("refused: me/gone: not found here, and not fetched from the Hugging Face Hub: ")
    assert len(result.stdout.splitlines()) == 1


def test_upload_that_fails_is_one_line(folder: Path, tmp_path: Path) -> None:
    result = run(f"push_to_hub({str(folder)!r}, 'me/new')", tmp_path, "http://127.0.0.1:9")
    assert result.stdout.startswith(f"refused: {folder}: not uploaded to me/new: "), result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_folder_without_a_model_is_not_uploaded(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        push_to_hub(tmp_path, "me/new")
