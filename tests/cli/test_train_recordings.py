"""From an annotation file of recordings to a model, with the commands a user would type."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.training.tiny_recordings import overlapping, tiny_recordings
from tests.training.tiny_training import LABELS, tiny_config

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import BACKGROUND, Annotations
from lrcn.cli import main
from lrcn.model_file.storage import inspect


@pytest.fixture(scope="module")
def annotations(make_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    return tiny_recordings(tmp_path_factory.mktemp("long"), make_clip)


def train(folder: Path, data: Path, *flags: str) -> int:
    """Train in seconds."""
    (folder / "small.yaml").write_text(yaml.safe_dump(tiny_config().to_dict()))
    where = ["--output", str(folder / "run"), "--cache-dir", str(folder / "cache"), "--device", "cpu"]
    return main(["train", "recognition", str(data), *where, "--config", str(folder / "small.yaml"), *flags])


@pytest.mark.parametrize("name", ["mice.boris", "mice.csv"])
def test_annotations_become_a_model_and_the_command_that_measures_it(
    annotations: Annotations, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_annotations(annotations, tmp_path / name)
    videos = annotations.recordings[0].path
    assert videos is not None
    flags = ["--videos", str(videos.parent), "--looked-at", "whole", "--seed", "3"]
    assert train(tmp_path, tmp_path / name, *flags) == 0
    assert set(inspect(tmp_path / "run").labels) == {*LABELS, BACKGROUND}
    told = capsys.readouterr().err
    assert "each is divided in time (train 60%, val 20%, test 20%)" in told
    command = shlex.split(told.partition("measure it: ")[2].partition("\n")[0])
    assert command[:2] == ["lrcn", "evaluate"]
    assert command[4:] == ["--videos", str(videos.parent), "--looked-at", "whole", "--seed", "3"]
    trained_on = json.loads((tmp_path / "run" / "run.json").read_text())["data"]["examples"]
    assert set(trained_on) == {"train", "val", "test"}


def test_overlapping_bouts_train_a_model_of_several_at_once(
    annotations: Annotations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotations(overlapping(annotations), tmp_path / "both.boris")
    videos = annotations.recordings[0].path
    assert videos is not None
    assert train(tmp_path, tmp_path / "both.boris", "--videos", str(videos.parent)) == 0
    assert inspect(tmp_path / "run").model.multi_label
    told = capsys.readouterr().err
    assert "18 pairs of bouts overlap, the first " in told
    assert "val average precision" in told


def test_what_cannot_be_trained_on_is_one_line(
    annotations: Annotations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{recording.path},left,{bout.start_s},{bout.end_s},bouts"
        for recording in annotations.recordings
        for bout in recording.bouts
    ]
    (tmp_path / "one.csv").write_text("\n".join(["path,label,start_s,end_s,comment", *rows]))
    (tmp_path / "gone.csv").write_text("path,label,start_s,end_s,subject\nnowhere.avi,left,1,2,ann\n")
    for data, flags, said in (
        ("one.csv", ["--looked-at", "bouts"], "one class only, 'left'"),
        ("gone.csv", [], "nowhere.avi"),
        ("gone.csv", ["--subject", "bob"], "nobody is called 'bob'; there are ann"),
    ):
        assert train(tmp_path, tmp_path / data, *flags) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in error, data
        assert error.startswith("lrcn: error: ")
