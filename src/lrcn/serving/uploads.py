"""What a request brings: a multipart body, its files written to disk as they come, up to a limit of bytes."""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING, BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from lrcn.serving.jobs import Upload
from lrcn.serving.refusals import Refusal

MOST_FILES, MOST_TEXTS, LONGEST_TEXT_BYTES = 64, 256, 10_000

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_PREFIX = "lrcn-upload-"
_LEFT_OVER_S = 86_400.0
"""No request lives so long: what is older was left by a server that was killed."""

_WRITTEN_BYTES = 2**20
"""Written to disk at once, in another thread."""

_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass
class Form:
    """The parts of a body, in order."""

    files: list[tuple[str, Upload]] = field(default_factory=list)
    """Name of the part, file."""
    texts: list[tuple[str, str]] = field(default_factory=list)
    """Name of the part, text."""

    def files_named(self, name: str) -> list[Upload]:
        """Return the files of parts of this name."""
        return [upload for part, upload in self.files if part == name]

    def texts_named(self, name: str) -> list[str]:
        """Return the texts of parts of this name."""
        return [text for part, text in self.texts if part == name]


@contextmanager
def upload_folder() -> Iterator[Path]:
    """Give a folder for the files of a request, which goes with it."""
    folder = Path(mkdtemp(prefix=_PREFIX))
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def sweep_left_over() -> None:
    """Remove what a server that was killed has left."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _LEFT_OVER_S:
                rmtree(folder, ignore_errors=True)


def check_head(request: Request, max_bytes: int) -> bytes:
    """Return the boundary of a multipart body.

    Raises:
        Refusal: 415 if the body is something else, 413 if it says that it is too large.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Refusal(415, "expected multipart/form-data, as curl -F file=@NAME and browsers send it")
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and int(stated) > max_bytes:
        raise _too_large(max_bytes)
    return boundary


async def receive_form(
    chunks: AsyncIterator[bytes], boundary: bytes, folder: Path, *, allowed: frozenset[str], max_bytes: int
) -> Form:
    """Read a multipart body to its end.

    Args:
        chunks: Its bytes.
        boundary: From `check_head`.
        folder: Where files go, under names of ours.
        allowed: Names that its parts may have.
        max_bytes: Of the whole body.

    Raises:
        Refusal: 413 if it is too large, 422 if it is damaged, ends too early, has parts that nobody asked for, or a
            file is empty; 507 if the disk is full.
    """
    reader = _FormReader(folder, allowed)
    received = 0
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for chunk in chunks:
            received += len(chunk)
            if received > max_bytes:
                raise _too_large(max_bytes)
            parser.write(chunk)
            if reader.num_waiting >= _WRITTEN_BYTES:
                await asyncio.to_thread(reader.write_waiting)
        await asyncio.to_thread(reader.write_waiting)
        parser.finalize()
        if not reader.ended:
            raise Refusal(422, "the body ends before its last part does")
    except (FormParserError, UnicodeDecodeError) as exc:
        raise Refusal(422, f"the multipart body is damaged ({exc})") from exc
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refusal(507, "no space left for uploads on this server") from exc
        raise
    finally:
        reader.close()
    for name, upload in reader.form.files:
        if not upload.path.stat().st_size:
            raise Refusal(422, f"the file of part {name!r} is empty")
    return reader.form


class _FormReader:
    """What the parser tells, made into a form."""

    def __init__(self, folder: Path, allowed: frozenset[str]) -> None:
        self.form = Form()
        self.ended = False
        self.num_waiting = 0
        self._folder, self._allowed = folder, allowed
        self._header_name, self._header_value, self._disposition = b"", b"", b""
        self._part = ""
        self._text: bytearray | None = None
        self._file: BinaryIO | None = None
        self._waiting: list[tuple[BinaryIO, bytes]] = []
        self._open: list[BinaryIO] = []

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._header_name = self._header_value = self._disposition = b""
        self._text = self._file = None

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._part = options.get(b"name", b"").decode(errors="replace")
        if self._part not in self._allowed:
            raise Refusal(422, f"unexpected part {self._part!r}; expected {' or '.join(sorted(self._allowed))}")
        if b"filename" not in options:
            if len(self.form.texts) >= MOST_TEXTS:
                raise Refusal(422, f"more than {MOST_TEXTS} texts in a request")
            self._text = bytearray()
            return
        if len(self.form.files) >= MOST_FILES:
            raise Refusal(422, f"more than {MOST_FILES} files in a request")
        path = self._folder / f"upload-{len(self.form.files)}"
        self._file = path.open("wb")
        self._open.append(self._file)
        self.form.files.append((self._part, Upload(path, client_name(options[b"filename"].decode(errors="replace")))))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._waiting.append((self._file, data[start:end]))
            self.num_waiting += end - start
        elif self._text is not None:
            self._text += data[start:end]
            if len(self._text) > LONGEST_TEXT_BYTES:
                raise Refusal(422, f"the text of part {self._part!r} is longer than {LONGEST_TEXT_BYTES} bytes")

    def on_part_end(self) -> None:
        if self._text is not None:
            self.form.texts.append((self._part, self._text.decode()))

    def on_end(self) -> None:
        self.ended = True

    def write_waiting(self) -> None:
        for file, data in self._waiting:
            file.write(data)
            file.flush()  # a full disk is noticed here, and not when it is closed
        self._waiting, self.num_waiting = [], 0

    def close(self) -> None:
        for file in self._open:
            with suppress(OSError):
                file.close()


def client_name(given: str) -> str:
    """Return what a client calls its file as answers may show it: the last part of a path, printable, not long."""
    last = _NOT_IN_NAMES.sub("", given.replace("\\", "/").rpartition("/")[2])
    return last[:200] or "upload"


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, f"the body is larger than the {max_bytes} bytes that this server takes")
