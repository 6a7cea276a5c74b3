"""`lrcn caption` and `lrcn retrieve` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main
from lrcn.cli.terminal import simple_table


@pytest.fixture
def media(make_clip: MakeClip, tmp_path: Path) -> Path:
    """A folder with three pictures and a video of 2.6 s below it."""
    folder = tmp_path / "media"
    (folder / "clips").mkdir(parents=True)
    for i in range(3):
        Image.fromarray(textured_frames(1, 80 + i, 100, seed=i)[0]).save(folder / f"{i}.png")
    make_clip(folder / "clips" / "v.avi", textured_frames(26, 72, 90, seed=4), 10)
    (folder / "notes.txt").write_text("not for captioning")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main([*arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_folder_stands_for_its_pictures_and_videos(
    media: Path, tiny_caption_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "caption", str(media), "--model", str(tiny_caption_model), "--segment-s", "1")
    assert code == 0
    assert err == ""
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines[:3]] == [str(media / f"{i}.png") for i in range(3)]
    assert all(
        set(line.split("  ")[1].split()) <= {"a", "red", "blue", "square", "circle", "moves"} for line in lines[:3]
    )
    assert lines[3] == f"{media / 'clips' / 'v.avi'}  2.6 s"
    assert lines[4].split()[:2] == ["whole", "video"]
    assert [line.split("s  ")[0].strip() for line in lines[5:]] == ["0.0 - 1.0", "1.0 - 2.0", "2.0 - 2.6"]


def test_json_csv_coco_and_subtitles_say_the_same(
    media: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out_dir = tmp_path / "out"
    code, out, _ = run(
        capsys,
        *("caption", str(media), "--model", str(tiny_caption_model), "--segment-s", "1", "--num-captions", "2"),
        *("--json", "--csv", str(out_dir / "c.csv"), "--coco", str(out_dir / "c.json")),
        *("--srt", str(out_dir / "subs"), "--vtt", str(out_dir / "subs")),
    )
    assert code == 0
    results = [json.loads(line) for line in out.splitlines()]
    assert [len(result["captions"]) for result in results] == [2, 2, 2, 2]
    with (out_dir / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 2 + 3 * 2
    whole = [row["caption"] for row in rows if row["rank"] == "1" and row["source"].endswith(".png")]
    assert whole == [result["captions"][0]["text"] for result in results[:3]]
    coco = json.loads((out_dir / "c.json").read_text())
    assert [entry["image_id"] for entry in coco] == [0, 1, 2, "v"]
    assert [entry["caption"] for entry in coco] == [result["captions"][0]["text"] for result in results]
    assert sorted(path.name for path in (out_dir / "subs").iterdir()) == ["v.srt", "v.vtt"]
    segments = results[3]["segments"]
    srt = (out_dir / "subs" / "v.srt").read_text().split("\n\n")
    assert [cue.strip().split("\n") for cue in srt] == [
        [str(i + 1), f"00:00:0{i},000 --> 00:00:0{min(i + 1, 2)},{600 if i == 2 else '000'}", s["captions"][0]["text"]]
        for i, s in enumerate(segments)
    ]
    assert (out_dir / "subs" / "v.vtt").read_text().startswith("WEBVTT\n\n1\n00:00:00.000 --> 00:00:01.000\n")


def test_isolated_it_says_the_same(media: Path, tiny_caption_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (media / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    command = ("caption", str(media), "--model", str(tiny_caption_model), "--device", "cpu", "--segment-s", "1")
    assert run(capsys, *command, "--isolate") == run(capsys, *command)


def test_what_cannot_be_read_is_listed_and_the_others_done(
    media: Path, tiny_caption_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (media / "1.png").write_bytes(b"no picture")
    code, out, err = run(capsys, "caption", str(media), str(media / "gone.jpg"), "--model", str(tiny_caption_model))
    assert code == 3
    assert len(out.splitlines()) == 3
    errors = err.splitlines()
    assert len(errors) == 3
    assert "gone.jpg" in errors[0]
    assert "1.png" in errors[1]
    assert errors[2] == "lrcn: 2 of 5 sources failed; the others are done"
    code, out, err = run(capsys, "caption", str(media / "1.png"), "--model", str(tiny_caption_model))
    assert (code, out, len(err.splitlines())) == (1, "", 1)


def test_wrong_models_and_flags_are_one_line(
    media: Path, tiny_model: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, out_dir = str(media / "0.png"), tmp_path / "out"
    code, _, err = run(capsys, "caption", picture, "--model", str(tiny_model), "--csv", str(out_dir / "x.csv"))
    assert (code, err) == (1, f"lrcn: error: {tiny_model} is a recognition model; use: lrcn recognize\n")
    assert not out_dir.exists()
    code, _, err = run(capsys, "recognize", picture, "--model", str(tiny_caption_model))
    assert (code, err) == (1, f"lrcn: error: {tiny_caption_model} is a captioning model; use: lrcn caption\n")
    code, _, err = run(capsys, "caption", picture, "--model", str(tiny_caption_model), "--beam-size", "0")
    assert (code, err.splitlines()[0]) == (2, "lrcn: error: beam_size must be 1 or more, got 0")
    code, _, err = run(capsys, "caption", picture, "--model", str(tiny_caption_model), "--temperature", "2")
    assert (code, len(err.splitlines())) == (2, 1)
    for flags in (("--num-captions", "6"), ("--num-samples", "2", "--num-captions", "3"), ("--top-k", "4")):
        code, _, err = run(capsys, "caption", picture, "--model", str(tiny_caption_model), *flags)
        assert (code, len(err.splitlines())) == (2, 1), flags
    assert run(capsys, "caption", "--model", str(tiny_caption_model))[0] == 2
    (media / "clips" / "0.png").write_bytes((media / "0.png").read_bytes())
    code, _, err = run(capsys, "caption", str(media), "--model", str(tiny_caption_model), "--coco", str(out_dir / "c"))
    assert code == 2
    assert "2 sources have the image_id 0" in err


def test_help_explains_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "caption", "--help")
    assert code == 0
    text = re.sub(r"[│\s]+", " ", out)
    for phrase in ("--beam-size", "1 is greedy search", "The paper's T is 1 / temperature", "--srt", "COCO results"):
        assert phrase in text


def test_pictures_are_found_by_sentences(
    media: Path, tiny_caption_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", str(tiny_caption_model))
    code, out, err = run(
        capsys, "retrieve", "--images", str(media), "--text", "a red square", "a zebra moves", "--json", *model
    )
    assert code == 0
    results = [json.loads(line) for line in out.splitlines()]
    assert [result["query"] for result in results] == ["a red square", "a zebra moves"]
    assert [len(result["matches"]) for result in results] == [4, 4]
    scores = [match["score"] for match in results[0]["matches"]]
    assert scores == sorted(scores, reverse=True)
    assert err == "lrcn: warning: words that the model does not know: zebra\n"
    code, out, _ = run(capsys, "retrieve", "--images", str(media), "--text", "a red square", "--top-k", "2", *model)
    lines = out.splitlines()
    assert lines[0] == "a red square"
    assert [line.split()[0] for line in lines[1:3]] == ["1", "2"]
    assert lines[1].split()[1] == results[0]["matches"][0]["item"]


def test_sentences_are_found_by_a_picture(
    media: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", str(tiny_caption_model))
    file = tmp_path / "sentences.txt"
    file.write_text("a red square\n\na blue circle\n a circle moves \n", encoding="utf-8")
    query = ("retrieve", "--image", str(media / "0.png"), "--captions", str(file), "--json", *model)
    code, out, _ = run(capsys, *query)
    assert code == 0
    result = json.loads(out)
    assert result["scoring"] == "plain"
    assert sorted(match["item"] for match in result["matches"]) == ["a blue circle", "a circle moves", "a red square"]
    code, out, _ = run(capsys, *query, "--images", str(media))
    assert json.loads(out)["scoring"] == "release"
    (media / "1.png").write_bytes(b"nothing")
    code, out, err = run(capsys, *query, "--images", str(media))
    assert code == 3
    assert "1.png" in err
    file.write_text("\n\n")
    code, _, err = run(capsys, *query)
    assert (code, err.count("\n")) == (1, 1)
    assert "holds no sentence" in err


@pytest.mark.parametrize(
    "flags", [[], ["--text", "a dog"], ["--image", "x.png"], ["--image", "x.png", "--text", "a dog", "--images", "."]]
)
def test_flags_that_do_not_go_together(
    flags: list[str], tiny_caption_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "retrieve", "--model", str(tiny_caption_model), *flags)
    assert code == 2
    assert err == "lrcn: error: give --images DIR --text SENTENCE, or --image PICTURE --captions FILE\n"


def test_a_name_that_is_no_utf_8_loses_nothing(
    media: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = media / os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(media / "0.png", odd)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    table, coco = tmp_path / "c.csv", tmp_path / "c.json"
    arguments = ("--model", str(tiny_caption_model), "--json", "--csv", str(table), "--coco", str(coco))
    code, _, _ = run(capsys, "caption", str(media / "1.png"), str(odd), *arguments)
    assert code == 0
    assert b"caf\xe9.png" in table.read_bytes()
    assert [entry["image_id"] for entry in json.loads(coco.read_text())] == [1, odd.stem]


def test_a_video_of_one_sampled_frame_is_no_picture(
    make_clip: MakeClip, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path / "short.avi", textured_frames(2, 72, 90, seed=4), 30)
    subtitles = tmp_path / "subs"
    code, out, _ = run(
        capsys, "caption", str(clip), "--model", str(tiny_caption_model), "--json", "--srt", str(subtitles)
    )
    assert code == 0
    assert json.loads(out)["duration_s"] == pytest.approx(2 / 30, abs=0.05)
    assert (subtitles / "short.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:00,")


def test_retrieve_goes_on_without_what_is_missing_and_says_why(
    media: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ("--model", str(tiny_caption_model))
    missing = tmp_path / "missing.png"
    pictures = ("--images", str(media / "0.png"), str(missing))
    code, out, err = run(capsys, "retrieve", *pictures, "--text", "a red square", *model)
    assert code == 3
    assert "0.png" in out
    assert str(missing) in err
    assert "1 of 2 pictures failed" in err
    code, _, err = run(capsys, "caption", "", str(media / "0.png"), *model)
    assert code == 3
    assert "a source is empty" in err
    code, _, err = run(capsys, "retrieve", "--images", str(missing), "--text", "a red square", *model)
    assert code == 1
    assert str(missing) in err
    (tmp_path / "bad.png").write_bytes(b"no picture")
    code, _, err = run(capsys, "retrieve", "--images", str(tmp_path / "bad.png"), "--text", "a red square", *model)
    assert code == 1
    assert err.count("bad.png") == 1
    file = tmp_path / "s.txt"
    file.write_text("a red square\n---\n")
    code, _, err = run(capsys, "retrieve", "--image", str(media / "0.png"), "--captions", str(file), *model)
    assert code == 1
    assert f"{file} line 2: '---' holds no word" in err


def test_odd_paths_are_shown_as_they_are(
    media: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "[b] :dog: [/b]\\[x]"
    folder.mkdir(parents=True)
    shutil.copy(media / "0.png", folder / "0.png")
    code, out, _ = run(
        capsys, "retrieve", "--images", str(folder), "--text", "a red square", "--model", str(tiny_caption_model)
    )
    assert code == 0
    assert "[b]:dog:[/b]\\[x]/" in re.sub(r"\s|-?[0-9]+[.][0-9]+", "", out)


def test_long_cells_are_folded_not_cut() -> None:
    path = "/" + "holiday-" * 30 + "/[b] :dog:.png"
    console = Console(file=io.StringIO(), width=50, emoji=False)
    console.print(simple_table(None, [("1", path)]))
    shown = console.file.getvalue()
    assert re.sub(r"\s", "", shown) == "1" + path.replace(" ", "")


@pytest.mark.parametrize("flags", [("--length-penalty", "500"), ("--num-samples", "2", "--seed", str(10**20))])
def test_numbers_that_overflow_are_refused_before_the_work(
    media: Path, tiny_caption_model: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    code, _, err = run(capsys, "caption", str(media), "--model", str(tiny_caption_model), *flags)
    assert code == 2
    assert flags[-2].removeprefix("--").replace("-", "_") in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("command", ["caption", "recognize"])
def test_a_pipe_is_not_waited_for(
    command: str, tiny_model: Path, tiny_caption_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    model = tiny_model if command == "recognize" else tiny_caption_model
    code, _, err = run(capsys, command, str(pipe), "--model", str(model))
    assert (code, err) == (1, f"lrcn: error: {pipe}: no regular file\n")
