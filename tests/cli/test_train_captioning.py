"""`lrcn train captioning` from the shell's side: a CSV of sentences in, a model file out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from lrcn.cli import main
from lrcn.model_file import inspect


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rows = ["path,caption,split"]
    for number, split in enumerate(["train"] * 6 + ["val"] * 2):
        colour, rgb = (("red", (200, 0, 0)), ("blue", (0, 0, 200)))[number % 2]
        Image.fromarray(np.full((40, 40, 3), rgb, dtype=np.uint8)).save(folder / f"{number}.png")
        rows += [f"{number}.png,a {colour} wall,{split}", f"{number}.png,the wall is {colour},{split}"]
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    return folder


SMALL = "--backbone alexnet --backbone-weights none --layer features.2 --grid 1 --crop 64 --resize 64 --hidden-size 8"
FAST = [
    *SMALL.split(),
    *[
        "--runtime",
        "torch",
        "--embedding-size",
        "6",
        "--projection-size",
        "0",
        "--min-count",
        "1",
        "--epochs",
        "2",
        "--quiet",
    ],
]


def test_a_folder_of_pictures_and_sentences_becomes_a_model(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    places = ["--output", str(run), "--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
    assert main(["train", "captioning", str(photos), *places, *FAST]) == 0
    assert capsys.readouterr().out == f"{run / 'model.safetensors'}\n"
    header = inspect(run)
    assert header.task == "captioning"
    assert set(header.vocabulary) == {"a", "red", "blue", "wall", "the", "is"}
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert (settings["variant"], settings["hidden_size"]) == ("2f", 8)

    assert main(["train", "captioning", str(photos), *places, *FAST]) == 1
    assert "holds a training run already" in capsys.readouterr().err
    assert main(["train", "captioning", str(photos), *places, "--resume"]) == 0  # with the settings of the run
    assert "this run is finished" in capsys.readouterr().err
    fresh = ["--output", str(tmp_path / "fresh"), *places[2:]]
    assert FAST[-1] == "--quiet"
    assert main(["train", "captioning", str(photos), *fresh, *FAST[:-1], "--resume"]) == 0
    assert "nothing to go on with yet; the run begins, with the settings given now" in capsys.readouterr().err
    assert main(["train", "captioning", str(photos), *places, "--resume", "--hidden-size", "9"]) == 1
    assert "other settings: hidden_size (8 -> 9)" in capsys.readouterr().err


def test_settings_of_the_file_and_their_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("variant: 1u\nhidden_size: 9\n")
    assert main(["train", "captioning", "--config", str(config), "--hidden-size", "7", "--print-config"]) == 0
    settings = yaml.safe_load(capsys.readouterr().out)
    assert (settings["variant"], settings["hidden_size"], settings["max_length"]) == ("1u", 7, 20)
    config.write_text("head: lstm\n")
    assert main(["train", "captioning", "--config", str(config), "--print-config"]) == 2
    assert "lrcn train captioning --print-config shows all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "train needs a data set; try: lrcn train captioning --help"),
        (["{photos}"], 2, "train needs --output DIR"),
        (["{tmp}", "--output", "{tmp}/run"], 1, "no captions recognised here"),
        (["{photos}", "--output", "{tmp}/run", "--variant", "3f"], 2, "3f"),
        (["{photos}", "--output", "{tmp}/run", "--min-count", "99"], 1, "use a smaller min_count"),
        (["{photos}", "--output", "{tmp}/run", "--init-from", "{tmp}/none"], 1, "no such model file"),
    ],
)
def test_wrong_orders_are_one_line(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    filled = [argument.format(photos=photos, tmp=tmp_path) for argument in arguments]
    if len(filled) > 2:
        filled += FAST if "--min-count" not in filled else FAST[: -FAST[::-1].index("--min-count") - 1]
    assert main(["train", "captioning", *filled]) == code
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()
