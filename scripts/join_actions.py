"""Join rendered and real actions under common names, with clips of none of them as the class `unknown`.

    python -m lrcn_sets mocap-actions RENDERED
    python scripts/join_actions.py RENDERED REAL OUTPUT

REAL holds `weizmann10`, `ut_interaction6` and `fights2`, each with an `annotations.csv` (path,label,split,group).
Writes OUTPUT/annotations.csv, which names the clips where they are. Test clips of the real sets stay out.

What is none of the classes: four of the six actions of `ut_interaction6` (kick and punch are classes) and the fights of
`fights2` (where nobody fights, people walk), of their training groups alone; every fourth group is for validation.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lrcn.files import replacing_table
from lrcn.results import UNKNOWN

NAMES = {
    "bend": "bend",
    "jack": "jumping_jack",
    "jump": "jump",
    "pjump": "jump",  # on the spot; a camera that follows a jump forwards shows the same
    "run": "run",
    "side": "side_step",
    "skip": "skip",
    "walk": "walk",
    "wave1": "wave",
    "wave2": "wave",
}
"""Class of `weizmann10` -> class here."""
OUTSIDE = {"ut_interaction6": ("handshake", "hug", "point", "push"), "fights2": ("fight",)}
"""Set -> what of it shows none of the classes."""

Row = tuple[Path, str, str, str]
"""Path, label, split, group."""


def rows_of(data: Path) -> Iterator[Row]:
    """Yield what a set's annotations say."""
    with (data / "annotations.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield (data / row["path"]).resolve(), row["label"], row["split"], row.get("group") or ""


def joined(rendered: Path, real: Path, *, train_clips: int | None, val_clips: int | None) -> Iterator[Row]:
    """Yield the clips of the joined set; of the rendered ones at most so many a class, the walks twice as many."""
    most = {"train": train_clips, "val": val_clips}
    taken: Counter[tuple[str, str]] = Counter()
    for path, label, split, group in rows_of(rendered):
        taken[label, split] += 1
        limit = most.get(split)
        if split == "train" and limit is not None and label.startswith("walk"):
            limit *= 2
        if limit is None or taken[label, split] <= limit:
            yield path, label, split, group
    for path, label, split, group in rows_of(real / "weizmann10"):
        if split != "test":
            yield path, NAMES[label], split, group
    for name, labels in OUTSIDE.items():
        rows = [row for row in rows_of(real / name) if row[1] in labels and row[2] == "train"]
        validated = set(sorted({group for *_, group in rows})[::4])
        for path, _, _, group in rows:
            yield path, UNKNOWN, "val" if group in validated else "train", f"{name} {group}"


def main(rendered: Path, real: Path, output: Path, *limits: str) -> int:
    """Write the annotations; two numbers more limit the rendered training and validation clips of a class."""
    train_clips, val_clips = map(int, limits) if limits else (None, None)
    with replacing_table(output / "annotations.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "split", "group"))
        writer.writerows(joined(rendered, real, train_clips=train_clips, val_clips=val_clips))
    print(output / "annotations.csv")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (4, 6):
        sys.exit("usage: join_actions.py RENDERED REAL OUTPUT [TRAIN_CLIPS VAL_CLIPS]")
    sys.exit(main(*map(Path, sys.argv[1:4]), *sys.argv[4:]))
