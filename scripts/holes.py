"""Damage the middle of long videos, and count which of the frames that can be decoded come back, at which times.

    python scripts/holes.py --frames 10000

Every frame shows its own number, so that each one that is read is known for what it is. A hole is a stretch of bytes in
the middle that were zeroed, are random, or are missing. Whole are the frames whose own packet and those of all frames
before it in its group of pictures lie outside. Prints a table; ends with code 1 if less than 95 % of them came back, or
nothing was said.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from lrcn.video.read import read_frames

FPS = 25
GROUP = 50
"""Frames from one keyframe to the next."""
_SIDE = 64
_CELL = 16
"""Pixels of a bit: codecs keep their mean."""
LEAST = 0.95


@dataclass(frozen=True)
class Kind:
    """A codec in a container."""

    name: str
    suffix: str
    codec: str
    options: dict[str, str]


KINDS = (
    Kind("H.264 in MP4", ".mp4", "libx264", {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}),
    Kind("H.264 in MPEG-TS", ".ts", "libx264", {"preset": "ultrafast", "bf": "2", "sc_threshold": "0"}),
    Kind("HEVC in MP4", ".mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none:scenecut=0"}),
    Kind("MPEG-4 in AVI", ".avi", "mpeg4", {"sc_threshold": "1000000000"}),
    Kind("VP9 in WebM", ".webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
)


def numbered(count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield frames `(64, 64, 3)` that show their number in 16 black and white squares."""
    for number in range(count):
        bits = np.array([number >> bit & 1 for bit in range(16)], np.uint8).reshape(4, 4)
        grey = np.kron(40 + 175 * bits, np.ones((_CELL, _CELL), np.uint8)).astype(np.uint8)
        yield np.repeat(grey[:, :, None], 3, axis=2)


def number_of(frame: NDArray[np.uint8]) -> int | None:
    """Return the number that a frame shows; None where a square is neither black nor white."""
    means = frame.mean(axis=2).reshape(4, _CELL, 4, _CELL)[:, 4:12, :, 4:12].mean(axis=(1, 3)).ravel()
    if (np.abs(means - 127.5) < 50).any():
        return None
    return sum(1 << bit for bit, mean in enumerate(means) if mean > 127.5)


def write(path: Path, kind: Kind, count: int, **muxing: str) -> None:
    """Write so many numbered frames, with options of the container."""
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream(kind.codec, rate=FPS, options={"g": str(GROUP), **kind.options})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        stream.gop_size = GROUP
        for number, pixels in enumerate(numbered(count)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def whole_frames(path: Path, hole: tuple[int, int]) -> set[int]:
    """Return the numbers of frames that a hole, from byte to byte, leaves decodable."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert stream.time_base is not None
        first = min(packet.pts for packet in packets if packet.pts is not None)
        numbers = [round(float((packet.pts or 0) - first) * float(stream.time_base) * FPS) for packet in packets]
    # a packet of MPEG-TS has headers inside: it reaches to where the next one begins
    ends = [max(packet.pos + packet.size, 0) for packet in packets]
    if path.suffix == ".ts":
        ends = [*(packet.pos for packet in packets[1:]), path.stat().st_size]
    whole, spoilt = set(), False
    for packet, number, end in zip(packets, numbers, ends, strict=True):
        spoilt = (spoilt and not packet.is_keyframe) or (packet.pos < hole[1] and end > hole[0])
        if not spoilt:
            whole.add(number)
    return whole


def _middle(path: Path, size: int) -> tuple[int, int]:
    """Return the first byte of a hole in the middle of the frames, and that after it; files are not equally dense."""
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(container.streams.video[0]) if packet.size]
    start = places[len(places) // 2] - size // 2
    return start, start + size


def _zeroed(content: bytes, hole: tuple[int, int]) -> bytes:
    return content[: hole[0]] + bytes(hole[1] - hole[0]) + content[hole[1] :]


def _random(content: bytes, hole: tuple[int, int]) -> bytes:
    return content[: hole[0]] + random.Random(0).randbytes(hole[1] - hole[0]) + content[hole[1] :]


def _missing(content: bytes, hole: tuple[int, int]) -> bytes:
    return content[: hole[0]] + content[hole[1] :]


DAMAGES: dict[str, Callable[[bytes, tuple[int, int]], bytes]] = {
    "zeroed": _zeroed,
    "random": _random,
    "missing": _missing,
}
"""What became of the bytes of a hole."""


def damages_of(kind: Kind) -> list[str]:
    """Return what can become of bytes: MP4 and AVI say in one place where frames are, so that none may be missing."""
    return [name for name in DAMAGES if not (name == "missing" and kind.suffix in (".mp4", ".avi"))]


@dataclass(frozen=True)
class Recovery:
    """What came back."""

    whole: int
    """Frames that could be decoded."""
    recovered: int
    """Of them, those that came, at their time."""
    again: int
    """Pictures that came again in the place of damaged ones, as decoders patch them up."""
    told: str
    """The warnings."""


def recovery(path: Path, kind: Kind, damage: str, share: float = 0.01) -> Recovery:
    """Damage a copy of a file that `write` wrote, read it, and compare."""
    content = path.read_bytes()
    hole = _middle(path, int(len(content) * share))
    broken = path.with_name(f"broken{kind.suffix}")
    broken.write_bytes(DAMAGES[damage](content, hole))
    whole = whole_frames(path, hole)
    told: list[str] = []
    right: set[int] = set()
    again = 0
    for chunk in read_frames(broken, on_warning=told.append):
        for pixels, time_s in zip(chunk.frames, chunk.times_s, strict=True):
            number = number_of(pixels)
            if number is not None and abs(time_s - number / FPS) < 1.5 / FPS:
                right.add(number)
            elif number in whole:
                again += 1
    return Recovery(len(whole), len(whole & right), again, "; ".join(told))


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=10_000)
    args = parser.parse_args()
    is_right = True
    titles = ("file", "hole", "can be decoded", "came back at their times", "again in place of others", "said")
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    with tempfile.TemporaryDirectory() as name:
        for kind in KINDS:
            path = Path(name) / f"whole{kind.suffix}"
            write(path, kind, args.frames)
            for damage in damages_of(kind):
                found = recovery(path, kind, damage)
                share = found.recovered / found.whole
                is_right &= share >= LEAST and bool(found.told)
                said = found.told.replace(name, "").replace("|", "/")
                print(f"| {kind.name} | {damage} | {found.whole} | {share:.2%} | {found.again} | {said} |", flush=True)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
