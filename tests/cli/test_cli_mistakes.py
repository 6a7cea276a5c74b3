"""Mistakes that users make: each is one line that names the file, the row or the flag, and what to do about it."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lrcn.cli import main


@dataclass(frozen=True)
class Mistake:
    """A command that cannot work."""

    command: str
    """`{clip}`, `{model}` and `{captioner}` are replaced; the working folder is a new one."""
    says: tuple[str, ...]
    """What its line must hold: where, and what to do."""
    code: int = 1
    files: dict[str, str] = field(default_factory=dict)
    """What lies in the working folder besides `clips`, the folders of two classes."""


ROWS = "path,label,split\nclips/train/walk/1.avi,walk,train\n"
SETTINGS = "epochs: 1\n"
TRAIN = "train recognition clips --output run --quiet"

MISTAKES = {
    # what is named is not there, or something else
    "no such file": Mistake("recognize holiday.mp4 --model {model}", ("holiday.mp4", "no such file")),
    "a text that is called a video": Mistake(
        "recognize notes.mp4 --model {model}", ("notes.mp4", "not a video"), files={"notes.mp4": "buy milk\n" * 50}
    ),
    "an empty file": Mistake("recognize a.avi --model {model}", ("a.avi", "empty"), files={"a.avi": ""}),
    "a folder without videos": Mistake(
        "recognize docs --model {model}", ("docs", "no video"), files={"docs/notes.txt": "a"}
    ),
    "a pattern that nothing fits": Mistake(
        "recognize 'clips/*.mp4' --model {model}", ("clips/*.mp4", "nothing matches")
    ),
    "an address": Mistake(
        "recognize http://camera/video --model {model}", ("http://camera/video", "download the video")
    ),
    "nothing named": Mistake("recognize --model {model}", ("name at least one video",), code=2),
    # models
    "a model that is misspelt": Mistake("recognize {clip} --model dmeo", ("dmeo", "did you mean 'demo'")),
    "a model that is not there": Mistake(
        "recognize {clip} --model runs/best.safetensors", ("runs/best.safetensors", "no such model file", "demo")
    ),
    "a video for a model": Mistake("info {clip}", ("clip20.avi", "lrcn train")),
    "a folder without a model": Mistake("info clips", ("clips", "model.safetensors")),
    "a model of captions, to recognise": Mistake(
        "recognize {clip} --model {captioner}", ("tiny_captions.safetensors", "lrcn caption")
    ),
    "a model of actions, to describe": Mistake(
        "caption {clip} --model {model}", ("tiny.safetensors", "lrcn recognize")
    ),
    "a model of actions, to retrieve": Mistake(
        "retrieve --model {model} --images clips --text 'a dog'", ("tiny.safetensors", "recognition model")
    ),
    "a model that was cut short by a download": Mistake(
        "info cut.safetensors", ("cut.safetensors", "cut short"), files={"cut.safetensors": "<html>404</html>"}
    ),
    # flags
    "a flag that is misspelt": Mistake("recognize {clip} --modle {model}", ("--modle", "--model"), code=2),
    "a region outside the picture": Mistake(
        "recognize {clip} --model {model} --roi 60,0,30,30", ("clip20.avi", "60,0,30,30", "64x48")
    ),
    "a region of three numbers": Mistake(
        "recognize {clip} --model {model} --roi 1,2,3", ("--roi", "left,top,width,height", "1,2,3"), code=2
    ),
    "a device that is not there": Mistake("recognize {clip} --model {model} --device gpu", ("gpu", "cuda")),
    "a runtime that nobody knows": Mistake(
        "recognize {clip} --model {model} --runtime tensorrt", ("tensorrt", "onnxruntime")
    ),
    "a table over the video": Mistake("recognize a.avi --model {model} --csv a.avi", ("--csv", "a.avi"), code=2),
    "a table over a folder": Mistake("recognize {clip} --model {model} --csv clips", ("--csv", "clips"), code=2),
    "a folder over a file": Mistake(
        "recognize {clip} --model {model} --srt out", ("--srt", "out"), files={"out": "a"}, code=2
    ),
    "a share without a second stream": Mistake(
        "recognize {clip} --model {model} --rgb-weight 0.5", ("--rgb-weight", "--flow-model"), code=2
    ),
    "tracks that are not there": Mistake(
        "recognize {clip} --model {model} --tracks t.csv --bouts out", ("clip20.avi", "t.csv")
    ),
    "tracks without columns": Mistake(
        "recognize {clip} --model {model} --tracks t.csv --bouts out",
        ("t.csv", "column"),
        files={"t.csv": "a,b\n1,2\n"},
    ),
    # data sets
    "a data set that is not there": Mistake(
        "train recognition cilps --output run", ("cilps", "no such folder", "spelt")
    ),
    "an empty folder": Mistake("train recognition docs --output run", ("docs",), files={"docs/notes.txt": "a"}),
    "one class alone": Mistake(
        "train recognition one.csv --output run", ("one.csv", "walk", "two"), files={"one.csv": ROWS}
    ),
    "a table without a heading": Mistake(
        "train recognition a/annotations.csv --output run",
        ("annotations.csv", "path,label"),
        files={"a/annotations.csv": "clips/1.avi,walk\nclips/2.avi,wave\n"},
    ),
    "a table that lacks a column": Mistake(
        "data check a/annotations.csv",
        ("annotations.csv", "label"),
        files={"a/annotations.csv": "path,klass\n1.avi,walk\n"},
    ),
    "a row whose video is gone": Mistake(
        "data check annotations.csv",
        ("annotations.csv line 3", "gone.avi", "--skip-missing"),
        files={"annotations.csv": ROWS + "gone.avi,wave,train\n"},
    ),
    "a split that nobody knows": Mistake(
        "data check annotations.csv",
        ("annotations.csv line 3", "'trian'", "train, val"),
        files={"annotations.csv": ROWS + "clips/train/wave/1.avi,wave,trian\n"},
    ),
    "a row without a class": Mistake(
        "data check annotations.csv",
        ("annotations.csv line 3", "label"),
        files={"annotations.csv": ROWS + "clips/train/wave/1.avi,,train\n"},
    ),
    "a part that ends before it starts": Mistake(
        "data check annotations.csv --format annotations-csv",
        ("annotations.csv line 2", "ends at 2 s", "correct"),
        files={"annotations.csv": "path,label,split,start_s,end_s\nclips/train/walk/1.avi,walk,train,5,2\n"},
    ),
    "a time that is none": Mistake(
        "data check annotations.csv --format annotations-csv",
        ("annotations.csv line 2", "soon"),
        files={"annotations.csv": "path,label,split,start_s,end_s\nclips/train/walk/1.avi,walk,train,soon,9\n"},
    ),
    "a format that nobody knows": Mistake("data check clips --format kinetcs", ("kinetcs", "kinetics")),
    "captions without sentences": Mistake(
        "train captioning captions.csv --output run",
        ("captions.csv", "caption"),
        files={"captions.csv": "path,text\na.png,a dog\n"},
    ),
    "JSON with a comma too many": Mistake(
        "data check captions.json", ("captions.json", "line 2"), files={"captions.json": '{"images": [],\n,}'}
    ),
    "no training clips": Mistake(
        "train recognition val.csv --output run",
        ("val.csv", "train"),
        files={"val.csv": "path,label,split\nclips/val/walk/1.avi,walk,val\nclips/val/wave/1.avi,wave,val\n"},
    ),
    # trainings
    "no place for the run": Mistake("train recognition clips", ("--output",), code=2),
    "a run where a file is": Mistake(f"{TRAIN}", ("--output", "run"), files={"run": "a"}, code=2),
    "a run where another is": Mistake(
        TRAIN, ("run", "--resume", "another"), files={"run/last.ckpt": "a", "run/history.csv": "epoch\n"}
    ),
    "settings that are not there": Mistake(f"{TRAIN} --config my.yaml", ("my.yaml", "No such file"), code=2),
    "a setting that is misspelt": Mistake(
        f"{TRAIN} --config my.yaml",
        ("my.yaml", "line 2", "hiden_size", "hidden_size"),
        files={"my.yaml": SETTINGS + "hiden_size: 3\n"},
        code=2,
    ),
    "a setting of another kind": Mistake(
        f"{TRAIN} --config my.yaml",
        ("my.yaml", "line 1", "epochs", "many"),
        files={"my.yaml": "epochs: many\n"},
        code=2,
    ),
    "tabs in settings": Mistake(
        f"{TRAIN} --config my.yaml", ("my.yaml", "line 2"), files={"my.yaml": "epochs: 1\n\tlr: 1\n"}, code=2
    ),
    "a backbone that is misspelt": Mistake(f"{TRAIN} --backbone resnet5", ("resnet5", "did you mean")),
    "a head that is misspelt": Mistake(f"{TRAIN} --head lsmt", ("lsmt", "lstm")),
    "a layer that is not there": Mistake(f"{TRAIN} --layer blocks.99", ("blocks.99", "blocks.4")),
    "no learning rate": Mistake(f"{TRAIN} --lr 0", ("lr", "above 0"), code=2),
    "weights that are not there": Mistake(f"{TRAIN} --backbone-weights weights.pth", ("weights.pth", "no such file")),
    "Caffe's weights as they are": Mistake(
        f"{TRAIN} --backbone-weights net.caffemodel", ("net.caffemodel", "import-caffe"), files={"net.caffemodel": "a"}
    ),
    "a start that is not there": Mistake(
        f"{TRAIN} --init-from old.safetensors", ("old.safetensors", "no such model file")
    ),
    "time without a search": Mistake(f"{TRAIN} --minutes 5", ("--minutes", "--search"), code=2),
    # scores
    "a split that is misspelt": Mistake(
        "evaluate {model} clips --split tset", ("clips", "'tset'", "train (", "val (", "--split")
    ),
    "classes that the model never saw": Mistake("evaluate {model} swim --split val", ("swim", "walk")),
    "model and data the wrong way round": Mistake("evaluate clips {model}", ("clips", "model")),
    "tables of agreement of nothing shared": Mistake(
        "data agree a.csv b.csv",
        ("a.csv", "b.csv"),
        files={
            "a.csv": "path,label,start_s,end_s\na.mp4,dig,0,1\n",
            "b.csv": "path,label,start_s,end_s\nb.mp4,dig,0,1\n",
        },
    ),
    # other programs
    "an export without a place": Mistake("export {model}", ("--output",), code=2),
    "whole numbers without data": Mistake("export {model} --output out --int8", ("--int8", "--calibrate"), code=2),
    "a format without a file": Mistake(
        "data import a.csv --to elan",
        ("--to", "--output"),
        code=2,
        files={"a.csv": "path,label,start_s,end_s\na.mp4,dig,0,1\n"},
    ),
    "annotations of no program": Mistake(
        "data import a.txt --output b.csv",
        ("a.txt", "known formats", "boris-project"),
        files={"a.txt": "who did what?\n"},
    ),
    "a net of Caffe that is none": Mistake(
        "import-caffe a.caffemodel --output m.safetensors --labels l.txt",
        ("a.caffemodel",),
        files={"a.caffemodel": "<html>", "l.txt": "walk\nwave\n"},
    ),
    "a label that the model does not know": Mistake(
        "explain {clip} --model {model} --label wlak", ("wlak", "did you mean 'walk'")
    ),
    "features of nothing": Mistake("data extract {model} --output out", ("name at least one",), code=2),
    "a camera that is not there": Mistake("stream 97 --model {model}", ("97",)),
    "sentences that are not there": Mistake(
        "retrieve --model {captioner} --image a.avi --captions said.txt", ("said.txt", "No such file")
    ),
}


@pytest.fixture
def folder(clip20: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for place in ("train/walk", "train/wave", "val/walk", "val/wave"):
        (tmp_path / "clips" / place).mkdir(parents=True)
        for name in ("1.avi", "2.avi"):
            (tmp_path / "clips" / place / name).symlink_to(clip20)
    for label in ("front", "back"):
        (tmp_path / "swim" / "val" / label).mkdir(parents=True)
        (tmp_path / "swim" / "val" / label / "1.avi").symlink_to(clip20)
    shutil.copyfile(clip20, tmp_path / "a.avi")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_it_is_one_line_that_helps(
    mistake: Mistake,
    folder: Path,
    clip20: Path,
    tiny_model: Path,
    tiny_caption_model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, content in mistake.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    before = _contents(folder)
    places = {"clip": clip20, "model": tiny_model, "captioner": tiny_caption_model}
    code = main([argument.format(**places) for argument in shlex.split(mistake.command)])
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith(("try: lrcn ", "lrcn: warning: "))]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("lrcn: error: ")
    assert [words for words in mistake.says if words not in lines[0]] == [], lines[0]
    assert len(lines[0]) <= 315
    assert code == mistake.code, lines[0]
    assert said.out == ""
    assert _contents(folder) == before
    assert not [path for path in folder.rglob(".*")]


def test_there_are_fifty_of_them() -> None:
    assert len(MISTAKES) >= 50
