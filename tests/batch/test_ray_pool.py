"""On a real cluster of this machine: workers that are killed, and a driver that is, lose and double nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from tests.conftest import MakeClip, textured_frames
from tests.pages import ROOT, blocks_of, run_page

pytest.importorskip("ray")

from lrcn.batch import ray_pool
from lrcn.batch.places import Place, find_places
from lrcn.batch.ray_pool import RayPool
from lrcn.batch.reading import UnitReader, Work
from lrcn.cli import main
from lrcn.errors import ConfigError

NUM_CLIPS = 60


Cluster = tuple[str, psutil.Process]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The address of a cluster with room for two workers, and its process."""
    for _ in range(3):
        port = free_port()
        command = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block"]
        flags = [f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=2", "--include-dashboard=false"]
        process = subprocess.Popen(
            [*command, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        if any("Ray runtime started" in line for line in process.stdout):
            break
        process.wait()  # it gives up where it does not come up within half a minute
    else:
        pytest.fail("Ray does not start")
    yield f"127.0.0.1:{port}", psutil.Process(process.pid)
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short clips, and among them one that is none."""
    folder = tmp_path_factory.mktemp("clips")
    for number in range(NUM_CLIPS - 1):
        make_clip(folder / f"{number:04}.avi", textured_frames(3 + number % 7, 60, 80, seed=number), 10)
    (folder / "0007b.avi").write_bytes(b"no video")
    return folder


@contextmanager
def until(what: str) -> Iterator[Iterator[None]]:
    """Give turns of a tenth of a second, for two minutes at most."""

    def turns() -> Iterator[None]:
        for _ in range(1200):
            yield
            time.sleep(0.1)
        pytest.fail(f"{what} does not come")

    yield turns()


def workers_of(cluster: psutil.Process) -> list[psutil.Process]:
    """The processes that read units now."""
    found = []
    for one in cluster.children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            found += [one] if "_Worker.read" in " ".join(one.cmdline()) else []
    return found


def sources_in(folder: Path) -> list[str]:
    return [
        name for part in (folder / "sources").glob("*.parquet") for name in pq.read_table(part)["source"].to_pylist()
    ]


def test_a_killed_worker_and_a_killed_driver_lose_and_double_nothing(
    cluster: Cluster,
    tiny_model: Path,
    clips: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address, head = cluster
    out = tmp_path / "out"
    command = ["batch", str(tiny_model), str(clips), "--output", str(out), "--workers", "2", "--address", address]
    driver = subprocess.Popen([sys.executable, "-m", "lrcn", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with until("a worker at work") as turns:
        for _ in turns:
            if working := workers_of(head):
                working[0].kill()
                break
    with until("a part after that") as turns:
        for _ in turns:
            if len(list((out / "sources").glob("*.parquet"))) >= 2:
                break
    driver.send_signal(signal.SIGKILL)
    assert driver.communicate() == (b"", b"")  # nor does Ray say anything
    before = sources_in(out)
    assert len(before) == len(set(before))
    assert main([*command, "--quiet"]) == 3
    said = capfd.readouterr().err.splitlines()
    assert said[-1] == f"lrcn: 1 of {NUM_CLIPS} sources failed; the others are done"
    assert said[-2].startswith(f"lrcn: error: {clips / '0007b.avi'}: not a video")
    assert sorted(sources_in(out)) == sorted(str(clip) for clip in clips.iterdir())
    places, _ = find_places([str(clips)], pictures=False)
    expected = UnitReader(Work(model=str(tiny_model))).read(places)
    found = pq.read_table(out / "segments")
    columns = ["source", "start_s", "end_s", "label_id"]
    assert sorted(map(str, found.select(columns).to_pylist())) == sorted(
        map(str, expected["segments"].select(columns).to_pylist())
    )


def test_the_page_about_batches(
    cluster: Cluster, tiny_model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    shutil.copy(tiny_model, tmp_path / "runs" / "mine" / "model.safetensors")
    (tmp_path / "clips").mkdir()
    for number in range(3):
        shutil.copy(clips / f"000{number}.avi", tmp_path / "clips")
    monkeypatch.chdir(tmp_path)
    run_page(blocks_of(ROOT / "docs" / "batch.md"), {"lrcn batch": f"--address {cluster[0]} --workers 1"}, {})
    assert pq.read_table("results/sources").num_rows == 3


class Deadly(Place):
    """Kills whoever opens it."""

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield Path()


def test_a_unit_that_kills_is_given_up_and_its_neighbours_are_not(
    cluster: Cluster, tiny_model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_pool, "MOST_DEATHS", 1)
    places, _ = find_places([str(clips)], pictures=False)
    deadly = Deadly("deadly", "", 0, places[0].modified)
    units = [[places[0]], [deadly, places[1]], [places[2]], [places[3]]]
    with RayPool(Work(model=str(tiny_model)), workers=1, address=cluster[0]) as pool:
        done = [table["sources"]["source"].to_pylist() for table in pool(units, isolate=False)]
        assert sorted(done) == [[places[number].name] for number in (0, 2, 3)]
        assert pool.num_workers == 1


def test_more_workers_than_there_is_room_for(cluster: Cluster, tiny_model: Path) -> None:
    for options, said in (
        ({"workers": 3}, "there is room for 2 worker"),
        ({"gpus_per_worker": 0.5}, "there is room for 0 worker"),
    ):
        with (
            RayPool(Work(model=str(tiny_model)), address=cluster[0], **options) as pool,
            pytest.raises(ConfigError, match=said),
        ):
            next(pool([[]], isolate=False))


def test_an_address_where_nobody_answers(tiny_model: Path) -> None:
    with (
        RayPool(Work(model=str(tiny_model)), address=f"127.0.0.1:{free_port()}") as pool,
        pytest.raises(ConfigError, match="no Ray cluster answers"),
    ):
        next(pool([[]], isolate=False))
