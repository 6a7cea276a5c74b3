"""`lrcn batch`: what is wrong is one line, and nothing is half-written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("ray")

from lrcn.batch.places import find_places
from lrcn.batch.reading import UnitReader, Work
from lrcn.batch.results import ResultFolder
from lrcn.cli import main


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str | Path) -> str:
    """Run the command, which must end with this code, and return its one line."""
    assert main(["batch", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line.removeprefix("lrcn: error: ")


def test_wrong_usage(
    tiny_model: Path, tiny_caption_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert said(capsys, 2, tiny_model, "--output", out).startswith("name at least one file")
    assert "is a file, and a folder is wanted" in said(capsys, 2, tiny_model, clip20, "--output", clip20)
    assert "leave --bouts out" in said(capsys, 1, tiny_caption_model, clip20, "--output", out, "--bouts")
    assert "none.safetensors" in said(capsys, 1, tmp_path / "none.safetensors", clip20, "--output", out)
    (tmp_path / "empty").mkdir()
    assert "no video" in said(capsys, 1, tiny_model, tmp_path / "empty", "--output", out)
    address = "s3://key:secret@bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    assert said(capsys, 1, tiny_model, address, "--output", out).startswith("s3://bucket/x: cannot be listed")
    assert not out.exists()


def test_results_of_another_model_are_refused(
    tiny_model: Path, tiny_caption_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ResultFolder.opened(tmp_path / "out", Work(model=str(tiny_model)).manifest()):
        pass
    line = said(capsys, 1, tiny_caption_model, clip20, "--output", tmp_path / "out")
    assert "holds results of task recognition, now it is task captioning; name another folder" in line
    line = said(capsys, 1, tiny_model, clip20, "--output", tmp_path / "out", "--bouts")
    assert "holds results of tables sources, segments, now it is tables sources, segments, bouts" in line


@pytest.mark.parametrize("package", ["ray", "pyarrow", "filelock"])
def test_without_the_extra(
    package: str,
    tiny_model: Path,
    clip20: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    line = said(capsys, 1, tiny_model, clip20, "--output", tmp_path / "out")
    assert line == "lrcn batch needs: pip install 'lrcn[batch]'"
    assert not (tmp_path / "out").exists()


def test_what_is_done_starts_no_worker(
    tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.avi"
    bad.write_bytes(b"no video")
    places, _ = find_places([str(clip20), str(bad)], pictures=False)
    work = Work(model=str(tiny_model))
    with ResultFolder.opened(tmp_path / "out", work.manifest()) as results:
        results.add(UnitReader(work).read(places))
    command = ["batch", str(tiny_model), str(clip20), str(bad), "--output", str(tmp_path / "out")]
    assert main([*command, "--address", "127.0.0.1:9"]) == 3  # where nobody answers
    err = capsys.readouterr().err.splitlines()
    assert err[0] == f"sources with results: 1, kept from before: 2; tables: {tmp_path / 'out'}"
    assert err[1].startswith(f"lrcn: error: {bad}: not a video")
