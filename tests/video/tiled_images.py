"""Pictures as phones write them: one HEIF or AVIF file whose picture is a grid of tiles, built box by box.

Source of the layout: ISO/IEC 23008-12 (HEIF), `grid` derived image items.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def write_tiled(path: Path, pixels: Pixels, *, tile: int, turns: int = 0, mirror_axis: int | None = None) -> None:
    """Write `(H, W, 3)` pixels as tiles of `tile` px; the suffix, `.heic` or `.avif`, chooses the coding.

    Args:
        path: Where to.
        pixels: The picture as stored, before it is turned.
        tile: Side of a tile in px; the last row and column are padded.
        turns: Quarter turns counterclockwise that show it upright (`irot`).
        mirror_axis: `imir`: 0 flips top and bottom, 1 left and right; None leaves it out.
    """
    code = b"hvc1" if path.suffix == ".heic" else b"av01"
    encode = _hevc_tile if code == b"hvc1" else _av1_tile
    height, width = pixels.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.pad(pixels, ((0, rows * tile - height), (0, columns * tile - width), (0, 0)), mode="edge")
    tiles = [
        encode(padded[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile])
        for row in range(rows)
        for column in range(columns)
    ]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    items = [(code, data) for _, data in tiles] + [(b"grid", grid)]
    properties = [tiles[0][0], _full_box(b"ispe", struct.pack(">II", tile, tile))]
    properties.append(_full_box(b"ispe", struct.pack(">II", width, height)))
    of_grid = [3]
    if turns:
        properties.append(_box(b"irot", bytes([turns])))
        of_grid.append(0x80 | len(properties))
    if mirror_axis is not None:
        properties.append(_box(b"imir", bytes([mirror_axis])))
        of_grid.append(0x80 | len(properties))
    brand = b"heic" if code == b"hvc1" else b"avif"
    head = _box(b"ftyp", brand + bytes(4) + b"mif1" + brand + b"miaf")
    meta = _meta(items, properties, of_grid, 0)
    path.write_bytes(head + _meta(items, properties, of_grid, len(head) + len(meta) + 8) + _mdat(items))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full_box(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + body)


def _mdat(items: list[tuple[bytes, bytes]]) -> bytes:
    return _box(b"mdat", b"".join(data for _, data in items))


def _meta(items: list[tuple[bytes, bytes]], properties: list[bytes], of_grid: list[int], start: int) -> bytes:
    number = len(items)
    handler = _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
    primary = _full_box(b"pitm", struct.pack(">H", number))
    places, entries = b"", b""
    for item, (kind, data) in enumerate(items, 1):
        places += struct.pack(">HHHII", item, 0, 1, start, len(data))
        start += len(data)
        hidden = 1 if kind != b"grid" else 0
        entries += _full_box(b"infe", struct.pack(">HH4s", item, 0, kind) + b"\0", version=2, flags=hidden)
    location = _full_box(b"iloc", struct.pack(">BBH", 0x44, 0, number) + places)
    information = _full_box(b"iinf", struct.pack(">H", number) + entries)
    tile_numbers = b"".join(struct.pack(">H", item) for item in range(1, number))
    references = _full_box(b"iref", _box(b"dimg", struct.pack(">HH", number, number - 1) + tile_numbers))
    links = b"".join(struct.pack(">HBBB", item, 2, 0x81, 2) for item in range(1, number))
    links += struct.pack(">HB", number, len(of_grid)) + bytes(of_grid)
    associations = _full_box(b"ipma", struct.pack(">I", number) + links)
    described = _box(b"iprp", _box(b"ipco", b"".join(properties)) + associations)
    return _full_box(b"meta", handler + primary + location + information + references + described)


def _find(data: bytes, kind: bytes) -> bytes:
    place = data.index(kind) - 4
    return data[place : place + int.from_bytes(data[place : place + 4], "big")]


def _av1_tile(pixels: Pixels) -> tuple[bytes, bytes]:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF", quality=95, subsampling="4:4:4")
    data = buffer.getvalue()
    return _find(data, b"av1C"), _find(data, b"mdat")[8:]


def _hevc_tile(pixels: Pixels) -> tuple[bytes, bytes]:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        options = {"crf": "4", "x265-params": "log-level=none:pools=none:frame-threads=1"}
        stream = container.add_stream("libx265", rate=1, options=options)
        stream.height, stream.width, stream.pix_fmt = pixels.shape[0], pixels.shape[1], "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        container.mux(stream.encode(frame))
        for packet in stream.encode(None):
            packet.pts = packet.dts = 0
            container.mux(packet)
    data = buffer.getvalue()
    return _find(data, b"hvcC"), _find(data, b"mdat")[8:]
