"""Commands on small inputs, run in forks of a process that imported everything: what `kills.py` and `faults.py` hurt.

A `Job` is a command line and what counts of its outputs; a `Bench` holds its inputs, and what an undisturbed run gives.
"""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import lrcn.training.fit as fit
from lrcn.cli import main as lrcn_main
from lrcn_sets.cli import main as sets_main

_WAIT_S = 300.0
"""After which a command hangs, on a machine that has other things to do."""

_STRAY_S = 15.0
"""Within which processes end that a killed one had started."""

Found = dict[str, object]


@dataclass(frozen=True)
class Job:
    """One command."""

    name: str
    arguments: Callable[[Path, Path], list[str]]
    """Of the folder of inputs and that of outputs: what follows the program's name."""
    found: Callable[[Path], Found]
    """What of the outputs must be the same whatever happened before."""
    main: Callable[[Sequence[str]], int] = lrcn_main
    again: tuple[str, ...] = ()
    """Arguments that let it go on."""
    costs: int = 1
    """Seconds of CPU, roughly: what costs more is tried less often."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; minus the number of the signal that killed it."""
    said: str
    """On stderr."""
    took_s: float
    strays: int = 0
    """Processes that it had started and that went on without it."""


def start(call: Callable[[], int], log: Path) -> int:
    """Run a function in a fork, in a session of its own, and return the process id; `log` takes what it says."""
    pid = os.fork()
    if pid:
        return pid
    code = 98  # whatever happens, nothing of the parent is unwound here: its folders are removed by it alone
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)  # whatever they were in the parent
        code = call()
    except SystemExit as exc:  # SIGTERM, as Python's own exit has it
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(pid: int, log: Path, began: float, *, within_s: float = _WAIT_S) -> Ended:
    """Wait for a process that `start` gave and for those that it started; what goes on after that is killed."""
    until = time.monotonic() + within_s
    while (waited := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.killpg(pid, signal.SIGKILL)
            waited = os.waitpid(pid, 0)
            _gone(pid)
            return Ended(-999, f"hung for {within_s:g} s\n" + _text(log), within_s)
        time.sleep(0.005)
    took_s = time.monotonic() - began
    strays = 0 if _gone(pid) else 1
    if strays:
        os.killpg(pid, signal.SIGKILL)
    return Ended(os.waitstatus_to_exitcode(waited[1]), _text(log), took_s, strays)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _gone(group: int) -> bool:
    """Wait until no process of a group is left; whether that came to be."""
    until = time.monotonic() + _STRAY_S
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def run(call: Callable[[], int], log: Path) -> Ended:
    """Run a function in a fork to its end."""
    began = time.monotonic()
    return finish(start(call, log), log, began)


def leftovers(folder: Path) -> list[str]:
    """Return what has a name as temporary files and folders have it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*-????????*"))


def age(folder: Path) -> None:
    """Make what was left behind two days old: it is removed by the next who writes there, but not before a day."""
    old = time.time() - 2 * 86_400
    for path in folder.rglob(".*-????????*"):
        os.utime(path, (old, old))


def hashes(folder: Path, pattern: str = "*") -> Found:
    """Return what the files of a folder hold."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def model_of(run_folder: Path) -> Found:
    """Return the weights and the history of a run; times of day and how long epochs took are left out."""
    from safetensors.numpy import load_file

    tensors = load_file(run_folder / "model.safetensors")
    with (run_folder / "history.csv").open() as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    names = sorted(path.name for path in run_folder.iterdir())
    return {"history": rows, "files": names, **{name: value.tobytes() for name, value in tensors.items()}}


def arrays_of(folder: Path) -> Found:
    """Return what the NumPy files and the tables of a folder hold."""
    found: Found = hashes(folder, "*.csv")
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as arrays:
            found |= {f"{path.name} {name}": arrays[name].tobytes() for name in arrays.files}
    return found


def _names_of(folder: Path) -> Found:
    """Return the names of what was exported: graphs state when they were made."""
    return {str(path.relative_to(folder)): None for path in sorted(folder.rglob("*"))}


def _train(inputs: Path, output: Path, config: str, task: str, data: str) -> list[str]:
    where = ["--output", str(output / "run"), "--cache-dir", str(output / "cache"), "--device", "cpu", "--quiet"]
    return ["train", task, str(inputs / data), "--config", str(inputs / config), *where]


JOBS = {
    job.name: job
    for job in (
        Job(
            "train, cached features",
            lambda inputs, output: _train(inputs, output, "cached.yaml", "recognition", "clips"),
            lambda output: model_of(output / "run"),
            again=("--resume",),
        ),
        Job(
            "train, frames",
            lambda inputs, output: _train(inputs, output, "frames.yaml", "recognition", "clips"),
            lambda output: model_of(output / "run"),
            again=("--resume",),
        ),
        Job(
            "train, captions",
            lambda inputs, output: _train(inputs, output, "captions.yaml", "captioning", "pictures"),
            lambda output: model_of(output / "run"),
            again=("--resume",),
            costs=3,
        ),
        Job(
            "data extract",
            lambda inputs, output: [
                *("data", "extract", str(inputs / "model.safetensors"), str(inputs / "clips")),
                *("--output", str(output / "features"), "--device", "cpu", "--quiet", "--runtime", "torch"),
            ],
            lambda output: arrays_of(output / "features"),
        ),
        Job(
            "export",
            lambda inputs, output: [
                *("export", str(inputs / "model.safetensors"), "--output", str(output / "graphs"), "--quiet")
            ],
            lambda output: _names_of(output / "graphs"),
            costs=10,
        ),
        Job(
            "data build",
            lambda inputs, output: [
                *("mocap-actions", str(output / "set"), "--train-clips", "0", "--val-clips", "1", "--test-clips", "0"),
                *("--size-px", "32", "--workers", "1", "--quiet"),
            ],
            lambda output: hashes(output / "set"),
            main=sets_main,
            costs=3,
        ),
        Job(
            "recognize, folder",
            lambda inputs, output: [
                *("recognize", str(inputs / "clips"), "--model", str(inputs / "model.safetensors"), "--quiet"),
                *("--csv", str(output / "windows.csv"), "--srt", str(output / "srt"), "--device", "cpu"),
            ],
            hashes,
        ),
        Job(
            "recognize, bouts",
            lambda inputs, output: [
                *("recognize", str(inputs / "clips"), "--model", str(inputs / "model.safetensors"), "--quiet"),
                *("--bouts", str(output / "bouts"), "--device", "cpu"),
            ],
            lambda output: hashes(output / "bouts", "*.csv"),
        ),
        Job(
            "caption, folder",
            lambda inputs, output: [
                *("caption", str(inputs / "pictures"), "--model", str(inputs / "captions.safetensors"), "--quiet"),
                *("--csv", str(output / "captions.csv"), "--device", "cpu"),
            ],
            hashes,
        ),
        Job(
            "evaluate",
            lambda inputs, output: [
                *("evaluate", str(inputs / "model.safetensors"), str(inputs / "clips"), "--split", "val", "--quiet"),
                *("--output", str(output / "scores"), "--device", "cpu"),
            ],
            lambda output: hashes(output / "scores", "*.csv"),
        ),
        Job(
            "data import",
            lambda inputs, output: [
                *("data", "import", str(inputs / "bouts.csv"), "--output", str(output / "bouts.eaf"), "--quiet")
            ],
            _names_of,
        ),
    )
}
"""Name -> a command that reads much and writes something."""


def make_inputs(folder: Path) -> int:
    """Write clips of three classes, pictures with sentences, settings, annotations, and a model of each task."""
    import yaml
    from tests.conftest import _make_clip
    from tests.training.tiny_captions import caption_config, picture_data
    from tests.training.tiny_training import LABELS, bar_frames, tiny_config

    for split, count in (("train", 5), ("val", 3)):
        for label in LABELS:
            (folder / "clips" / split / label).mkdir(parents=True)
            for number in range(count):
                frames = bar_frames(label, 8 + 3 * number, 10 * number + LABELS.index(label) + 1000 * (split == "val"))
                _make_clip(folder / "clips" / split / label / f"{split}-{label}-{number}.avi", frames, 10)
    (folder / "pictures").mkdir()
    data = picture_data(folder / "pictures")
    rows = ["path,caption,split"]
    for example in data.examples:
        rows += [f"{example.path.name},{caption},{example.split}" for caption in example.captions]
    (folder / "pictures" / "captions.csv").write_text("\n".join(rows) + "\n")
    for name, config in (
        ("cached", tiny_config(epochs=20)),
        ("frames", tiny_config(epochs=4, backbone_trainable=True)),
        ("captions", caption_config(epochs=4, views=2, runtime="torch")),
    ):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config.to_dict()))
    clip = "clips/val/left/val-left-0.avi"
    (folder / "bouts.csv").write_text(f"path,label,start_s,end_s\n{clip},dig,0.1,0.3\n{clip},rear,0.4,0.6\n")
    for job, name in (("train, cached features", "model"), ("train, captions", "captions")):
        output = folder / "made" / name
        output.mkdir(parents=True)
        if code := JOBS[job].main(JOBS[job].arguments(folder, output)):
            return code
        shutil.copyfile(output / "run" / "model.safetensors", folder / f"{name}.safetensors")
    return 0


@dataclass(frozen=True)
class Truth:
    """What a command gives that nobody disturbs."""

    found: Found
    took_s: float
    size: int
    """Bytes on the disk."""


@dataclass
class Bench:
    """A folder in which commands are tried."""

    folder: Path
    truths: dict[str, Truth] = field(default_factory=dict)
    """By the names of jobs."""

    @property
    def inputs(self) -> Path:
        """Where inputs lie; they may be moved away and back."""
        return self.folder / "inputs"

    def prepare(self) -> None:
        """Make the inputs."""
        self.inputs.mkdir(parents=True)
        ended = run(lambda: make_inputs(self.inputs), self.folder / "log")
        if ended.code:
            raise RuntimeError(f"the inputs could not be made: {ended.said}")

    def call(self, job: Job, output: Path, *more: str) -> Callable[[], int]:
        """Return the command as a function."""
        return lambda: job.main([*job.arguments(self.inputs, output), *more])

    def truth(self, job: Job) -> Truth:
        """Return what a job gives that nobody disturbs."""
        if job.name not in self.truths:
            with self.empty("truth") as output:
                ended = run(self.call(job, output), self.folder / "log")
                if ended.code or "Traceback" in ended.said:
                    raise RuntimeError(f"{job.name} fails undisturbed: {ended.said}")
                size = sum(512 * path.stat().st_blocks for path in output.rglob("*"))
                self.truths[job.name] = Truth(job.found(output), ended.took_s, size)
                assert self.truths[job.name].found, job.name
        return self.truths[job.name]

    @contextmanager
    def empty(self, name: str) -> Iterator[Path]:
        """Give a new folder, which is removed afterwards."""
        output = self.folder / name
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        try:
            yield output
        finally:
            shutil.rmtree(output, ignore_errors=True)


def set_up(environment: Mapping[str, str] | None = None) -> None:
    """Prepare this process for forks: one thread, checkpoints all the time, backbones of a few weights, no cache."""
    import tests.training.tiny_captions  # noqa: F401 - registers its backbones

    import lrcn.evaluation.recognition.page
    import lrcn.inference.captioning.predictor
    import lrcn.inference.recognition.predictor
    import lrcn.training.captioning.recipe
    import lrcn.training.recognition.recipe  # noqa: F401

    torch.set_num_threads(1)  # a fork has no part of the threads that its parent computed with
    assert fit.train.__kwdefaults__
    fit.train.__kwdefaults__["checkpoint_every_s"] = 0.02
    os.environ.update({"MPLBACKEND": "agg", **(environment or {})})
