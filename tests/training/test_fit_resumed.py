"""A run that is killed at any moment and resumed ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.training.tiny_captions import picture_data
from tests.training.train_client import Server, serving, wait_for_writes

from lrcn.data.recognition.examples import RecognitionData

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(bars: RecognitionData, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    sets = {"recognition": bars, "captioning": picture_data(folder)}
    with serving(sets, folder, cache_dir) as server:
        yield server


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
            wait_for_writes(pieces / "last.ckpt", random.randint(1, 4), pid)
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
