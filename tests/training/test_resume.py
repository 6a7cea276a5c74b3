"""A run that is killed at any moment and resumed ends with the same weights, bit for bit."""

from __future__ import annotations

import csv
import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import tiny_config, train_quietly

from lrcn.data.examples import RecognitionData

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["lrcn.training.fit"])  # or each run would spend seconds on imports


def run(config: Any, data: RecognitionData, output: Path, cache_dir: Path) -> None:
    multiprocessing.set_start_method("fork", force=True)  # its workers are its own children, and end with it
    train_quietly(config, data, output=output, cache_dir=cache_dir, resume=True, checkpoint_every_s=0.05)


def start(*args: Any) -> Any:
    process = processes.Process(target=run, args=args)
    process.start()
    return process


def history(output: Path) -> list[dict[str, str]]:
    with (output / "history.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"workers": 0, "epochs": 80}, id="features"),
        pytest.param({"workers": 2, "epochs": 60, "optimizer": "sgd", "accumulate": 2}, id="features-workers"),
        pytest.param({"workers": 2, "epochs": 6, "backbone_trainable": True}, id="frames-workers"),
    ],
)
def test_killed_and_resumed_run_ends_bit_equal(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = tiny_config(**changes)
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    began = time.monotonic()
    uninterrupted = start(config, bars, whole, cache_dir)
    uninterrupted.join(120)
    took_s = time.monotonic() - began
    assert uninterrupted.exitcode == 0

    kills = 0
    for _ in range(3):
        process = start(config, bars, pieces, cache_dir)
        time.sleep(random.uniform(0.2, 0.8) * took_s)
        process.kill()
        process.join()
        kills += process.exitcode != 0
    last = start(config, bars, pieces, cache_dir)
    last.join(120)

    assert last.exitcode == 0
    assert kills >= 1
    expected, found = (load_file(folder / "model.safetensors") for folder in (whole, pieces))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    assert history(pieces) == history(whole)
