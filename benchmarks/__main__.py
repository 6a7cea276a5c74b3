"""Run every benchmark, or those named on the command line, and print one table."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.timing import Figure

BENCHMARKS = (
    "windows",
    "live",
    "peak",
    "decode",
    "isolation",
    "batch_jobs",
    "training_step",
    "cached_training",
    "extraction",
    "file_checks",
    "caption_decoding",
    "caption_training",
    "retrieval_scoring",
    "start_up",
)


def main() -> None:
    """Run, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=BENCHMARKS, help=f"some of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results.json"))
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ratio = time of the baseline / time of ours")
    figures: list[Figure] = []
    for name in arguments.names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        for figure in importlib.import_module(f"benchmarks.{name}").run():
            goal = f"  (goal {figure.goal:g})" if figure.goal else ""
            print(
                f"{figure.name:52s} x{figure.ratio:7.2f}  [{figure.low:.2f} .. {figure.high:.2f}]{goal}"
                f"  against {figure.baseline}; {figure.same}",
                flush=True,
            )
            figures.append(figure)
        arguments.output.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")


if __name__ == "__main__":
    main()
