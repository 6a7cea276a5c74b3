from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lrcn.bouts import BACKGROUND, Bout
from lrcn.errors import DataError, MissingExtraError
from lrcn.metrics.calibration import reliability
from lrcn.plots.charts import save_bouts, save_confusion, save_curves, save_reliability
from lrcn.plots.palette import COLOURS

DARKEST, LIGHTEST = (8, 48, 107), (247, 251, 255)
"""Ends of the colour map: all of a class, none of it."""


def colours_in(path: Path) -> set[tuple[int, ...]]:
    return {colour for _, colour in Image.open(path).convert("RGB").getcolors(maxcolors=2**24)}  # type: ignore[misc]


@pytest.mark.parametrize("num_classes", [2, 12, 60])
def test_confusion_matrix_is_drawn_for_few_and_many_classes(tmp_path: Path, num_classes: int) -> None:
    path = tmp_path / "new" / "confusion.png"
    save_confusion(np.eye(num_classes, dtype=np.int64) * 3, [f"class_{i}" for i in range(num_classes)], path)
    assert {DARKEST, LIGHTEST} <= colours_in(path)


def test_class_without_examples_leaves_its_row_white(tmp_path: Path) -> None:
    save_confusion(np.array([[2, 0], [0, 0]]), ["a", "b"], tmp_path / "c.png")
    counts = {colour: count for count, colour in Image.open(tmp_path / "c.png").convert("RGB").getcolors(2**24)}
    assert 2.8 < counts[LIGHTEST] / counts[DARKEST] < 3.2  # three of the four cells, and no hole in the row


@pytest.mark.parametrize("number", [0, 1, 200])
def test_reliability_is_drawn_for_any_number_of_videos(tmp_path: Path, number: int) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "reliability.png"
    save_reliability(reliability(rng.dirichlet(np.ones(4), number), rng.integers(0, 4, number)), path)
    drawn = {(8, 81, 156), (198, 219, 239)}  # points and bars
    assert (drawn & colours_in(path)) == (drawn if number else set())


def test_training_curves_come_from_the_columns_there_are(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("epoch,step,train_loss,val_loss,val_accuracy\n1,10,2.0,2.1,0.2\n2,20,1.0,,\n3,30,0.5,0.9,0.8\n")
    save_curves(history, tmp_path / "curves.png")
    assert {(86, 180, 233), (240, 160, 0), (0, 176, 132)} <= colours_in(tmp_path / "curves.png")


@pytest.mark.parametrize("text", ["", "epoch,lr\n1,0.1\n", "step,train_loss\n1,0.1\n"])
def test_history_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    history = tmp_path / "history.csv"
    history.write_text(text)
    with pytest.raises(DataError, match=r"history\.csv: expected a column epoch"):
        save_curves(history, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_missing_matplotlib_is_one_line_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"confusion matrix needs: pip install 'lrcn\[plots\]'"):
        save_confusion(np.eye(2, dtype=np.int64), ["a", "b"], tmp_path / "c.png")


def test_bouts_are_bars_where_they_are(tmp_path: Path) -> None:
    probs = np.zeros((400_000, 3), np.float32)  # eleven hours
    probs[:, 2] = 1
    bouts = (Bout("groom", 10_000.0, 20_000.0, prob=0.9), Bout("rear", 30_000.0, 40_000.0, prob=0.9))
    save_bouts(bouts, probs, np.arange(400_001) / 10, ("groom", "rear", BACKGROUND), tmp_path / "new" / "bouts.png")
    pixels = np.asarray(Image.open(tmp_path / "new" / "bouts.png").convert("RGB")).astype(int)
    groom, rear = (np.argwhere((pixels == colour).all(axis=2)) for colour in COLOURS[:2])
    assert groom[:, 0].max() < rear[:, 0].min()  # a row each
    width = rear[:, 1].max() - rear[:, 1].min()
    assert groom[:, 1].max() - groom[:, 1].min() == pytest.approx(width, abs=3)
    assert rear[:, 1].min() - groom[:, 1].max() == pytest.approx(width, abs=5)  # from 20,000 to 30,000
