"""Outputs that cannot be written, or would overwrite something, are told before the work begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main


@pytest.fixture
def clip(make_clip: MakeClip, tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.avi", textured_frames(9, 60, 80), 10)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that must end with exit code 2, without a result, and return what it says in one line."""
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line.removeprefix("lrcn: error: ")


def test_recognize(tiny_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("recognize", clip, "--model", tiny_model)
    assert refused(capsys, *command, "--csv", tmp_path) == f"--csv {tmp_path}: is a folder; name a file"
    content = clip.read_bytes()
    named = tmp_path / "." / "x" / ".." / "clip.avi"
    (tmp_path / "x").mkdir()
    assert refused(capsys, *command, "--csv", named).endswith("is one of the sources, and would be overwritten")
    assert clip.read_bytes() == content
    said = refused(capsys, *command, "--save-video", clip)
    assert said == f"--save-video: {clip} is a file, and a folder is wanted"
    said = refused(capsys, *command, "--csv", clip / "deep" / "a.csv")
    assert said == f"--csv: {clip} is a file, and a folder is wanted"
    assert "name too long" in refused(capsys, *command, "--csv", tmp_path / ("x" * 300) / "a.csv")


def test_caption(tiny_caption_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("caption", clip, "--model", tiny_caption_model)
    table = tmp_path / "captions"
    said = refused(capsys, *command, "--csv", table, "--coco", tmp_path / "." / "captions")
    assert said == f"--csv and --coco both name {table}; name two files"
    assert refused(capsys, *command, "--srt", clip).startswith("--srt: ")
    assert not table.exists()


def test_folders(tiny_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ("evaluate", tiny_model, tmp_path),
        ("data", "extract", tiny_model, clip),
        ("data", "flow", tmp_path),
        ("train", "recognition", tmp_path),
        ("ablate", tmp_path),
        ("reproduce", tmp_path, "--configs", tmp_path),
    ):
        said = refused(capsys, *command, "--output", clip)
        assert said == f"--output: {clip} is a file, and a folder is wanted", command


def test_devices_are_written_to(tiny_model: Path, clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recognize", str(clip), "--model", str(tiny_model), "--csv", "/dev/null"]) == 0
