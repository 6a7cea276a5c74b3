"""From tracks to bouts with the commands a user would type."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from tests.training.tiny_vectors import tiny_tracks

from lrcn.annotations.formats import read_annotations
from lrcn.cli import main
from lrcn.model_file.storage import inspect

DEVICE = ("--device", "cpu")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with annotations, the folder `tracks`, and the folder `run` of a model."""
    folder = tmp_path_factory.mktemp("project")
    annotations = tiny_tracks(folder)
    flags = ["--stream", "vectors", "--vector-fps", "30", "--epochs", "6", "--no-refit", "--lr", "0.005"]
    where = ["--videos", str(folder / "tracks"), "--output", str(folder / "run"), *DEVICE]
    assert main(["train", "recognition", str(annotations), *where, *flags]) == 0
    return folder


def test_a_folder_of_tracks_becomes_bouts(project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, out = str(project / "run"), tmp_path / "bouts"
    assert main(["recognize", str(project / "tracks"), "--model", model, "--bouts", str(out), "--plots", *DEVICE]) == 0
    found = read_annotations(out / "bouts.csv")
    assert [one.name for one in found.recordings] == [f"cage{n}DLC_net.csv" for n in range(5)]
    assert all(one.bouts for one in found.recordings)
    assert {bout.label for one in found.recordings for bout in one.bouts} == {"circle", "shake"}
    assert len(list((out / "plots").iterdir())) == 5
    # looked at before, and not again
    assert main(["recognize", str(project / "tracks"), "--model", model, "--bouts", str(out), *DEVICE]) == 0
    assert "5 of 5 looked at before" in capsys.readouterr().err


def test_a_track_among_videos_costs_itself_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    track = project / "tracks" / "cage1DLC_net.csv"
    (project / "video.mp4").touch()
    code = main(
        ["recognize", str(track), str(project / "video.mp4"), "--model", str(project / "run"), "--json", *DEVICE]
    )
    said = capsys.readouterr()
    assert code == 3
    assert json.loads(said.out)["source"] == str(track)
    assert "video.mp4: no file of ready vectors" in said.err


def test_the_model_is_measured_with_the_command_that_training_names(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = shlex.split(f"{project / 'run'} {project / 'annotations.csv'} --videos {project / 'tracks'}")
    assert main(["evaluate", *flags, "--output", str(tmp_path / "report"), *DEVICE]) == 0
    assert "F1 of bouts" in capsys.readouterr().out
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["num_recordings"] == 1
    page = (tmp_path / "report" / "index.html").read_text()
    assert "cage" in page


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--save-video", "out"], "--save-video shows pictures"),
        (["--bouts", "out", "--review", "2"], "--review shows pictures"),
        (["--roi", "0,0,9,9"], "ready vectors are no pictures: leave roi out"),
        (["--crops", "10"], "ready vectors, which have no crops"),
    ],
)
def test_what_is_of_pictures_is_refused(
    project: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    track = str(project / "tracks" / "cage0DLC_net.csv")
    flags = [str(tmp_path / flag) if flag == "out" else flag for flag in flags]
    assert main(["recognize", track, "--model", str(project / "run"), *flags, *DEVICE]) != 0
    assert message in capsys.readouterr().err


def test_info_names_what_a_model_reads(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(project / "run"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["preprocess"]["vectors"]["names"][:2] == ["nose.x", "nose.y"]
    assert inspect(project / "run").model.vector_size == 6
