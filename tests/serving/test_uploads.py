from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.serving import uploads
from lrcn.serving.refusals import Refusal
from lrcn.serving.uploads import Form, client_name, receive_form, sweep_left_over, upload_folder

NAMES = frozenset({"file", "text"})


def receive(body: bytes, folder: Path, *, size: int = 1000, max_bytes: int = 10**7) -> Form:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return asyncio.run(receive_form(chunks(), b"b", folder, allowed=NAMES, max_bytes=max_bytes))


def encoded(files: list[tuple[str, bytes]], texts: list[str]) -> bytes:
    """Return a body as another library writes it."""
    parts = [("file", (name, content)) for name, content in files]
    request = httpx.Request(
        "POST",
        "http://x",
        files=parts,
        data={"text": texts},
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    return request.read()


@given(
    files=st.lists(st.binary(min_size=1, max_size=5000), min_size=1, max_size=3),
    texts=st.lists(st.text(max_size=50), max_size=3),
    size=st.integers(1, 3000),
)
def test_what_another_library_wrote_is_read_however_it_is_cut(files: list[bytes], texts: list[str], size: int) -> None:
    with upload_folder() as folder:
        form = receive(encoded([("a", one) for one in files], texts), folder, size=size)
        assert [upload.path.read_bytes() for _, upload in form.files] == files
        assert form.texts_named("text") == texts
    assert not folder.exists()


def test_a_large_file_goes_to_disk_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_WRITTEN_BYTES", 2000)
    content = os.urandom(100_000)
    ((_, upload),) = receive(encoded([("a", content)], []), tmp_path).files
    assert upload.path.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        (lambda body: body[:-10], 422, "ends before"),
        (lambda body: b"", 422, "ends before"),
        (lambda body: b"nothing of the kind", 422, "damaged"),
        (lambda body: body.replace(b'name="file"', b'name="../x"'), 422, "unexpected part '../x'"),
        (lambda body: body.replace(b"content", b""), 422, "empty"),
        (lambda body: body.replace(b"content", b"c" * 20_000), 413, "larger"),
    ],
)
def test_a_body_that_cannot_be_used_says_why(change: object, status: int, text: str, tmp_path: Path) -> None:
    body = encoded([("a", b"content")], [])
    with pytest.raises(Refusal, match=text) as refused:
        receive(change(body), tmp_path, max_bytes=10_000)  # type: ignore[operator]
    assert refused.value.status == status


def test_more_than_anybody_needs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="more than 64 files"):
        receive(encoded([("a", b"1")] * 65, []), tmp_path)
    with pytest.raises(Refusal, match="longer than 10000 bytes"):
        receive(encoded([("a", b"1")], ["x" * 10_001]), tmp_path)
    with pytest.raises(Refusal, match="more than 256 texts"):
        receive(encoded([("a", b"1")], ["x"] * 257), tmp_path)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.avi", "a.avi"),
        ("/", "upload"),
        ("", "upload"),
        ("a\x1b[2Jb\n\ud800.mp4", "a[2Jb.mp4"),
        ("x" * 5000, "x" * 200),
    ],
)
def test_names_of_clients_are_shown_and_never_a_path(given: str, shown: str, tmp_path: Path) -> None:
    assert client_name(given) == shown
    ((_, upload),) = receive(encoded([("../a.mp4", b"1")], []), tmp_path).files
    assert (upload.path, upload.name) == (tmp_path / "upload-0", "a.mp4")


def test_what_a_killed_server_left_is_removed_and_what_another_uses_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "gettempdir", lambda: str(tmp_path))
    old, new, other = (tmp_path / name for name in ("lrcn-upload-1", "lrcn-upload-2", "else"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "upload-0").write_bytes(b"1")
    for folder in (old, other):
        os.utime(folder, (0, 0))
    sweep_left_over()
    assert [folder.exists() for folder in (old, new, other)] == [False, True, True]
