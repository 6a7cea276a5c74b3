"""Training on several devices: the loss of one, the same bits every time, and ranks that are stopped or killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.conftest import MakeClip
from tests.training.tiny_training import LABELS, bar_frames, tiny_config

from lrcn.errors import ConfigError
from lrcn.training.features import own_share_first
from lrcn.training.trainer import check_launched

CLIENT = Path(__file__).with_name("ranks_client.py")
SETTINGS = ["--devices", "2", "--device", "cpu", "--head", "lstm", "--no-refit", "--hidden-size", "8", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """Eight training clips of each of two classes, all of one length, and validation clips."""
    root = tmp_path_factory.mktemp("devices")
    for split, count in (("train", 8), ("val", 3)):
        for label in LABELS[:2]:
            (root / "clips" / split / label).mkdir(parents=True)
            for number in range(count):
                frames = bar_frames(label, 12, number + 100 * (split == "val"))
                make_clip(root / "clips" / split / label / f"{number}.avi", frames)
    return root


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}


def _start(launcher: list[str], folder: Path, name: str, **settings: object) -> subprocess.Popen[str]:
    command = [sys.executable, *launcher, str(CLIENT), str(folder / "clips"), str(folder / name)]
    command += [str(folder / f"{name}-cache"), json.dumps(settings)]
    return subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _run(*arguments: object, **settings: object) -> None:
    process = _start(*arguments, **settings)  # type: ignore[arg-type]
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told


def _history(folder: Path, name: str) -> list[dict[str, float]]:
    with (folder / name / "history.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _until(process: subprocess.Popen[str], is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happens"
        time.sleep(0.02)


@pytest.mark.slow
def test_several_ranks_lose_what_one_does_with_batches_as_large_together(folder: Path) -> None:
    _run([], folder, "one", batch_size=8, epochs=3)
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "4", "--master-addr", "127.0.0.1"]
    _run([*torchrun, "--master-port", "29611"], folder, "four", batch_size=2, epochs=3, devices=4)
    one, four = _history(folder, "one"), _history(folder, "four")
    assert len(one) == len(four) == 3
    for row, other in zip(one, four, strict=True):
        for column in ("train_loss", "val_loss", "val_accuracy"):
            assert other[column] == pytest.approx(row[column], abs=1e-6), column
    assert one[0]["train_loss"] != pytest.approx(one[2]["train_loss"], abs=1e-3)


@pytest.mark.slow
def test_a_killed_rank_ends_all_and_the_run_goes_on_to_the_same_bits(folder: Path) -> None:
    settings = {"batch_size": 4, "epochs": 40, "devices": 2}
    _run([], folder, "whole", **settings)

    process = _start([], folder, "killed", **settings)
    _until(process, (folder / "killed" / "history.csv").is_file)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    os.kill(int(listed.stdout.split()[0]), signal.SIGKILL)
    _, told = process.communicate(timeout=120)
    assert "Traceback" not in told
    if process.returncode != -signal.SIGKILL:  # so Lightning ends all where its watcher sees the dead child first
        assert process.returncode == 1
        assert "--resume goes on from the last checkpoint" in told.splitlines()[-1]
    assert 0 < len(_history(folder, "killed")) < 40

    _run([], folder, "killed", **settings)
    kept = [torch.load(folder / name / "last.ckpt", weights_only=True)["model"] for name in ("whole", "killed")]
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][key], kept[1][key]) for key in kept[0])


@pytest.mark.slow
def test_all_ranks_stop_and_save_where_a_scheduler_ends_them(folder: Path) -> None:
    command = [sys.executable, "-m", "lrcn", "train", "recognition", str(folder / "clips"), *SETTINGS]
    command += ["--output", str(folder / "run"), "--cache-dir", str(folder / "cache"), "--epochs", "100000"]
    process = subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _until(process, (folder / "run" / "history.csv").is_file)
    os.killpg(process.pid, signal.SIGTERM)  # every rank is told, as schedulers do
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert "Traceback" not in told
    saved = torch.load(folder / "run" / "last.ckpt", weights_only=True)["state"]
    assert saved["step"] > 0
    assert not saved["finished"]
    assert not list((folder / "run").glob(".*-*"))


def test_as_many_processes_as_were_started_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    check_launched(tiny_config(devices=3))
    with pytest.raises(ConfigError, match="num_nodes 2: start this command on every machine"):
        check_launched(tiny_config(num_nodes=2))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_launched(tiny_config(devices=2, num_nodes=2))
    with pytest.raises(ConfigError, match="torchrun started 4 processes, and devices 1 on num_nodes 1 are 1"):
        check_launched(tiny_config())
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    monkeypatch.setenv("SLURM_NTASKS", "8")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    with pytest.raises(ConfigError, match="SLURM started 8 processes, and devices 2 on num_nodes 2 are 4"):
        check_launched(tiny_config(devices=2, num_nodes=2))


@pytest.mark.parametrize("num_ranks", [1, 2, 4, 7])
def test_each_rank_extracts_a_share_of_its_own_first(num_ranks: int) -> None:
    items = list(range(10))
    shares = [own_share_first(items, rank, num_ranks) for rank in range(num_ranks)]
    assert all(sorted(share) == items for share in shares)
    size = len(items) // num_ranks
    firsts = [item for share in shares for item in share[:size]]
    assert len(set(firsts)) == len(firsts)
