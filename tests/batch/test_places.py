"""What inputs name: on this machine, in lists, and in an S3 server of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip

pytest.importorskip("pyarrow")
from pyarrow import fs

from lrcn.batch.places import find_places
from lrcn.errors import MediaError


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Options that lead to a bucket `videos` of moto's server: append them to an address."""
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"{host}:{port}"
    store = fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=endpoint,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir("videos")
    for name in ("a clip?.mp4", "deep/b#1.avi", "deep/notes.txt", "@eaDir/small.mp4", "picture.jpg"):
        with store.open_output_stream(f"videos/clips/{name}") as file:
            file.write(name.encode())
    yield f"endpoint_override={endpoint}&scheme=http&region=us-east-1"
    server.stop()


def test_what_lies_here_is_named_by_its_whole_path_once(
    make_clip: MakeClip, frames20: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips").mkdir()
    clip = make_clip(tmp_path / "clips" / "a.avi", frames20[:3])
    sequence = tmp_path / "clips" / "shots"
    sequence.mkdir()
    for number in range(3):
        Image.fromarray(frames20[number]).save(sequence / f"{number}.png")
    listed = tmp_path / "list.txt"
    listed.write_text("clips/a.avi\n\n  clips/shots  \nnowhere.mp4\n")
    monkeypatch.chdir(tmp_path / "clips")
    places, failures = find_places([".", str(clip), str(listed), "", "no.txt"], pictures=False)
    assert [place.name for place in places] == [str(clip), str(sequence)]
    assert places[0].size == clip.stat().st_size
    assert places[1].size == sum(file.stat().st_size for file in sequence.iterdir())
    assert places[0].modified.timestamp() == pytest.approx(clip.stat().st_mtime, abs=1e-6)
    nowhere, empty, no_list = failures
    assert nowhere == f"{tmp_path / 'nowhere.mp4'}: no such file or folder"
    assert empty.startswith("an input is empty")
    assert no_list == "no.txt: No such file or directory"
    with places[0].on_disk() as path:
        assert path == clip


def test_a_link_that_leads_nowhere_hides_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "b.mp4").write_bytes(b"video")
    os.utime(tmp_path / "b.mp4", ns=(0, 2**62))  # a damaged date
    places, failures = find_places([str(tmp_path)], pictures=False)
    assert [Path(place.name).name for place in places] == ["a.mp4", "b.mp4"]
    assert not failures


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_is_escaped_and_can_be_opened(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    with open(path, "wb") as file:
        file.write(b"video")
    ((place,), _) = find_places([str(tmp_path)], pictures=False)
    assert place.name == f"{tmp_path}/caf\\udce9.mp4"
    place.name.encode()
    with place.on_disk() as found:
        assert found.read_bytes() == b"video"


def test_objects_of_a_bucket(s3: str) -> None:
    address = f"s3://key:secret@videos/clips?{s3}"
    places, failures = find_places([address], pictures=False)
    assert not failures
    assert [place.name for place in places] == ["s3://videos/clips/a clip?.mp4", "s3://videos/clips/deep/b#1.avi"]
    assert [place.size for place in places] == [len("a clip?.mp4"), len("deep/b#1.avi")]
    with places[1].on_disk() as path:
        assert path.read_bytes() == b"deep/b#1.avi"
        assert path.suffix == ".avi"
    assert not path.exists()
    pictures, _ = find_places([address], pictures=True)
    assert "s3://videos/clips/picture.jpg" in [place.name for place in pictures]
    (one,), _ = find_places([f"s3://key:secret@videos/clips/deep/notes.txt?{s3}"], pictures=False)
    assert one.name == "s3://videos/clips/deep/notes.txt"  # named itself, whatever its suffix


def test_an_object_that_is_gone_is_one_line(s3: str) -> None:
    (place, _), _ = find_places([f"s3://key:secret@videos/clips?{s3}"], pictures=False)
    place.filesystem.copy_file(place.path, "videos/gone.mp4")
    (gone,), _ = find_places([f"s3://key:secret@videos/gone.mp4?{s3}"], pictures=False)
    gone.filesystem.delete_file(gone.path)
    with pytest.raises(MediaError, match=r"^s3://videos/gone.mp4: cannot be fetched \(.*\)$"), gone.on_disk():
        pass


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("s3://key:secret@videos/nothing?{}", "no such object or folder"),
        ("s3://key:secret@videos/clips/deep/@eaDir?{}", "no such object or folder"),
        ("s3://key:secret@no-bucket/x?{}", "no such object or folder"),
        ("s3://key:secret@videos/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1", "cannot be listed"),
        ("gs://anonymous@bucket/x?endpoint_override=127.0.0.1:9&scheme=http&retry_limit_seconds=1", "cannot be listed"),
        ("nonsense://bucket/x", "cannot be listed"),
        ("fsspec+nonsense://bucket/x", "cannot be listed"),
        ("s3://key:secret@/x", "cannot be listed"),
    ],
)
def test_an_address_of_nothing_is_one_line_without_secrets(s3: str, address: str, why: str) -> None:
    places, (failure,) = find_places([address.format(s3)], pictures=False)
    assert not places
    assert "secret" not in failure
    assert "\n" not in failure
    assert why in failure
    assert failure.startswith(address.partition("://")[0])


def test_any_file_system_of_fsspec(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.pipe("/batch/a.mp4", b"video")
    try:
        ((place,), failures) = find_places(["fsspec+memory:///batch"], pictures=False)
        assert not failures
        assert place.name == "fsspec+memory:///batch/a.mp4"
        with place.on_disk() as path:
            assert path.read_bytes() == b"video"
    finally:
        store.rm("/batch", recursive=True)
