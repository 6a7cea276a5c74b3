"""The paper's comparison on sets of real clips: single frame or LRCN, RGB, flow or both, order or none.

    python -m benchmarks.paper_rows DIR --seeds 1 --json FILE

Folds, clips and features as in `benchmarks.real_sets`; every row reads the features of today's defaults, of frames and
of their optical flow. FILE holds the probabilities of every fold that is done: the same command goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.grouped_folds import interval_by_group
from benchmarks.real_sets import Kept, RealSet
from lrcn.experiments.paper_table import FUSIONS
from lrcn.files import write_json
from lrcn.training.recognition.config import RecognitionTrainingConfig

NETS: dict[str, dict[str, Any]] = {
    "single frame": {"head": "frame", "views": 1},
    "LRCN": {"head": "lstm", "views": 1},
    "defaults": {},
}
"""Row -> settings that differ from the defaults."""

SHUFFLED = ", frames shuffled"
"""Ends the name of a row: the same networks on clips whose frames are in random order."""

STREAMS = ("rgb", "flow")


class Answers:
    """Probabilities of the clips of folds, in a file that grows with every fold."""

    def __init__(self, path: Path) -> None:
        """Read the file, if it is there."""
        self._path = path
        self._known: dict[str, list[list[float]]] = json.loads(path.read_text()) if path.is_file() else {}

    def known(self, key: str) -> NDArray[np.float64] | None:
        """Return them, if the fold is done."""
        return np.array(self._known[key]) if key in self._known else None

    def add(self, key: str, probs: NDArray[np.float64]) -> None:
        """Keep a fold."""
        self._known[key] = probs.round(6).tolist()
        write_json(self._path, self._known)


def cross_validated(
    real_set: RealSet, net: str, stream: str, seed: int, answers: Answers
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities of all clips `(N, A)` by what was trained without them, in order and shuffled."""
    config = RecognitionTrainingConfig(**NETS[net], stream=stream, seed=seed)  # type: ignore[arg-type]
    ordered = np.zeros((len(real_set.examples), len(real_set.data.labels)))
    shuffled = ordered.copy()
    for number, fold in enumerate(real_set.folds):
        key = f"{real_set.name}, {net}, {stream}, seed {seed}, fold {number}"
        judged = fold.judged.tolist()
        in_order, mixed = answers.known(key), answers.known(key + SHUFFLED)
        if in_order is None or mixed is None:
            began = time.process_time()
            header, model = real_set.trained(config, fold.trained.tolist())
            in_order = real_set.probs(config, header, model, judged)
            mixed = real_set.probs(config, header, model, judged, shuffle_seed=seed)
            answers.add(key, in_order)
            answers.add(key + SHUFFLED, mixed)
            print(f"{key}: {time.process_time() - began:.1f} s", file=sys.stderr, flush=True)
        ordered[judged], shuffled[judged] = in_order, mixed
    return ordered, shuffled


def columns(of_stream: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the probabilities of both streams, and of their fusions with the paper's weights."""
    rgb, flow = (of_stream[stream] for stream in STREAMS)
    return {"RGB": rgb, "flow": flow} | {name: share * rgb + (1 - share) * flow for name, share in FUSIONS.items()}


def table(real_set: RealSet, cells: Mapping[str, Mapping[str, Sequence[NDArray[np.float64]]]]) -> str:
    """Return Markdown: accuracy in % with its interval by group.

    Args:
        real_set: What was judged.
        cells: Row -> column -> of every seed the probabilities of all clips.
    """
    lines = []
    for row, of_column in cells.items():
        if not lines:
            lines = [f"| {real_set.name} | " + " | ".join(of_column) + " |", "|---" * (1 + len(of_column)) + "|"]
        told = []
        for runs in of_column.values():
            right = np.mean([probs.argmax(axis=1) == real_set.targets for probs in runs], axis=0)
            low, high = interval_by_group(right, real_set.groups)
            told.append(f"{100 * mean(right.tolist()):.1f} ({100 * low:.0f} to {100 * high:.0f})")
        lines.append(f"| {row} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train, judge, fuse, print a table a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of data sets")
    parser.add_argument("--sets", nargs="+", help="some of them, by name")
    parser.add_argument("--nets", nargs="+", default=[*NETS], choices=[*NETS], help="some rows")
    parser.add_argument("--seeds", type=int, default=3, help="trainings with other random numbers")
    parser.add_argument("--folds", type=int, default=5, help="of sets with more than 14 groups")
    parser.add_argument("--cache-dir", type=Path, help="where features are kept; by default where training keeps them")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/paper_rows.json"), help="what is done")
    arguments = parser.parse_args()

    answers = Answers(arguments.json)
    kept = Kept(arguments.json.with_suffix(".features.json"))
    for path in sorted(file.parent for file in arguments.folder.glob("*/annotations.csv")):
        if arguments.sets and path.name not in arguments.sets:
            continue
        real_set = RealSet(path, most_folds=arguments.folds, cache_dir=arguments.cache_dir, kept=kept)
        cells: dict[str, dict[str, list[NDArray[np.float64]]]] = {}
        for seed in range(arguments.seeds):
            for net in arguments.nets:
                pairs = {stream: cross_validated(real_set, net, stream, seed, answers) for stream in STREAMS}
                for position, row in enumerate((net, net + SHUFFLED)):
                    of_row = cells.setdefault(row, {})
                    fused = columns({stream: pair[position] for stream, pair in pairs.items()})
                    for column, probs in fused.items():
                        of_row.setdefault(column, []).append(probs)
        print(f"- {real_set}\n\n{table(real_set, cells)}\n", flush=True)


if __name__ == "__main__":
    main()
