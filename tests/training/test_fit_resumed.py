"""A run that is killed at any moment and resumed ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.tiny_captions import picture_data

from lrcn.data.recognition.examples import RecognitionData

ROOT = Path(__file__).parents[2]


class Server:
    """Starts training runs and waits for them."""

    def __init__(self, process: subprocess.Popen[str], data: dict[str, Path], cache_dir: Path) -> None:
        self._process = process
        self._data = data
        self._cache_dir = cache_dir

    def start(self, task: str, settings: dict[str, Any], output: Path) -> int:
        folders = {"data": str(self._data[task]), "output": str(output), "cache_dir": str(self._cache_dir)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"task": task, "settings": settings, **folders}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def server(bars: RecognitionData, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    sets = {"recognition": bars, "captioning": picture_data(folder)}
    data = {task: folder / f"{task}.pickle" for task in sets}
    for task, path in data.items():
        path.write_bytes(pickle.dumps(sets[task]))
    command = [sys.executable, "-m", "tests.training.train_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process, data, cache_dir)
        assert process.stdin is not None
        process.stdin.close()


def written(checkpoint: Path) -> int:
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def wait_for_checkpoints(checkpoint: Path, count: int, pid: int) -> None:
    """Return when `count` more checkpoints were written, or the process has ended."""
    seen = written(checkpoint)
    while count > 0 and Path(f"/proc/{pid}").exists():
        time.sleep(0.002)
        if written(checkpoint) != seen:
            seen = written(checkpoint)
            count -= 1


def history(output: Path) -> list[dict[str, str]]:
    with (output / "history.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.skipif(not Path("/proc").exists(), reason="watches processes in /proc")
@pytest.mark.parametrize(
    ("task", "settings"),
    [
        pytest.param("recognition", {"workers": 0, "epochs": 60}, id="features"),
        pytest.param("recognition", {"epochs": 60, "runtime": "openvino"}, id="features-openvino"),
        pytest.param(
            "recognition", {"workers": 2, "epochs": 40, "optimizer": "sgd", "accumulate": 2}, id="features-workers"
        ),
        pytest.param("recognition", {"workers": 2, "epochs": 8, "backbone_trainable": True}, id="frames-workers"),
        pytest.param("captioning", {"epochs": 12, "views": 2, "output_dropout": 0.5}, id="captions"),
        pytest.param("captioning", {"epochs": 20, "objective": "cider_d", "lr": 0.001}, id="captions-reward"),
        pytest.param("captioning", {"workers": 2, "epochs": 8, "backbone_trainable": True}, id="captions-frames"),
    ],
)
def test_killed_and_resumed_run_ends_bit_equal(
    server: Server, tmp_path: Path, task: str, settings: dict[str, Any]
) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    server.start(task, settings, whole)
    assert server.wait() == 0

    kills = []
    for number in range(4):
        pid = server.start(task, settings, pieces)
        if number == 0:
            time.sleep(random.uniform(0.0, 0.3))  # before or soon after the first step
        else:
            wait_for_checkpoints(pieces / "last.ckpt", random.randint(1, 4), pid)
            time.sleep(random.uniform(0.0, 0.03))
        os.kill(pid, signal.SIGKILL)
        kills.append(server.wait())
    server.start(task, settings, pieces)
    assert server.wait() == 0

    assert -signal.SIGKILL in kills[1:]
    expected, found = (load_file(folder / "model.safetensors") for folder in (whole, pieces))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    assert history(pieces) == history(whole)
    assert not [path for path in pieces.iterdir() if path.name.startswith(".last")]
