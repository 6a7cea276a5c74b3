"""Signals that end a training on several devices: all ranks stop at one step, and the run can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.conftest import MakeClip
from tests.training.tiny_training import LABELS, bar_frames

SETTINGS = ["--devices", "2", "--device", "cpu", "--head", "lstm", "--no-refit", "--hidden-size", "8", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    root = tmp_path_factory.mktemp("devices")
    for label in LABELS[:2]:
        (root / "clips" / label).mkdir(parents=True)
        for number in range(4):
            make_clip(root / "clips" / label / f"{number}.avi", bar_frames(label, 12, number))
    return root


def _train(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lrcn", "train", "recognition", str(folder / "clips"), *SETTINGS, *more]
    command += ["--output", str(folder / "run"), "--cache-dir", str(folder / "cache")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.slow
def test_all_ranks_stop_and_save_where_a_scheduler_ends_them(folder: Path) -> None:
    process = _train(folder, "--epochs", "100000")
    history = folder / "run" / "history.csv"
    until = time.monotonic() + 300
    while not history.is_file():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "no epoch came to its end"
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)  # every rank is told, as schedulers do
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert "Traceback" not in told
    saved = torch.load(folder / "run" / "last.ckpt", weights_only=True)["state"]
    assert saved["step"] > 0
    assert not saved["finished"]
    assert not list((folder / "run").glob(".*-*"))
