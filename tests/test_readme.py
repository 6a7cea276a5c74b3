"""Every `lrcn` command and the Python block of the README, run in order in an empty folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.photo_sets import write_photos

from lrcn.cli import main
from lrcn_sets.mocap.actions import write_clip
from lrcn_sets.mocap.clips import clip_spec, render

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder_of_clips(tmp_path: Path, cache_of_all: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the README takes for granted: `clips/<class>/*.mp4`, a video to recognise, pictures with sentences."""
    for label in ("cartwheel", "walk"):
        (tmp_path / "work" / "unseen" / label).mkdir(parents=True)
        write_clip(tmp_path / "work" / "unseen" / label / "0.mp4", render(clip_spec("val", label, 0), 64))
        (tmp_path / "work" / "clips" / label).mkdir(parents=True)
        for number in range(4):
            path = tmp_path / "work" / "clips" / label / f"{label}_{number}.mp4"
            write_clip(path, render(clip_spec("train", label, number), 64))
    write_clip(tmp_path / "work" / "holiday.mp4", render(clip_spec("test", "walk", 0), 64))
    (tmp_path / "work" / "theirs").mkdir()
    write_clip(tmp_path / "work" / "theirs" / "0.mp4", render(clip_spec("test", "walk", 2), 64))
    (tmp_path / "work" / "recordings").mkdir()
    write_clip(tmp_path / "work" / "recordings" / "monday.mp4", render(clip_spec("test", "walk", 1), 64))
    photos = write_photos(tmp_path / "work" / "photos", num_train=6, num_test=1)
    (tmp_path / "work" / "holiday.jpg").write_bytes((photos / "6.jpg").read_bytes())
    for folder in ("docs", "src"):
        (tmp_path / "work" / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_of_all))
    return tmp_path / "work"


@pytest.mark.slow
@pytest.mark.usefixtures("folder_of_clips")
def test_commands_and_python_of_the_readme_run_in_order() -> None:
    commands = [
        shlex.split(line, comments=True)
        for block in _blocks("sh")
        for line in block.splitlines()
        if line.startswith("lrcn ")
    ]
    assert len(commands) >= 4
    for command in commands:
        assert main(command[1:]) == 0, command
    (python,) = _blocks("python")
    exec(compile(python, "README.md", "exec"), {})


def test_pages_and_pictures_that_the_readme_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(targets) >= 5
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert missing == []


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
