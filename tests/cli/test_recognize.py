from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
from tests.conftest import MakeClip

from lrcn.cli import exits, main
from lrcn.cli.recognize import _labelled_paths
from lrcn.errors import MediaError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.results import UNKNOWN, named


def recognize(model: Path, *arguments: str | Path) -> int:
    return main(["recognize", *map(str, arguments), "--model", str(model), "--device", "cpu"])


@pytest.fixture
def folder(make_clip: MakeClip, frames20: np.ndarray, tmp_path: Path) -> Path:
    """Two videos and, between them, a file that is none."""
    folder = tmp_path / "clips"
    folder.mkdir()
    make_clip(folder / "a.avi", frames20[:10])
    (folder / "b.mp4").write_bytes(b"no video")
    make_clip(folder / "c.avi", frames20[10:])
    return folder


def test_json_is_what_the_api_returns(tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recognize(tiny_model, clip20, "--json", "--top-k", "2", "--clip-stride", "4") == 0
    printed = json.loads(capsys.readouterr().out)
    expected = Recognizer.load(tiny_model, device="cpu")(clip20, top_k=2, clip_stride=4).to_dict()
    for one in (printed, expected):
        del one["timing_s"]
    assert printed == json.loads(json.dumps(expected))


@pytest.mark.parametrize("flags", [["--roi", "20,4,40,40"], ["--roi", "20", "4", "40", "40"], ["--roi=20,4,40,40"]])
def test_a_region_of_interest_is_all_that_is_seen(
    tiny_model: Path, clip20: Path, frames20: np.ndarray, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    assert recognize(tiny_model, clip20, "--json", *flags) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = Recognizer.load(tiny_model, device="cpu")(np.ascontiguousarray(frames20[:, 4:44, 20:60])).to_dict()
    assert printed["top"] == json.loads(json.dumps(expected["top"]))


@pytest.mark.parametrize(
    ("roi", "code", "message"),
    [
        ("20,4,40", 2, "expected left,top,width,height in px, such as 120,80,400,300; got 20,4,40"),
        ("20,4,-4,40", 2, "expected left,top,width,height in px"),
        ("30,4,40,40", 1, "the region of interest 30,4,40,40 (left, top, width, height in px) does not lie in its "),
    ],
)
def test_a_wrong_region_of_interest_is_one_line(
    tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str], roi: str, code: int, message: str
) -> None:
    assert recognize(tiny_model, clip20, "--quiet", f"--roi={roi}") == code
    assert message in capsys.readouterr().err


def test_table_names_labels_and_times(tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recognize(tiny_model, clip20) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == f"{clip20}  2.0 s"
    assert lines[1].split()[:2] == ["whole", "video"]
    result = Recognizer.load(tiny_model, device="cpu")(clip20)
    shown = [line for line in lines if " - " in line]
    assert shown[0].split()[:4] == ["0.0", "-", shown[0].split()[2], "s"]
    assert shown[-1].split()[2] == "2.0"
    assert {line.split()[4] for line in shown} <= {segment.top[0].label for segment in result.segments}
    assert "\x1b" not in captured.out  # no colours where it is no terminal
    assert captured.err == ""


def test_broken_source_is_reported_last_and_the_others_are_done(
    tiny_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recognize(tiny_model, folder, folder / "missing.mp4", "--json") == 3
    captured = capsys.readouterr()
    assert [Path(json.loads(line)["source"]).name for line in captured.out.splitlines()] == ["a.avi", "c.avi"]
    missing, broken, summary = captured.err.splitlines()
    assert missing.startswith(f"lrcn: error: {folder / 'missing.mp4'}: ")
    assert broken.startswith(f"lrcn: error: {folder / 'b.mp4'}: ")
    assert summary == "lrcn: 2 of 4 sources failed; the others are done"


def test_only_source_that_fails_is_a_plain_error(
    tiny_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recognize(tiny_model, folder / "b.mp4") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def test_csv_has_a_row_for_each_window(
    tiny_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "new" / "out.csv"
    assert recognize(tiny_model, folder, "--csv", table, "--json") == 3
    segments = [
        (result["source"], segment["start_s"], segment["end_s"], segment["top"][0])
        for result in map(json.loads, capsys.readouterr().out.splitlines())
        for segment in result["segments"]
    ]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(segments) == 8
    for row, (source, start_s, end_s, best) in zip(rows, segments, strict=True):
        assert (row["source"], float(row["start_s"]), float(row["end_s"])) == (source, start_s, end_s)
        assert (row["label"], int(row["label_id"]), float(row["prob"])) == tuple(best.values())


def test_other_files_say_what_the_json_says(
    tiny_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, subtitles = tmp_path / "probs.csv", tmp_path / "subtitles"
    assert recognize(tiny_model, folder, "--probs", table, "--srt", subtitles, "--vtt", subtitles, "--json") == 3
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    segments = [segment for result in results for segment in result["segments"]]
    assert len(rows) == len(segments)
    for row, segment in zip(rows, segments, strict=True):
        for entry in segment["top"]:
            assert float(row[entry["label"]]) == pytest.approx(entry["prob"], abs=1e-5)
    assert sorted(path.name for path in subtitles.iterdir()) == ["a.srt", "a.vtt", "c.srt", "c.vtt"]


def test_labelled_videos_are_written_for_what_can_be_read(
    tiny_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert recognize(tiny_model, folder, "--save-video", tmp_path / "out") == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.labelled.mp4", "c.labelled.mp4"]
    assert f"labelled video: {tmp_path / 'out' / 'a.labelled.mp4'}" in capsys.readouterr().err
    with av.open(str(tmp_path / "out" / "a.labelled.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.frames, stream.width, stream.height, stream.average_rate) == (10, 64, 48, 10)


def test_labelled_videos_of_equal_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    names = ["x/a.mp4", "y/a.avi", "y/A.mov", "z/b.mp4"]
    paths = _labelled_paths([Path(name) for name in names], tmp_path)
    expected = ["a.labelled.mp4", "a-2.labelled.mp4", "A-3.labelled.mp4", "b.labelled.mp4"]
    assert [path.name for path in paths] == expected


def test_quiet_prints_results_and_errors_only(
    tiny_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recognize(tiny_model, folder / "a.avi", "--save-video", tmp_path, "--csv", tmp_path / "x.csv", "--quiet", "--json")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert len(captured.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clip-stride", "99"], "clip_stride must be between 1 and the model's clip_length (4), got 99"),
        (["--device", "tpu9"], "device 'tpu9' cannot be used here"),
    ],
)
def test_wrong_setting_is_one_line(
    tiny_model: Path, clip20: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recognize", str(clip20), "--model", str(tiny_model), *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"lrcn: error: {message}")
    assert len(captured.err.splitlines()) == 1


def test_a_share_of_the_fusion_needs_a_second_stream(
    tiny_model: Path, clip20: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recognize", str(clip20), "--model", str(tiny_model), "--rgb-weight", "0.3"]) == 2
    assert "--rgb-weight goes with --flow-model" in capsys.readouterr().err


def test_a_broken_link_or_an_endless_name_stops_no_other_source(
    tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.avi").symlink_to(clip20)
    (folder / "b.webp").symlink_to(tmp_path / "nowhere")
    code = main(["recognize", str(folder), "x" * 300, "--model", str(tiny_model), "--json"])
    captured = capsys.readouterr()
    assert code == 3
    assert len(captured.out.splitlines()) == 1
    assert "b.webp" in captured.err
    assert "xxx" in captured.err
    assert "Traceback" not in captured.err


def test_a_result_is_not_lost_with_its_labelled_video(
    tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *arguments: object, **options: object) -> None:
        raise MediaError(f"{path}: cannot be written")

    monkeypatch.setattr("lrcn.plots.labelled_video.write_labelled_video", fail)
    table = tmp_path / "t.csv"
    assert recognize(tiny_model, clip20, "--json", "--save-video", tmp_path / "out", "--csv", table) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["source"] == str(clip20)
    assert len(table.read_text().splitlines()) > 1
    assert f"lrcn: error: {clip20}: cannot be written" in captured.err.splitlines()


def test_what_is_unknown_is_said_with_what_it_is_most_like(
    tiny_model: Path, clip20: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = Recognizer.load(tiny_model, device="cpu")(clip20).top[0]
    assert recognize(tiny_model, clip20, "--unknown-below", "1", "--srt", tmp_path, "--csv", tmp_path / "w.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("  ")[:2] == ["whole video", f"unknown (most like {best.label})"]
    assert lines[1].endswith(f" {100 * best.prob:.0f} %")
    assert not lines[2].strip().startswith("unknown")
    assert "unknown (most like" in (tmp_path / f"{clip20.stem}.srt").read_text()
    with (tmp_path / "w.csv").open() as file:
        assert {row["known"] for row in csv.DictReader(file)} == {"False"}
    assert recognize(tiny_model, clip20, "--unknown-below", "0", "--json") == 0
    assert json.loads(capsys.readouterr().out)["known"]
    assert recognize(tiny_model, clip20, "--unknown-below", "1.5") == exits.USAGE


@pytest.mark.parametrize(
    ("label", "known", "expected"),
    [
        ("walk", True, "walk 41 %"),
        ("walk", False, "unknown (most like walk 41 %)"),
        (UNKNOWN, False, "unknown 41 %"),  # the class of what has none
    ],
)
def test_a_name_says_whether_it_counts(label: str, known: bool, expected: str) -> None:
    assert named(label, known=known, share="41 %") == expected


def test_isolated_it_says_the_same(tiny_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for flags in ((), ("--isolate",)):
        assert recognize(tiny_model, folder, *flags) == exits.SOME_FAILED
        printed.append(capsys.readouterr())
    assert printed[0] == printed[1]
    assert "b.mp4: not a video" in printed[1].err
