"""`lrcn evaluate` for captioning models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lrcn.cli.evaluation_flags import EvaluationFlags
from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.terminal import ProgressBar, print_json, remark, results_console, simple_table, warn
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


def evaluate_captions(model: str, data: Path, flags: EvaluationFlags) -> int:
    """Print the scores of a captioning model on a data set; return the exit code."""
    from lrcn.data.captioning.vectors import read_vectors
    from lrcn.evaluation.evaluating import evaluate
    from lrcn.inference.captioning.predictor import Captioner

    data_set, captions = flags.data_set, flags.captions
    given = [flag for flag in (flags.flow_model, flags.rgb_weight, data_set.flow_dir) if flag is not None]
    if flags.compare is not None:
        raise UsageError("--compare is for recognition models")
    if given or flags.crops != 1 or data_set.split_number != 1:
        raise UsageError(
            "--flow-model, --rgb-weight, --crops, --flow-dir and --split-number are for recognition models"
        )
    search = captions.search(flags.seed)
    captioner = Captioner.load(model, device=flags.device, runtime=flags.runtime, batch_size=flags.batch_size)
    vectors = None if captions.vectors is None else read_vectors(captions.vectors)
    wanted = captioner.header.model.vector_size
    if vectors is not None and wanted is not None and (size := next(iter(vectors.values())).shape[1]) != wanted:
        raise DataError(f"{captions.vectors}: vectors of {size} values, and {model} reads {wanted}")
    known = data_set.read_captions(data, seed=flags.seed, need_files=vectors is None)
    warn(known.warnings, quiet=flags.quiet)
    with ProgressBar(1, quiet=flags.quiet) as bar:
        report = evaluate(
            captioner,
            known,
            split=flags.split,
            search=search,
            baselines=captions.baselines,
            retrieval_limit=captions.retrieval_limit,
            vectors=vectors,
            on_progress=bar.count,
        )
    if flags.json_output:
        print_json(report.to_dict())
    else:
        _print(results_console(), report)
    if flags.output is not None:
        with ProgressBar(1, quiet=flags.quiet) as bar:
            bar.update(0, "writing the page")
            report.save(flags.output)
        remark(f"report: {flags.output}", quiet=flags.quiet)
    return exit_code_after(report.num_examples, [failure.message for failure in report.failures], "files")


def _print(console: Console, report: CaptionReport) -> None:
    title = f"{report.data}, split {report.split}: {report.num_examples} examples"
    console.print(title, style="bold", markup=False)
    columns = {"model": report.scores, **{name.replace("_", " "): row for name, row in report.baselines.items()}}
    rows = [(SCORES.get(name, name), *(f"{column[name]:.3f}" for column in columns.values())) for name in report.scores]
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
