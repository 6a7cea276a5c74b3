"""Charts as PNG files, drawn with matplotlib (extra `plots`) without touching its global state."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout
from lrcn.errors import DataError, require
from lrcn.files import replacing
from lrcn.plots.palette import colours_for
from lrcn.results import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lrcn.metrics.calibration import ReliabilityBin

MAX_NUMBERED_CLASSES = 25
"""Up to so many classes the cells of a confusion matrix hold their numbers; beyond they would overlap."""

MAX_POINTS = 2000
"""Of a curve of probabilities; where a recording has more frames, each point is the highest of its frames."""


def save_confusion(confusion: NDArray[np.integer], labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix: colour = share of the row's class, number = videos.

    Args:
        confusion: Counts `(A, A)`, row = right class, column = predicted class.
        labels: A class names.
        path: PNG file to write.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    num_classes = len(labels)
    numbered = num_classes <= MAX_NUMBERED_CLASSES
    side = max(4.0, 2.2 + (0.42 if numbered else 0.16) * num_classes)
    figure, axes = _new_figure(side, side, "confusion matrix")
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = 9.0 if numbered else 7.0
    axes.set_xticks(range(num_classes), list(labels), rotation=90 if num_classes > 4 else 0, fontsize=size)
    axes.set_yticks(range(num_classes), list(labels), fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("right class")
    if numbered:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=9)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the right class")
    _save(figure, path)


def save_reliability(bins: Sequence[ReliabilityBin], path: Path) -> None:
    """Draw a reliability diagram: accuracy of the answers over their probability, and how many there are of each.

    Args:
        bins: As `metrics.calibration.reliability` gives them.
        path: PNG file to write.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figure, axes = _new_figure(5.2, 5.0, "reliability diagram")
    bins = [one for one in bins if one.count]
    most = max((one.count for one in bins), default=1)
    count_axes = axes.twinx()
    for one in bins:
        count_axes.bar(one.low, one.count, one.high - one.low, align="edge", color="#c6dbef")
    count_axes.set_ylim(0, 3 * most)  # the lower third
    count_axes.set_ylabel("videos (bars)")
    count_axes.locator_params(axis="y", integer=True, nbins=6)
    axes.set_zorder(count_axes.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot((0, 1), (0, 1), "--", color="grey", linewidth=1)
    axes.plot([one.prob for one in bins], [one.accuracy for one in bins], "o-", color="#08519c", markersize=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the answer")
    axes.set_ylabel("share of right answers (points)")
    _save(figure, path)


def save_curves(history_csv: Path, path: Path) -> None:
    """Draw the losses and scores of a training run over its epochs.

    Args:
        history_csv: `history.csv` of the run: a column `epoch`, and columns with `loss`, `accuracy`, `f1`, `precision`
            or `cider_d` in their name.
        path: PNG file to write.

    Raises:
        DataError: If the file has no such columns or no rows.
        MissingExtraError: If matplotlib is not installed.
    """
    with history_csv.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if "loss" in name or _is_score(name)]
    if not names or "epoch" not in rows[0]:
        raise DataError(
            f"{history_csv}: expected a column epoch and columns with loss, accuracy or cider_d in their name"
        )
    figure, axes = _new_figure(7.0, 4.0, "training curves")
    share_axes = axes.twinx()
    for name, colour in zip(names, colours_for(names).values(), strict=True):
        points = [(float(row["epoch"]), float(row[name])) for row in rows if row[name]]
        target, style = (share_axes, "--") if _is_score(name) else (axes, "-")
        rgb = tuple(channel / 255 for channel in colour)
        target.plot(
            *zip(*points, strict=True), style, color=rgb, label=name.replace("_", " "), marker="o", markersize=3
        )
    axes.set_xlabel("epoch")
    axes.locator_params(axis="x", integer=True)
    axes.set_ylabel("loss (solid)")
    axes.set_ylim(bottom=0)
    captions = any("cider_d" in name for name in names)
    others = "accuracy (dashed)" if any("accuracy" in name for name in names) else "score (dashed)"
    share_axes.set_ylabel("CIDEr-D (dashed)" if captions else others)
    share_axes.set_ylim(0, None if captions else 1.02)
    figure.legend(loc="outside upper center", ncols=len(names), frameon=False, fontsize=9)
    _save(figure, path)


def save_bouts(
    bouts: Sequence[Bout],
    probs: NDArray[np.float32],
    borders_s: NDArray[np.float64],
    labels: Sequence[str],
    path: Path,
    *,
    title: str = "",
) -> None:
    """Draw the bouts of a recording over the probabilities of its frames.

    Args:
        bouts: What is shown.
        probs: Of each frame, `(T, A)`.
        borders_s: When each frame is shown, and when the last one ends, `(T + 1,)`.
        labels: A class names; `background` and `unknown` have no row.
        path: PNG file to write.
        title: Above it.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    rows = [label for label in labels if label not in (BACKGROUND, UNKNOWN)]
    figure, axes = _new_figure(11.0, 1.2 + 0.45 * len(rows), "bouts")
    colours = {label: tuple(channel / 255 for channel in rgb) for label, rgb in colours_for(labels).items()}
    firsts = np.unique(np.linspace(0, len(probs), min(MAX_POINTS, len(probs)), endpoint=False).astype(int))
    peaks = np.maximum.reduceat(probs, firsts, axis=0)
    times_s = np.append(borders_s[firsts], borders_s[-1])
    for place, label in enumerate(rows):
        curve = peaks[:, labels.index(label)]
        axes.fill_between(
            times_s, place + 0.9, place + 0.9 - 0.5 * np.append(curve, curve[-1:]),
            step="post", color=colours[label], alpha=0.35, linewidth=0,
        )  # fmt: skip
        spans = [(bout.start_s, bout.duration_s) for bout in bouts if bout.label == label]
        axes.broken_barh(spans, (place + 0.08, 0.28), color=colours[label])
    axes.set_xlim(borders_s[0], borders_s[-1])
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([place + 0.5 for place in range(len(rows))], rows)
    axes.set_yticks(range(len(rows)), minor=True)
    axes.grid(axis="y", which="minor", color="0.85", linewidth=0.6)
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_xlabel("seconds (bars: bouts; beneath: how probable)")
    axes.set_title(title, fontsize=10, loc="left")
    _save(figure, path)


def _is_score(name: str) -> bool:
    return any(score in name for score in ("accuracy", "precision", "f1", "cider_d"))


def _new_figure(width_inch: float, height_inch: float, wanted_by: str) -> tuple[Figure, Axes]:
    module: Any = require("matplotlib.figure", extra="plots", wanted_by=wanted_by)
    figure: Figure = module.Figure(figsize=(width_inch, height_inch), layout="constrained")
    axes: Axes = figure.add_subplot()
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as unfinished:
        figure.savefig(unfinished, dpi=130, format="png", bbox_inches="tight")
