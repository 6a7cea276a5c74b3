"""`lrcn import-caffe` from the shell's side: what it prints, what it writes, how it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.cli import main
from lrcn.model_file import inspect

GOLDEN = Path(__file__).parents[1] / "golden" / "caffe"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "labels.txt").write_text("run\nwalk\njump\nsit\nspin\n")
    return ["--labels", str(tmp_path / "labels.txt"), "--output", str(tmp_path / "m.safetensors")]


def test_a_caffemodel_becomes_a_model_file(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["import-caffe", str(GOLDEN / "activity_thin.caffemodel"), *files, "--stream", "flow"])
    assert code == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'm.safetensors'}: LSTM of 8 units on fc6 of hybrid, 5 labels\n"
        "stream: flow (as given)\n"
        "taken: conv1, conv2, conv3, conv4, conv5, fc6, lstm1, fc8-final\n"
        "ignored: none\n"
    )
    header = inspect(tmp_path / "m.safetensors")
    assert header.labels == ("run", "walk", "jump", "sit", "spin")
    assert header.preprocess.mean == (128, 128, 128)


def test_a_wrong_file_gives_one_line_and_no_output(
    tmp_path: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["import-caffe", str(GOLDEN / "activity_thin.prototxt"), *files])
    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert printed.err.count("\n") == 1
    assert "a text file, not a caffemodel" in printed.err
    assert not (tmp_path / "m.safetensors").exists()


def test_output_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-caffe", str(GOLDEN / "activity_thin.caffemodel")]) == 2
    assert "--output" in capsys.readouterr().err
