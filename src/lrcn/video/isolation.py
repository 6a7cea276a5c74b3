"""Decoding in processes of their own, which may take so much and no more: what kills a decoder costs one input.

    with lrcn.isolated_decoding():
        recognizer("from-a-stranger.mp4")

Requests go to a child's stdin and answers come from its stdout: a line of JSON, then the bytes of frames, read into the
array that is handed on. Nothing of an answer is unpickled or run. See `isolated_reader.py` for the other end.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from lrcn.errors import ConfigError, MediaError
from lrcn.files import parse_json
from lrcn.video.footage import name_of
from lrcn.video.resize import MAX_FRAME_PIXELS, Frames

_LONGEST_ANSWER = 2**24
"""Bytes of a line that a child sends: the times of a chunk, and warnings."""

_ERRORS = {"MediaError": MediaError, "ConfigError": ConfigError}

_MB = 1e6

_START_S = 300.0
"""By the clock, until a process is ready: a machine that has other things to do takes long to import."""

_END_S = 5.0
"""By the clock, until a killed process is gone; one that waits for a dead network drive never is."""

_TIMES = 256
"""Times that a child is told at once."""


@dataclass(frozen=True, kw_only=True)
class DecodingLimits:
    """What the decoding of one input may take. Frames of more than `MAX_FRAME_PIXELS` are refused at any rate."""

    memory_bytes: int = 4 * 2**30
    """Beyond what the process has when it starts; not on Windows, and macOS does not enforce it."""
    cpu_s: float = 60.0
    """Seconds of CPU; not on Windows."""
    cpu_s_per_mb: float = 1.0
    """As many more for each 1,000,000 bytes of the input: a long recording may take long, a small file may not."""
    wall_s: float = 600.0
    """Seconds by the clock, of those that are spent waiting for it: a decoder that sleeps takes no CPU time."""
    wall_s_per_mb: float = 10.0
    """As many more for each 1,000,000 bytes of the input."""


class _Chunk(NamedTuple):
    """What `FrameChunk` is made of."""

    frames: Frames
    times_s: npt.NDArray[np.float64]
    end_s: float
    numbers: npt.NDArray[np.int64] | None


class _Died(Exception):
    """The child is gone, or said what no reader says."""


class _Child:
    """A process that reads one source after the other."""

    def __init__(self, limits: DecodingLimits) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lrcn.video.isolated_reader", json.dumps(asdict(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._is_ready = False
        self._left_s = 0.0
        self._was_late = False

    def begin(self, wall_s: float) -> None:
        """Expect a source, on which the process may have so many seconds waited; wait for it to start before.

        Raises:
            _Died: If it does not start.
        """
        if not self._is_ready:
            self._left_s = _START_S
            with self._in_time():
                self._is_ready = bool(self._answers.readline(_LONGEST_ANSWER))
        self._left_s = wall_s

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """End the process where the block takes longer than what is left.

        Raises:
            _Died: If it does.
        """
        began = time.monotonic()
        timer = threading.Timer(self._left_s, self._end_late)  # a pipe cannot be waited for with a limit everywhere
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            self._left_s = max(0.0, self._left_s - (time.monotonic() - began))
        if self._was_late:
            raise _Died

    def _end_late(self) -> None:
        self._was_late = True
        self._process.kill()

    def ask(self, request: dict[str, Any], content: bytes | memoryview = b"") -> dict[str, Any]:
        """Return the answer to a request, behind which `content` is sent.

        Raises:
            _Died: If none comes.
        """
        try:
            with self._in_time():
                self._requests.write(json.dumps(request).encode() + b"\n")
                self._requests.write(content)
                self._requests.flush()
                line = self._answers.readline(_LONGEST_ANSWER)
            answer = parse_json(line)
        except (OSError, ValueError) as exc:
            raise _Died from exc
        if not isinstance(answer, dict):
            raise _Died
        return answer

    def frames(self, answer: dict[str, Any]) -> _Chunk:
        """Return the frames that follow an answer.

        Raises:
            _Died: If they do not, or cannot be what was asked for.
        """
        try:
            count, height, width = map(int, answer["shape"])
            times_s, end_s = np.array(answer["times_s"], dtype=np.float64), float(answer["end_s"])
            numbers = None if answer["numbers"] is None else np.array(answer["numbers"], dtype=np.int64)
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise _Died from exc
        sane = min(count, height, width) > 0 and height * width <= MAX_FRAME_PIXELS and times_s.shape == (count,)
        sane = sane and (numbers is None or numbers.shape == (count,))
        if not sane or not np.isfinite(times_s).all() or not math.isfinite(end_s):
            raise _Died
        pixels = np.empty((count, height, width, 3), np.uint8)
        rest = pixels.data.cast("B")
        with self._in_time():
            while len(rest):
                read = self._answers.readinto(rest)  # type: ignore[attr-defined]
                if not read:
                    raise _Died
                rest = rest[read:]
        return _Chunk(pixels, times_s, end_s, numbers)

    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def why_dead(self) -> str:
        """End the process if it still runs, and say how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)  # its pipe may close a moment before it ends
        was_running = self.is_alive()
        self.close()
        code = self._process.returncode
        if self._was_late:
            return "it took more time than an input of this size may"
        if was_running or code is None:
            return "it sent what no decoder sends"
        if code == -getattr(signal, "SIGXCPU", 0):
            return "it took more CPU time than an input of this size may"
        return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        for pipe in (self._requests, self._answers):
            with suppress(OSError):
                pipe.close()


class Isolation:
    """Children that wait for work; one is started where all are busy."""

    def __init__(self, limits: DecodingLimits) -> None:
        """Start none yet."""
        self._limits = limits
        self._idle: queue.LifoQueue[_Child] = queue.LifoQueue()
        self._is_over = False

    def ask(self, what: str, media: Path | BinaryIO) -> Any:
        """Return what `isolated_reader.ANSWERS` says of a source.

        Raises:
            MediaError: If it cannot be read, or its reader died.
        """
        request, content = _request(what, media)
        with self._child(media, request["size"]) as child:
            return _checked(child.ask(request, content), None).get("value")

    def chunks(
        self,
        media: Path | BinaryIO,
        settings: dict[str, Any],
        warn: Callable[[str], object],
        *,
        times_s: Iterator[float] | None = None,
        threads: bool = True,
    ) -> Generator[_Chunk, None, None]:
        """Yield the frames that `OpenVideo.chunks` gives of a source with such settings.

        Args:
            media: The source.
            settings: Of `chunks`, or of `chunks_at`.
            warn: Called with one line for each thing that is wrong with it.
            times_s: Those of `chunks_at`, which may be without end; None for `chunks`.
            threads: As of `open_video`.

        Raises:
            MediaError, ConfigError: As there; `MediaError` if its reader died.
        """
        request, content = _request("frames", media)
        request |= {"settings": settings, "at_times": times_s is not None, "threads": threads}
        with self._child(media, request["size"]) as child:
            answer = _checked(child.ask(request, content), warn)
            try:
                while not answer.get("ended"):
                    if answer.get("more"):
                        told = {"times_s": list(itertools.islice(times_s or (), _TIMES))}
                        answer = _checked(child.ask(told), warn)
                        continue
                    yield child.frames(answer)
                    answer = _checked(child.ask({"what": "next"}), warn)
            except GeneratorExit:  # who reads has enough
                with suppress(_Died):
                    child.ask({"what": "stop"})
                raise

    @contextmanager
    def _child(self, media: Path | BinaryIO, size: int) -> Iterator[_Child]:
        child = self._waiting() or _Child(self._limits)
        try:
            child.begin(self._limits.wall_s + self._limits.wall_s_per_mb * size / _MB)
            yield child
        except _Died as exc:
            raise MediaError(
                f"{name_of(media)}: the process that decoded it died ({child.why_dead()}); is the file damaged?"
            ) from exc
        except (MediaError, ConfigError, GeneratorExit):
            self._put_back(child)  # it has said all that it had to say
            raise
        except BaseException:
            child.close()
            raise
        else:
            self._put_back(child)

    def _put_back(self, child: _Child) -> None:
        if self._is_over:  # who reads kept what it had begun to read
            child.close()
        else:
            self._idle.put(child)

    def _waiting(self) -> _Child | None:
        """Return a child that has nothing to do; None if there is none."""
        with suppress(queue.Empty):
            while not (child := self._idle.get_nowait()).is_alive():
                child.close()
            return child
        return None

    def close(self) -> None:
        """End the children; those that are busy end when they are not."""
        self._is_over = True
        while (child := self._waiting()) is not None:
            child.close()


def _request(what: str, media: Path | BinaryIO) -> tuple[dict[str, Any], bytes | memoryview]:
    """Return what asks a child about a source, and the bytes that go with it."""
    if isinstance(media, Path):
        return {"what": what, "path": str(media), "size": _size(media)}, b""
    media.seek(0)
    content = media.read()
    return {"what": what, "name": name_of(media), "size": len(content)}, content


def _size(path: Path) -> int:
    try:
        return sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    except OSError:  # who reads it will say so
        return 0


def _checked(answer: dict[str, Any], warn: Callable[[str], object] | None) -> dict[str, Any]:
    for text in answer.get("warnings", ()):
        if warn is not None:
            warn(str(text))
    if "error" in answer:
        raise _ERRORS.get(str(answer["error"]), MediaError)(str(answer.get("message")))
    return answer


_now: Isolation | None = None


def current() -> Isolation | None:
    """Return what decodes while `isolated_decoding` is in force, in any thread; None else."""
    return _now


@contextmanager
def isolated_decoding(limits: DecodingLimits | None = None) -> Iterator[None]:
    """Decode files, folders and bytes in processes of their own until the block ends, in all threads of this process.

    What is decoded is the same. An input whose decoding crashes, or takes more than it may, is a `MediaError` like one
    that is damaged. Images that are open already, cameras and streams are read as ever. The processes have the rights
    of this one, but may write no file: `SECURITY.md` says what that is worth.

    Args:
        limits: What an input may take; None for the default.
    """
    global _now
    before, _now = _now, Isolation(limits or DecodingLimits())
    isolation = _now
    try:
        yield
    finally:
        _now = before
        isolation.close()
