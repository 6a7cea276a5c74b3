"""Sentences of built sets come from templates, so that captions can be asked: do they state the facts?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from lrcn.data.csv_table import read_table
from lrcn.errors import DataError
from lrcn_sets.building import MARK_NAME
from lrcn_sets.mocap.captions import score_clip_captions
from lrcn_sets.scenes.building import PARTS, nouns_of
from lrcn_sets.scenes.captions import score_scene_captions

Shares = dict[str, float]
"""Shares of captions, 0-1, by what they have right: `exact` is all of it."""


def score_predictions(data: Path, predictions: Path) -> dict[str, Shares]:
    """Return the shares of captions that state the facts: of the `model`, and of its `nearest neighbour` where known.

    Args:
        data: The folder of the set, or its captions file.
        predictions: The `predictions.csv` that `lrcn evaluate --output` wrote for a captioning model.

    Raises:
        DataError: If the set was not built by `lrcn_sets` or has no sentences, or the file is of something else.
    """
    score = _scorer(data)
    columns, rows = read_table(predictions)
    missing = [name for name in ("caption", "nearest", "references") if name not in columns]
    if missing:
        raise DataError(
            f"{predictions}: no column {missing[0]!r}; expected the predictions.csv that "
            "`lrcn evaluate CAPTION_MODEL SET --output REPORT` writes"
        )
    captions, nearest, references = [], [], []
    for line, cells in rows:
        if len(cells) != len(columns):
            raise DataError(f"{predictions} line {line}: {len(cells)} cells for {len(columns)} columns")
        row = dict(zip(columns, cells, strict=True))
        captions.append(row["caption"])
        nearest.append(row["nearest"])
        references.append(row["references"].split(" | "))
    try:
        shares = {"model": score(captions, references)}
        if any(nearest):
            shares["nearest neighbour"] = score(nearest, references)
    except DataError as exc:
        raise DataError(f"{predictions}: {exc}; is it of this set?") from exc
    return shares


def _scorer(data: Path) -> Callable[[Sequence[str], Sequence[Sequence[str]]], Shares]:
    """Return what compares captions with their references, for the set in a folder."""
    folder = data if data.is_dir() else data.parent
    try:
        generator = json.loads((folder / MARK_NAME).read_text(encoding="utf-8"))["generator"]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DataError(f"{folder}: holds no set that lrcn_sets built (no {MARK_NAME} of its own)") from exc
    if generator in PARTS:
        nouns = nouns_of(folder)
        return lambda captions, references: asdict(score_scene_captions(captions, references, nouns))
    if generator == "mocap-captions":
        return lambda captions, references: asdict(score_clip_captions(captions, references))
    raise DataError(f"{folder}: {generator} has no sentences that state facts")
