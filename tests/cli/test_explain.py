from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip

from lrcn.cli import main


def explain(model: Path, *arguments: str | Path) -> int:
    return main(["explain", *map(str, arguments), "--model", str(model), "--device", "cpu"])


def test_pictures_go_where_they_are_wanted(
    tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explain(tiny_model, clip20, "--label", "wave", "--output", tmp_path / "one.png") == 0
    assert "clip20.avi: wave " in capsys.readouterr().out
    assert Image.open(tmp_path / "one.png").size[0] == 4 * 160
    copy = tmp_path / "copy.avi"
    copy.write_bytes(clip20.read_bytes())
    (tmp_path / "broken.avi").write_bytes(b"no video")
    assert explain(tiny_model, clip20, copy, tmp_path / "broken.avi", "--output", tmp_path / "all") == 3
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"clip20.explained.png", "copy.explained.png"}
    monkeypatch.chdir(tmp_path)
    assert explain(tiny_model, clip20) == 0
    assert (tmp_path / "clip20.explained.png").is_file()


def test_of_a_region_of_interest_nothing_else_is_shown(
    tiny_model: Path, make_clip: MakeClip, frames20: np.ndarray, clip20: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut").mkdir()
    cut = make_clip(tmp_path / "cut" / clip20.name, frames20[:, 4:44, 20:60])
    assert explain(tiny_model, cut, "--output", tmp_path / "cut.png") == 0
    assert explain(tiny_model, clip20, "--roi", "20,4,40,40", "--output", tmp_path / "roi.png") == 0
    np.testing.assert_array_equal(*(np.asarray(Image.open(tmp_path / name)) for name in ("roi.png", "cut.png")))


def test_wrong_use_is_told(tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(tiny_model) == 2
    copy = tmp_path / "copy.avi"
    copy.write_bytes(clip20.read_bytes())
    assert explain(tiny_model, clip20, copy, "--output", tmp_path / "one.png") == 2
    assert "is one picture, and there are 2 videos" in capsys.readouterr().err
    assert explain(tiny_model, clip20, "--label", "wav", "--output", tmp_path) == 1
    assert "unknown label 'wav'; did you mean 'wave'" in capsys.readouterr().err
