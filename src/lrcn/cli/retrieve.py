"""`lrcn retrieve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import BatchSize, CaptionModel, Device, Json, Quiet, RuntimeName
from lrcn.cli.sources import expand_each
from lrcn.cli.terminal import ProgressBar, print_json, results_console, simple_table, warn
from lrcn.errors import DataError, MediaError

if TYPE_CHECKING:
    from lrcn.results import RetrievalResult


def retrieve(
    *,
    model: CaptionModel = "photos",
    images: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    text: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    image: str | None = None,
    captions: Path | None = None,
    top_k: PositiveInt = 10,
    scoring: Literal["release", "plain"] | None = None,
    json_output: Json = False,
    device: Device = "auto",
    runtime: RuntimeName = None,
    batch_size: BatchSize = 64,
    quiet: Quiet = False,
) -> int:
    """Find the pictures that fit a sentence, or the sentences that fit a picture.

    Either `--images DIR --text SENTENCE`, or `--image PICTURE --captions FILE`. In the second case `--images` may name
    other pictures to compare with, which makes the order far better: sentences that fit everything then rank low.

    Args:
        images: Pictures and videos: files, folders (searched for both), globs.
        text: Sentences to look for; each is a query of its own.
        image: The picture or video to find sentences for.
        captions: A text file with a sentence on each line.
        top_k: Matches to show, best first.
        scoring: `release` scores as the paper's code: the end of a sentence does not count, and its probability is
            compared with its mean over all pictures. `plain`: the probability of the whole sentence. Left out, `plain`
            where there is but one picture, else `release`.
    """
    if (image is None) != (captions is None) or (image is None) == (text is None) or (text and not images):
        raise UsageError("give --images DIR --text SENTENCE, or --image PICTURE --captions FILE")
    sentences = [] if captions is None else _sentences(captions)
    from lrcn.inference.captioning.predictor import Captioner
    from lrcn.inference.captioning.retriever import Retriever
    from lrcn.video.sources import expand_sources

    paths, failures = expand_each(images or (), partial(expand_sources, pictures=True))
    if images and not paths:
        return exit_code_after(0, failures, "pictures")
    retriever = Retriever(Captioner.load(model, device=device, runtime=runtime, batch_size=batch_size))

    num_named = len(paths) + len(failures) + (image is not None)

    def note(source: object, exc: MediaError) -> None:
        failures.append(str(exc))

    with ProgressBar(1, quiet=quiet) as bar:
        bar.update(0, f"looking at {len(paths) or 1} pictures")
        if image is not None:
            results = [
                retriever.rank_captions(
                    image, sentences, background=paths, top_k=top_k, scoring=scoring, on_failure=note
                )
            ]
        else:
            results = retriever.rank_images_for(text or [], paths, top_k=top_k, scoring=scoring, on_failure=note)
    for result in results:
        warn(result.warnings, quiet=quiet)
        print_json(result.to_dict()) if json_output else _print(result)
    return exit_code_after(num_named - len(failures), failures, "pictures")


def _sentences(path: Path) -> list[str]:
    from lrcn.data.csv_table import read_text
    from lrcn.text.tokenise import tokenise

    lines = [line.strip() for line in read_text(path).splitlines()]
    if not any(lines):
        raise DataError(f"{path}: holds no sentence; write one on each line")
    for number, line in enumerate(lines, start=1):
        if line and not tokenise(line):
            raise DataError(f"{path} line {number}: {line!r} holds no word")
    return [line for line in lines if line]


def _print(result: RetrievalResult) -> None:
    console = results_console()
    console.print(result.query, style="bold", markup=False, soft_wrap=True)
    rows = [(str(rank), match.item, f"{match.score:.2f}") for rank, match in enumerate(result.matches, start=1)]
    console.print(simple_table(None, rows))
    console.print()
