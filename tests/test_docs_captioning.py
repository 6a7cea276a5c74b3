"""Every `lrcn` command and the Python block of docs/captioning.md, run in order in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames
from tests.photo_sets import write_photos

from lrcn.cli import main
from lrcn.data.captioning.readers import READERS, read_caption_data
from lrcn_sets.cli import main as sets_main

PAGE = (Path(__file__).parent.parent / "docs" / "captioning.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(tmp_path: Path, cache_of_all: Path, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page takes for granted: `photos/captions.csv`, a picture, a film, a file of sentences."""
    photos = write_photos(tmp_path / "photos")
    (tmp_path / "holiday.jpg").write_bytes((photos / "3.jpg").read_bytes())
    make_clip(tmp_path / "film.mp4", textured_frames(120, 64, 64), 10, codec="libx264", pix_fmt="yuv420p")
    (tmp_path / "sentences.txt").write_text("a dog above a boat\na boat to the left of a beach\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_of_all))
    return tmp_path


@pytest.mark.slow
def test_commands_and_python_of_the_page_run_in_order(workplace: Path) -> None:
    commands = [
        shlex.split(line, comments=True)
        for block in _blocks("sh")
        for line in block.splitlines()
        if line.startswith("lrcn ")
    ]
    assert len(commands) >= 8
    for command in commands:
        extra = ["--epochs", "2", "--hidden-size", "32"] if command[1] == "train" else []
        assert main([*command[1:], *extra]) == 0, command
    (python,) = _blocks("python")
    exec(compile(python, "captioning.md", "exec"), {})
    assert sorted(path.name for path in (workplace / "subtitles").iterdir()) == ["film.srt", "film.vtt"]
    assert (workplace / "report" / "captions.html").exists()


@pytest.mark.parametrize("layout", READERS)
def test_the_page_names_every_layout(layout: str) -> None:
    named = {"captions-csv": "captions.csv", "coco-captions": "COCO", "sentences": "sentences.txt"}
    assert named.get(layout, layout).lower() in PAGE.lower()


def test_sets_that_the_page_names_have_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    names = re.findall(r"`python -m lrcn_sets (\S+) DIR`", PAGE)
    assert len(names) == 3
    for name in names:
        assert sets_main([name, "--help"]) == 0


def test_the_csv_of_the_page_is_read(tmp_path: Path) -> None:
    (example,) = _blocks("csv")
    for name in ("001", "002"):
        (tmp_path / "beach").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "beach" / f"{name}.jpg")
    (tmp_path / "captions.csv").write_text(example)
    data = read_caption_data(tmp_path, val_fraction=0)
    assert [len(example.captions) for example in data.examples] == [2, 1]
