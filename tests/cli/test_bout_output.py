from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.annotations.formats import FORMATS, read_annotations
from lrcn.cli import main
from lrcn.inference.recognition.predictor import Recognizer


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        make_clip(folder / f"mouse{number}.avi", textured_frames(60, 72, 80, seed=number), 10)
    return folder


@pytest.fixture(scope="module")
def looked_at(tiny_model: Path, recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first run keeps of the recordings."""
    out = tmp_path_factory.mktemp("first")
    assert recognize(tiny_model, recordings, "--bouts", out) == 0
    return out / "windows"


def recognize(model: Path, *arguments: str | Path) -> int:
    return main(["recognize", *map(str, arguments), "--model", str(model), "--device", "cpu"])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


LOOSE = ("--threshold", "0.3", "--smooth", "0", "--shortest", "0.1", "--longest-gap", "0")


def test_bouts_of_a_folder_are_what_the_api_finds(
    tiny_model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert recognize(tiny_model, recordings, "--bouts", out, "--plots", "--review", "2", "--json") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    recognizer = Recognizer.load(tiny_model, device="cpu")
    every = read_annotations(out / "bouts.csv")
    assert [recording.name for recording in every.recordings] == ["mouse0.avi", "mouse1.avi", "mouse2.avi"]
    for result, recording in zip(printed, every.recordings, strict=True):
        path = recordings / recording.name
        found = recognizer.find_bouts(path)
        assert found.bouts
        assert recording.bouts == found.bouts
        assert recording.path is not None
        assert recording.path.resolve() == path.resolve()
        assert recording.looked_at == ((0.0, 6.0),)
        assert read_annotations(out / f"{path.stem}.csv").recordings[0].bouts == found.bouts
        told = [(one["label"], one["start_s"], one["end_s"], one["prob"]) for one in result.pop("bouts")]
        assert told == [(bout.label, bout.start_s, bout.end_s, bout.prob) for bout in found.bouts]
        usual = recognizer(path).to_dict()
        del result["timing_s"], usual["timing_s"]
        assert result == json.loads(json.dumps(usual))  # all else is as without bouts
        assert (out / "plots" / f"{path.stem}.png").is_file()
    budget = {(row["recording"], row["label"]): row for row in rows(out / "time_budget.csv")}
    assert len(budget) == 9  # also what never occurs
    for recording in every.recordings:
        for label in recognizer.labels:
            own = [bout.duration_s for bout in recording.bouts if bout.label == label]
            assert float(budget[recording.name, label]["total_s"]) == pytest.approx(sum(own))
    review = read_annotations(out / "review" / "review.csv")
    assert len(review.recordings) == 2
    assert all(recording.path is not None and recording.path.is_file() for recording in review.recordings)


def test_what_was_looked_at_is_not_again_and_thresholds_apply(
    tiny_model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    assert recognize(tiny_model, recordings, "--bouts", out) == 0
    assert "looked at before" not in capsys.readouterr().err
    first = (out / "bouts.csv").read_text()
    assert recognize(tiny_model, recordings, "--bouts", out, *LOOSE) == 0
    assert "3 of 3 looked at before" in capsys.readouterr().err
    assert (out / "bouts.csv").read_text() != first
    assert recognize(tiny_model, recordings, "--bouts", fresh, *LOOSE) == 0
    for name in ("bouts.csv", "mouse1.csv", "time_budget.csv"):
        assert (out / name).read_text() == (fresh / name).read_text()


@pytest.mark.parametrize("format", [name for name, one in FORMATS.items() if one.write is not None])
def test_every_format_is_written(
    tiny_model: Path, recordings: Path, tmp_path: Path, looked_at: Path, format: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(looked_at, out / "windows")
    assert recognize(tiny_model, recordings, "--bouts", out, "--format", format, "--review", "2", "--quiet") == 0
    every = read_annotations(out / "bouts.csv")
    for recording in every.recordings:
        path = out / f"{recording.name.removesuffix('.avi')}{FORMATS[format].suffix}"
        if FORMATS[format].read is None:
            assert path.read_text().count(" --> ") == len(recording.bouts)
            continue
        (read,) = read_annotations(path, videos=recordings).recordings
        assert [bout.label for bout in read.bouts] == [bout.label for bout in recording.bouts]
        assert [bout.start_s for bout in read.bouts] == pytest.approx([b.start_s for b in recording.bouts], abs=2e-3)
    assert len([path for path in (out / "review").iterdir() if path.suffix != ".mp4"]) in (1, 2)


def test_annotations_of_ones_own_are_not_overwritten(
    tiny_model: Path, recordings: Path, tmp_path: Path, looked_at: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "out" / "mouse1.csv"
    own.parent.mkdir()
    own.write_text("path,label,start_s,end_s\n")
    assert recognize(tiny_model, recordings, "--bouts", own.parent) == 2
    assert "mouse1.csv is there, from no earlier run" in capsys.readouterr().err
    assert sorted(own.parent.iterdir()) == [own]
    assert own.read_text() == "path,label,start_s,end_s\n"
    shutil.copytree(looked_at, own.parent / "windows")  # then it is of an earlier run
    assert recognize(tiny_model, recordings, "--bouts", own.parent, "--quiet") == 0


def test_table_says_how_long_each_label_is_shown(
    tiny_model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recognize(tiny_model, recordings / "mouse0.avi", "--bouts", tmp_path / "out") == 0
    lines = capsys.readouterr().out.splitlines()
    found = Recognizer.load(tiny_model, device="cpu").find_bouts(recordings / "mouse0.avi").bouts
    assert lines[0].endswith(f"{len(found)} bouts in 6.0 s")
    label = found[0].label
    own = [bout.duration_s for bout in found if bout.label == label]
    assert [label, str(len(own)), f"{sum(own):.1f}", f"{sum(own) / 6:.0%}"] in [line.split() for line in lines]


def test_a_recording_that_cannot_be_read_is_told_and_the_others_are_done(
    tiny_model: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    shutil.copytree(recordings, folder)
    (folder / "mouse1.avi").write_bytes(b"no video")
    assert recognize(tiny_model, folder, "--bouts", tmp_path / "out") == 3
    assert "mouse1.avi" in capsys.readouterr().err
    names = {row["path"].rpartition("/")[2] for row in rows(tmp_path / "out" / "bouts.csv")}
    assert names == {"mouse0.avi", "mouse2.avi"}


def test_a_killed_run_goes_on(
    tiny_model: Path, tmp_path: Path, make_clip: MakeClip, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "recordings", tmp_path / "out"
    folder.mkdir()
    for number in range(4):
        make_clip(folder / f"r{number}.avi", textured_frames(200, 72, 80, seed=number), 10)
    command = [sys.executable, "-m", "lrcn", "recognize", str(folder), "--model", str(tiny_model), "--device", "cpu"]
    running = subprocess.Popen([*command, "--bouts", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not list(out.glob("windows/[!.]*.npz")) and running.poll() is None:
            time.sleep(0.005)
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    done = len(list(out.glob("windows/[!.]*.npz")))
    assert done
    assert recognize(tiny_model, folder, "--bouts", out) == 0
    assert f"{done} of 4 looked at before" in capsys.readouterr().err
    fresh = tmp_path / "fresh"
    assert recognize(tiny_model, folder, "--bouts", fresh) == 0
    for name in ("bouts.csv", "r0.csv", "r3.csv", "time_budget.csv"):
        assert (out / name).read_text() == (fresh / name).read_text()


def test_labelled_video_shows_bouts(tiny_model: Path, recordings: Path, tmp_path: Path) -> None:
    path = recordings / "mouse0.avi"
    assert recognize(tiny_model, path, "--bouts", tmp_path / "out", "--save-video", tmp_path) == 0
    assert recognize(tiny_model, path, "--save-video", tmp_path / "windows") == 0
    name = "mouse0.labelled.mp4"
    assert (tmp_path / name).read_bytes() != (tmp_path / "windows" / name).read_bytes()


@pytest.fixture(scope="module")
def cage(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    """A video of two animals side by side, one of which is away for two seconds, and their tracks."""
    folder = tmp_path_factory.mktemp("cage")
    both = np.concatenate([textured_frames(60, 72, 72, seed=seed) for seed in (0, 1)], axis=2)
    make_clip(folder / "cage.avi", both, 10)
    rows = [f"{n},anna,0,0,72,72" for n in range(60)] + [f"{n},b/n,72,0,72,72" for n in range(60) if not 20 <= n < 40]
    (folder / "cage.csv").write_text("\n".join(["frame,id,x,y,w,h", *rows]), encoding="utf-8")
    return folder


def test_each_animal_has_its_own_bouts(
    tiny_model: Path, cage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make_clip: MakeClip
) -> None:
    out, flags = tmp_path / "out", ("--tracks", cage / "cage.csv", "--plots", "--review", "2", *LOOSE, "--json")
    assert recognize(tiny_model, cage / "cage.avi", "--bouts", out, *flags) == 0
    result = json.loads(capsys.readouterr().out)
    (recording,) = read_annotations(out / "bouts.csv").recordings
    (tmp_path / "alone").mkdir()
    alone = {}
    for name, seed in (("anna", 0), ("b/n", 1)):
        path = make_clip(tmp_path / "alone" / f"{seed}.avi", textured_frames(60, 72, 72, seed=seed), 10)
        assert recognize(tiny_model, path, "--bouts", tmp_path / "alone" / "out", *LOOSE) == 0
        alone[name] = read_annotations(tmp_path / "alone" / "out" / "bouts.csv").recordings[0].bouts
    first = [bout for bout in recording.bouts if bout.subject == "anna"]
    assert [(b.label, b.start_s, b.end_s) for b in first] == [(b.label, b.start_s, b.end_s) for b in alone["anna"]]
    second = [bout for bout in recording.bouts if bout.subject == "b/n"]
    assert second
    assert not [bout for bout in second if bout.start_s < 4 and bout.end_s > 2]
    assert {bout.start_s for bout in second} >= {0.0, 4.0}
    assert [one["subject"] for one in result["bouts"]] == [bout.subject for bout in recording.bouts]
    assert (result["segments"], result["duration_s"], recording.duration_s) == ([], 6.0, 6.0)
    assert sorted(path.name for path in (out / "plots").iterdir()) == ["cage-anna.png", "cage-b_n.png"]
    assert {row["subject"] for row in rows(out / "time_budget.csv")} == {"anna", "b/n"}
    assert len(list((out / "review").glob("*.mp4"))) == 2


def test_table_says_it_of_each_animal(
    tiny_model: Path, cage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recognize(tiny_model, cage / "cage.avi", "--bouts", tmp_path, "--tracks", cage / "cage.csv", *LOOSE) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    (recording,) = read_annotations(tmp_path / "bouts.csv").recordings
    assert lines[1] == ["subject", "label", "bouts", "seconds", "share"]
    for subject, label in {(bout.subject, bout.label) for bout in recording.bouts}:
        own = [bout.duration_s for bout in recording.bouts if (bout.subject, bout.label) == (subject, label)]
        assert [subject, label, str(len(own)), f"{sum(own):.1f}", f"{sum(own) / 6:.0%}"] in lines


def test_who_is_followed_and_does_nothing_is_counted_too(
    tiny_model: Path, cage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--tracks", cage / "cage.csv", "--threshold", "1", "--format", "boris-events")
    assert recognize(tiny_model, cage / "cage.avi", "--bouts", tmp_path, *flags) == 0
    counted = {(row["subject"], row["count"]) for row in rows(tmp_path / "time_budget.csv")}
    assert counted == {("anna", "0"), ("b/n", "0")}
    told = capsys.readouterr().err
    assert "boris-events has no place for recordings without bouts: left out, of cage.avi; bouts.csv has all" in told
    assert "boris-events has no place for subjects without bouts" in told
    assert read_annotations(tmp_path / "bouts.csv").recordings[0].idle_subjects == ("anna", "b/n")


def test_tracks_are_followed_once_unless_they_change(
    tiny_model: Path, cage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(cage, tmp_path / "cage")
    out, video, tracks = tmp_path / "out", tmp_path / "cage" / "cage.avi", tmp_path / "cage" / "cage.csv"

    def run(*flags: str | Path) -> bool:
        """Return whether nothing was looked at again."""
        assert recognize(tiny_model, video, "--bouts", out, *flags) == 0
        return "1 of 1 looked at before" in capsys.readouterr().err

    assert not run("--tracks", tracks)
    bouts = (out / "bouts.csv").read_text()
    assert run("--tracks", tracks.parent)
    assert (out / "bouts.csv").read_text() == bouts
    assert not run("--tracks", tracks, "--track-size", "60")
    assert not run("--roi", "0,0,72,72")
    assert not run()
    tracks.write_text(tracks.read_text().replace("b/n", "ben"))
    assert not run("--tracks", tracks)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--tracks", "{cage}/cage.csv"), 2, "--tracks is about bouts: give --bouts FOLDER"),
        (("--bouts", "{out}", "--track-size", "9"), 2, "--track-size is about tracks: give --tracks FILE, too"),
        (
            ("--bouts", "{out}", "--tracks", "{cage}/cage.csv", "--csv", "{out}.csv"),
            2,
            "--csv is about the whole picture",
        ),
        (
            ("--bouts", "{out}", "--tracks", "{cage}/cage.csv", "--roi", "0,0,9,9"),
            2,
            "--roi is about the whole picture",
        ),
        (
            ("--bouts", "{out}", "--tracks", "{cage}/cage.csv", "{cage}/cage.avi"),
            2,
            "is of one video; for 2 name a folder",
        ),
        (("--bouts", "{out}", "--tracks", "{out}.csv"), 1, "its tracks are not there"),
        (
            ("--bouts", "{out}", "--tracks", "{cage}/cage.avi"),
            1,
            "save the file as UTF-8",
        ),
    ],
)
def test_what_does_not_go_with_tracks_is_one_line(
    tiny_model: Path,
    cage: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    shutil.copytree(cage, tmp_path / "cage")
    named = [flag.format(cage=cage, out=tmp_path / "out") for flag in flags]
    assert recognize(tiny_model, tmp_path / "cage" / "cage.avi", *named, "--quiet") == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "remedy"), [("--unknown-below", "of bouts say --threshold"), ("--clip-stride", "leave")]
)
def test_flags_of_windows_are_refused_beside_bouts(
    tiny_model: Path,
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flag: str,
    remedy: str,
) -> None:
    assert recognize(tiny_model, recordings, "--bouts", tmp_path / "out", flag, "1") == 2
    assert remedy in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_files_of_other_recordings_in_the_folder_are_told_of(
    tiny_model: Path, recordings: Path, looked_at: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(looked_at, out / "windows")
    assert recognize(tiny_model, recordings, "--bouts", out) == 0
    assert "also holds" not in capsys.readouterr().err
    assert recognize(tiny_model, recordings / "mouse0.avi", "--bouts", out) == 0
    assert "also holds mouse1.csv (1 more), of other recordings or of an earlier run" in capsys.readouterr().err
