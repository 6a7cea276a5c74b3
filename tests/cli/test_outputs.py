"""Outputs that cannot be written, or would overwrite something, are told before the work begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main
from lrcn.cli.exits import UsageError
from lrcn.cli.outputs import check_outputs


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
    said = refused(capsys, *command, "--csv", tmp_path / "same", "--save-video", tmp_path / "same")
    assert said == f"--csv and --save-video both name {tmp_path / 'same'}; give them two names"
    labelled = tmp_path / "clip.labelled.mp4"
    labelled.write_bytes(content)
    said = refused(capsys, *command, labelled, "--save-video", tmp_path)
    assert said == f"--save-video {labelled}: is one of the sources, and would be overwritten"
    assert labelled.read_bytes() == content
    assert "name too long" in refused(capsys, *command, "--csv", tmp_path / ("x" * 300) / "a.csv")


def test_caption(tiny_caption_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("caption", clip, "--model", tiny_caption_model)
    table = tmp_path / "captions"
    said = refused(capsys, *command, "--csv", table, "--coco", tmp_path / "." / "captions")
    assert said == f"--csv and --coco both name {table}; give them two names"
    said = refused(capsys, *command, "--csv", table, "--vtt", table / "deep")
    assert said == f"--csv and --vtt both name {table}; give them two names"
    assert refused(capsys, *command, "--srt", clip).startswith("--srt: ")
    assert not table.exists()


def test_folders(tiny_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ("evaluate", tiny_model, tmp_path),
        ("data", "extract", tiny_model, clip),
        ("data", "flow", tmp_path),
        ("train", "recognition", tmp_path),
        ("ablate", tmp_path),
        ("export", tiny_model),
        ("reproduce", tmp_path, "--configs", tmp_path),
    ):
        said = refused(capsys, *command, "--output", clip)
        assert said == f"--output: {clip} is a file, and a folder is wanted", command


def test_a_picture_of_a_sequence_is_not_overwritten(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for number, pixels in enumerate(textured_frames(5, 60, 80)):
        Image.fromarray(pixels).save(shots / f"{number}.png")
    said = refused(capsys, "recognize", shots, "--model", tiny_model, "--csv", shots / "3.png")
    assert said.endswith("is one of the sources, and would be overwritten")


def test_a_loop_of_links_stops_nothing_else(
    tiny_model: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop1").symlink_to(tmp_path / "loop2")
    (tmp_path / "loop2").symlink_to(tmp_path / "loop1")
    command = ["recognize", str(clip), str(tmp_path / "loop1"), "--model", str(tiny_model), "--json"]
    assert main([*command, "--csv", str(tmp_path / "loop2")]) == 3
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert "Traceback" not in said.err
    assert (tmp_path / "loop2").is_file()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_devices_are_written_to_by_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    may_write = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != "/dev" and may_write(path, mode))
    check_outputs(files=[("--csv", Path("/dev/null"))])
    with pytest.raises(UsageError, match="nothing may be written into /dev"):
        check_outputs(files=[("--csv", Path("/dev/table.csv"))])
