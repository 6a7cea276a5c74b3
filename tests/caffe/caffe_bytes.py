"""Writes Caffe's binary files byte by byte, without protobuf, and fills nets with the golden files' weights."""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "caffe"


def varint(value: int) -> bytes:
    value %= 2**64  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def float32(number: int, value: float) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<f", value)


def chunk(number: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def shape(dims: Iterable[int]) -> bytes:
    return chunk(7, chunk(1, b"".join(varint(dim) for dim in dims)))


def blob(values: np.ndarray) -> bytes:
    return shape(values.shape) + chunk(5, values.astype("<f4").tobytes())


def layer(
    name: str,
    kind: str,
    blobs: Sequence[bytes] = (),
    *,
    bottoms: Sequence[str] = (),
    tops: Sequence[str] = (),
    extra: bytes = b"",
) -> bytes:
    """A layer of today's format; `blobs` and `extra` are encoded already."""
    parts = [chunk(1, name), chunk(2, kind), *(chunk(3, b) for b in bottoms), *(chunk(4, t) for t in tops)]
    return chunk(100, b"".join([*parts, *(chunk(7, content) for content in blobs), extra]))


def v1_layer(
    name: str,
    kind: int,
    blobs: Sequence[bytes] = (),
    *,
    bottoms: Sequence[str] = (),
    tops: Sequence[str] = (),
    extra: bytes = b"",
) -> bytes:
    """A layer of the old format, its type a number."""
    parts = [*(chunk(2, b) for b in bottoms), *(chunk(3, t) for t in tops), chunk(4, name), integer(5, kind)]
    return chunk(2, b"".join([*parts, *(chunk(6, content) for content in blobs), extra]))


def rule_blob(layer_name: str, index: int, dims: Sequence[int]) -> np.ndarray:
    """A blob of the golden nets, see golden/caffe/README.md (Embed weights apart)."""
    rng = np.random.RandomState((zlib.crc32(f"{layer_name}/{index}".encode()) + 20150607) % 2**32)
    values = rng.standard_normal(dims)
    return (0.1 * values if len(dims) == 1 else values / math.sqrt(math.prod(dims[1:]))).astype(np.float32)


def rule_pixels(count: int) -> np.ndarray:
    return np.random.RandomState(20150607 + 7).uniform(-120, 130, (count, 3, 227, 227)).astype(np.float32)


def write_rule_net(prototxt: str, path: Path, *, map_px: int = 6, connected: bool = True) -> Path:
    """Write the caffemodel of a prototxt that has a layer a line, as the golden ones: weights by the rule, no settings.

    `map_px` is the side of the map that fc6 reads.
    """
    channels = 3
    with path.open("wb") as file:
        for line in re.findall(r"^layer\{.*", prototxt, re.MULTILINE):
            name, kind = re.search(r'name:"([^"]*)" type:"([^"]*)"', line).groups()
            numbers = {key: int(value) for key, value in re.findall(r"(num_output|kernel_size|group):(\d+)", line)}
            dims: list[tuple[int, ...]] = []
            if outputs := numbers.get("num_output"):
                if kind == "Convolution":
                    side = numbers["kernel_size"]
                    dims = [(outputs, channels // numbers["group"], side, side), (outputs,)]
                elif kind == "LSTM":
                    dims = [(4 * outputs, channels), (4 * outputs,), (4 * outputs, outputs)]
                else:
                    dims = [(outputs, channels * map_px**2 if name == "fc6" else channels), (outputs,)]
                channels = outputs
            blobs = [blob(rule_blob(name, i, size)) for i, size in enumerate(dims)]
            bottoms, tops = re.findall(r'bottom:"([^"]*)"', line), re.findall(r'top:"([^"]*)"', line)
            file.write(layer(name, kind, blobs, bottoms=bottoms * connected, tops=tops * connected))
    return path
