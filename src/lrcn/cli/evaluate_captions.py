"""`lrcn evaluate` for captioning models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt
from rich.console import Console

from lrcn.cli.exits import exit_code_after
from lrcn.cli.options import DataFlags
from lrcn.cli.search_flags import SearchFlags
from lrcn.cli.terminal import ProgressBar, remark, results_console, simple_table
from lrcn.errors import DataError

if TYPE_CHECKING:
    from lrcn.evaluation.captioning.report import CaptionReport

SCORES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "cider_d": "CIDEr-D",
    "meteor": "METEOR",
    "exact": "exact",
}
"""Name in a report -> how it is printed."""


@dataclass(frozen=True, kw_only=True)
class CaptionFlags(SearchFlags):
    """What is measured of a captioning model, and how it searches for captions."""

    baselines: Annotated[bool, Parameter(negative="--no-baselines", show_default=False)] = True
    """Score the nearest training picture's caption and the most frequent one, too; the first run on a data set looks at
    all training pictures, unless training has cached their features."""
    retrieval_limit: NonNegativeInt = 1000
    """Search among the first so many examples; 0 for no retrieval. Its time grows with the square."""
    vectors: Path | None = None
    """`.safetensors` or `.csv` file of ready vectors, for models that read those and no pictures."""


CAPTION_FLAGS = CaptionFlags()
CaptionsMeasured = Annotated[CaptionFlags, Parameter(name="*", group="Captioning models")]


def evaluate_captions(
    model: str,
    data: Path,
    *,
    split: str,
    output: Path | None,
    seed: int,
    json_output: bool,
    device: str,
    runtime: str | None,
    batch_size: int,
    quiet: bool,
    data_set: DataFlags,
    captions: CaptionFlags,
) -> int:
    """Print the scores of a captioning model on a data set; return the exit code."""
    from lrcn.data.captioning.vectors import read_vectors
    from lrcn.evaluation.captioning.report import evaluate_captions
    from lrcn.inference.captioning.predictor import Captioner

    search = captions.search(seed)
    captioner = Captioner.load(model, device=device, runtime=runtime, batch_size=batch_size)
    vectors = None if captions.vectors is None else read_vectors(captions.vectors)
    wanted = captioner.header.model.vector_size
    if vectors is not None and wanted is not None and (size := next(iter(vectors.values())).shape[1]) != wanted:
        raise DataError(f"{captions.vectors}: vectors of {size} values, and {model} reads {wanted}")
    known = data_set.read_captions(data, seed=seed, need_files=vectors is None)
    for warning in known.warnings:
        remark(f"lrcn: warning: {warning}", quiet=quiet)
    with ProgressBar(1, quiet=quiet) as bar:
        report = evaluate_captions(
            captioner,
            known,
            split=split,
            search=search,
            baselines=captions.baselines,
            retrieval_limit=captions.retrieval_limit,
            vectors=vectors,
            on_progress=lambda what, done, total: bar.update(done, f"{what}: {done} of {total}", total),
        )
    if json_output:
        print(report.to_json())
    else:
        _print(results_console(), report)
    if output is not None:
        with ProgressBar(1, quiet=quiet) as bar:
            bar.update(0, "writing the page")
            report.save(output)
        remark(f"report: {output}", quiet=quiet)
    return exit_code_after(report.num_examples, [failure.message for failure in report.failures], "files")


def _print(console: Console, report: CaptionReport) -> None:
    title = f"{report.data}, split {report.split}: {report.num_examples} examples"
    console.print(title, style="bold", markup=False)
    columns = {"model": report.scores, **{name.replace("_", " "): row for name, row in report.baselines.items()}}
    rows = [
        (SCORES[name], *(f"{column[name]:.3f}" for column in columns.values()))
        for name in SCORES
        if name in report.scores
    ]
    console.print(simple_table(("", *columns), rows))
    if report.retrieval:
        console.print()
        table = [
            (
                direction.replace("_", " "),
                *(f"{row[f'recall_at_{k}']:.1%}" for k in (1, 5, 10)),
                f"{row['median_rank']:g}",
                f"{row['num_queries']:.0f}",
            )
            for direction, row in report.retrieval.items()
        ]
        console.print(simple_table(("retrieval", "R@1", "R@5", "R@10", "median rank", "queries"), table))
    for name, reason in report.left_out.items():
        console.print(f"{name} left out: {reason}", markup=False, soft_wrap=True)
