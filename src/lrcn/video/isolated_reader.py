"""The process in which `isolation.py` has files decoded: takes requests from stdin, answers on stdout."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from lrcn.errors import ConfigError, LRCNError, MediaError
from lrcn.video.flow_file import read_flow_tag
from lrcn.video.footage import one_line
from lrcn.video.images import open_still
from lrcn.video.read import FrameChunk, open_video, probe

_MB = 1e6


class _Named(io.BytesIO):
    """Bytes that messages call what they were called where they came from."""

    name = "bytes"


def _is_still(media: Path | BinaryIO) -> bool:
    image = open_still(media)
    if image is not None:
        image.close()
    return image is not None


def _tag(media: Path | BinaryIO) -> dict[str, Any] | None:
    tag = read_flow_tag(media) if isinstance(media, Path) else None
    return None if tag is None else asdict(tag)


def _stated_s(media: Path | BinaryIO) -> float | None:
    with open_video(media) as video:
        return video.stated_s


ANSWERS: dict[str, Callable[[Path | BinaryIO], object]] = {
    "info": lambda media: asdict(probe(media)),
    "is_still": _is_still,
    "flow_tag": _tag,
    "stated_s": _stated_s,
}
"""What is asked -> what answers it in types of JSON."""


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this
    limits = json.loads(sys.argv[1])
    _limit_process(limits["memory_bytes"])
    _say(answers, {})  # ready: from here on the time of an input counts
    with suppress(BrokenPipeError):
        while line := sys.stdin.buffer.readline():
            request = json.loads(line)
            if request["what"] == "stop":
                _say(answers, {})
                continue
            media = _media(request)
            _limit_cpu(limits["cpu_s"] + limits["cpu_s_per_mb"] * request["size"] / _MB)
            _answer(answers, request, media)


def _media(request: dict[str, Any]) -> Path | BinaryIO:
    """Return the source that a request is about."""
    if "path" in request:
        return Path(request["path"])
    media = _Named(sys.stdin.buffer.read(request["size"]))
    media.name = request["name"]
    return media


def _answer(answers: BinaryIO, request: dict[str, Any], media: Path | BinaryIO) -> None:
    warnings: list[str] = []
    try:
        if request["what"] in ANSWERS:
            _say(answers, {"value": ANSWERS[request["what"]](media)})
            return
        settings: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in request["settings"].items()
        }
        settings["on_warning"] = warnings.append
        with open_video(media, threads=request["threads"]) as video:
            if request["at_times"]:
                _send_frames(answers, video.chunks_at(_told_times(answers), **settings), warnings)
            else:
                _send_frames(answers, video.chunks(**settings), warnings)
    except BrokenPipeError:
        raise
    except Exception as exc:
        kind = "ConfigError" if isinstance(exc, ConfigError) else "MediaError"
        _say(answers, {"error": kind, "message": _message(exc, request), "warnings": warnings})


def _message(error: Exception, request: dict[str, Any]) -> str:
    if isinstance(error, LRCNError):
        return str(error)
    name = request.get("path") or request["name"]
    if isinstance(error, MemoryError):
        return str(MediaError(f"{name}: takes more memory than an input may; scale it down"))
    return str(MediaError(f"{name}: cannot be decoded ({type(error).__name__}: {one_line(error)})"))


def _told_times(answers: BinaryIO) -> Iterator[float]:
    """Yield times, which are asked for where none is left."""
    while True:
        _say(answers, {"more": True})
        told = json.loads(sys.stdin.buffer.readline() or "{}").get("times_s")
        if not told:
            return
        yield from told


def _send_frames(answers: BinaryIO, chunks: Iterator[FrameChunk], warnings: list[str]) -> None:
    """Send a chunk, then one for each `next`, until there is none or `stop`."""
    for chunk in chunks:
        about = {"shape": chunk.frames.shape[:3], "times_s": chunk.times_s.tolist(), "end_s": chunk.end_s}
        about["numbers"] = None if chunk.numbers is None else chunk.numbers.tolist()
        _say(answers, {**about, "warnings": warnings}, chunk.frames.data)
        warnings.clear()
        del chunk
        if json.loads(sys.stdin.buffer.readline() or '{"what": "stop"}')["what"] == "stop":
            _say(answers, {})
            return
    _say(answers, {"ended": True, "warnings": warnings})


def _say(answers: BinaryIO, answer: dict[str, Any], content: memoryview | bytes = b"") -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.write(content)
    answers.flush()


def _limit_process(memory_bytes: int) -> None:
    """Limit what this process may take, from here on."""
    if sys.platform == "win32":
        return
    import resource

    with suppress(OSError, ValueError):  # macOS knows no limit of memory
        statm = Path("/proc/self/statm")
        taken = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_cpu(more_s: float) -> None:
    """Let this process take so many seconds more."""
    if sys.platform == "win32":
        return
    import resource

    spent = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(spent.ru_utime + spent.ru_stime + more_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


if __name__ == "__main__":
    main()
