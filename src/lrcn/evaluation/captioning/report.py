"""How good are a model's captions, and how well does it find pictures by sentences and sentences by pictures?

Two baselines say what the numbers are worth: the caption of the training picture that looks most alike, and the most
frequent training caption for every picture.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrcn.data.captioning.examples import CaptionData, CaptionExample
from lrcn.data.captioning.readers import read_caption_data
from lrcn.errors import DataError, MediaError
from lrcn.evaluation.captioning.page import PageItem, write_page
from lrcn.features import FeatureCache, Part, features_key, load_or_encode
from lrcn.files import cache_folder, replacing_table, write_json
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.reading import Excerpt
from lrcn.inference.captioning.retriever import Retriever
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.metrics.captioning import CaptionScores, score_captions
from lrcn.metrics.retrieval import normalise_over_images, score_retrieval
from lrcn.results import Caption
from lrcn.text import detokenise, tokenise
from lrcn.video.inputs import Source

REPORT_SCHEMA = 1
"""Version of the JSON that `CaptionReport.to_dict` gives."""

ITEM_METRICS = ("bleu_4", "rouge_l", "cider_d")
"""Metrics that are also given for each example."""

Vectors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class CaptionPrediction:
    """What the model said about one example, beside what people said."""

    path: str
    start_s: float
    end_s: float | None
    """None where the example goes to the end of the video."""
    caption: str
    log_prob: float
    """Of the caption, in the model's opinion."""
    references: tuple[str, ...]
    scores: dict[str, float]
    """`ITEM_METRICS` of this caption alone, by name."""
    exact: bool
    """Whether the caption has the same words as one of the references."""
    nearest: str = ""
    """The caption of the training picture that looks most alike; empty without baselines."""


@dataclass(frozen=True)
class FailedExample:
    """An example that could not be read; it counts in no score."""

    path: str
    message: str


@dataclass(frozen=True)
class CaptionReport:
    """Scores of a captioning model on one split of a data set."""

    data: str
    split: str
    model: dict[str, str]
    """`name` and `sha256` of the model file."""
    search: dict[str, Any]
    """How captions were searched for: the fields of `CaptionSearch`."""
    num_examples: int
    """Those that could be read."""
    scores: dict[str, float]
    """All of `metrics.captioning.METRICS` that can run, over all captions (BLEU is `bleu_1` to `bleu_4`); `exact`: the
    share of captions with the same words as a reference."""
    baselines: dict[str, dict[str, float]]
    """The same scores of `nearest_neighbour` and `most_frequent`."""
    retrieval: dict[str, dict[str, float]]
    """`caption_to_image` and `image_to_caption`: R@1, 5, 10, median rank, number of queries; scored as the release
    does. Empty where it was not asked for."""
    left_out: dict[str, str]
    """What could not be computed, with the reason."""
    predictions: tuple[CaptionPrediction, ...]
    failures: tuple[FailedExample, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {"schema": REPORT_SCHEMA, "task": "captioning", **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write `report.json`, `predictions.csv` and the page `captions.html`; return their paths."""
        paths = (folder / "report.json", folder / "predictions.csv", folder / "captions.html")
        write_json(paths[0], self.to_dict(), indent=1)
        with replacing_table(paths[1]) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("path", "start_s", "end_s", "caption", "nearest", *ITEM_METRICS, "exact", "references"))
            for one in self.predictions:
                scores = [f"{one.scores[name]:.6g}" for name in ITEM_METRICS]
                row = (one.path, one.start_s, one.end_s, one.caption, one.nearest, *scores, one.exact)
                writer.writerow((*row, " | ".join(one.references)))
        items = [
            PageItem(
                one.path,
                one.start_s,
                one.end_s,
                one.caption,
                {"nearest neighbour": one.nearest} if one.nearest else {},
                one.references,
                one.scores,
            )
            for one in self.predictions
        ]
        headline = {name: self.scores[name] for name in ("bleu_4", "rouge_l", "cider_d", "exact")}
        write_page(paths[2], f"{self.data}, split {self.split}", headline, items, order_by="cider_d")
        return paths


class CaptionOptions(TypedDict, total=False):
    """What is measured of a captioning model besides its captions, and how."""

    search: CaptionSearch | None
    """How captions are searched for; None for the defaults."""
    baselines: bool
    """Score the nearest neighbour's and the most frequent training caption, too (True). The features of training
    pictures come from the cache of training where they are in it, computed by the captioner's runtime."""
    retrieval_limit: int
    """Retrieval among the first so many examples (1000); 0 for none. Its time grows with the square."""
    vectors: Vectors | None
    """Ready vectors `(T, D)` by key, for models that read those."""
    cache_dir: Path | None
    """As for training, whose features are looked for there."""


def evaluate_captions(
    captioner: Captioner,
    data: str | Path | CaptionData,
    *,
    split: str = "test",
    search: CaptionSearch | None = None,
    baselines: bool = True,
    retrieval_limit: int = 1000,
    vectors: Vectors | None = None,
    cache_dir: Path | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> CaptionReport:
    """Return the scores of a captioner on a data set.

    Args:
        captioner: What is measured.
        data: A data set, or the path of one in any layout that training reads.
        split: Which part of it: `test`, `val` or `train`.
        search: As in `CaptionOptions`, like those below.
        baselines: Whether they are scored.
        retrieval_limit: Examples.
        vectors: By key.
        cache_dir: As for training.
        on_progress: As for `lrcn.evaluate`.

    Raises:
        DataError: If the split is empty, or none of it can be read.
        ConfigError: If the model reads vectors and none are given.
    """
    known = data if isinstance(data, CaptionData) else read_caption_data(data, need_files=vectors is None)
    options = search or CaptionSearch()
    report = on_progress or (lambda what, done, total: None)
    wanted = known.split(split)
    examples, features, failures = _features(captioner, wanted, vectors, report)
    contexts = captioner.contexts(features)
    report("captions", 0, len(examples))
    captions = [best[0] for best in captioner.caption_contexts(contexts, options)]
    report("captions", len(examples), len(examples))

    references = [[" ".join(tokenise(text)) for text in example.captions] for example in examples]
    scored, scores = _score([caption.text for caption in captions], references)
    left_out = dict(scored.left_out)
    nearest = [""] * len(examples)
    baseline_scores: dict[str, dict[str, float]] = {}
    if baselines:
        train = tuple(example for example in known.examples if example.split == "train")
        if not train or split == "train":
            left_out["baselines"] = "no training captions other than these"
        else:
            frequent = _most_frequent_caption(train)
            baseline_scores["most_frequent"] = _score([frequent] * len(examples), references)[1]
            known_means, texts = _training_features(captioner, train, vectors, cache_dir, report)
            if texts:
                nearest = _nearest_captions(known_means, texts, features)
                nearest_scores = {"nearest_neighbour": _score(nearest, references)[1]}
                baseline_scores = nearest_scores | baseline_scores
            else:
                left_out["nearest_neighbour"] = "no training picture can be read"
    retrieval: dict[str, dict[str, float]] = {}
    if retrieval_limit and captioner.model is None:
        left_out["retrieval"] = "an exported folder holds no weights to score with"
    elif retrieval_limit:
        report("retrieval", 0, 1)
        retrieval = _retrieval(captioner, examples[:retrieval_limit], contexts[:retrieval_limit])
        report("retrieval", 1, 1)
    return CaptionReport(
        data=known.name,
        split=split,
        model=captioner.about,
        search=asdict(options),
        num_examples=len(examples),
        scores=scores,
        baselines=baseline_scores,
        retrieval=retrieval,
        left_out=left_out,
        predictions=_predictions(examples, captions, references, scored, nearest),
        failures=tuple(failures),
    )


def _features(
    captioner: Captioner,
    examples: Sequence[CaptionExample],
    vectors: Vectors | None,
    report: Callable[[str, int, int], None],
) -> tuple[list[CaptionExample], list[Tensor], list[FailedExample]]:
    """Return the examples that can be read, their features `(T, D)`, and the others."""
    if vectors is not None:
        return list(examples), [_vector(vectors, example) for example in examples], []
    failures: list[FailedExample] = []

    def note(source: Source, exc: MediaError) -> None:
        failures.append(FailedExample(str(source), str(exc)))

    readable, features = [], []
    for place, of_one in captioner.read_features(_excerpts(examples), on_failure=note):
        readable.append(examples[place])
        features.append(of_one)
        report("looking", place + 1, len(examples))
    if not readable:
        raise DataError(f"none of the {len(examples)} files can be read: {failures[0].message}")
    return readable, features, failures


def _excerpts(examples: Sequence[CaptionExample]) -> list[Excerpt]:
    return [Excerpt(example.path, example.start_s, example.end_s) for example in examples]


def _vector(vectors: Vectors, example: CaptionExample) -> Tensor:
    if example.key not in vectors:
        raise DataError(f"no vector for {example.key!r} in the file of vectors; every example needs one")
    return torch.from_numpy(vectors[example.key])


def _score(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[CaptionScores, dict[str, float]]:
    """Return the scores of captions, not yet tokenised, and the figures of the whole."""
    tokenised = [" ".join(tokenise(text)) for text in candidates]
    scored = score_captions(tokenised, references)
    figures = {name: score.corpus for name, score in scored.scores.items()}
    exact = [text in right for text, right in zip(tokenised, references, strict=True)]
    return scored, {**figures, "exact": sum(exact) / len(exact)}


def _training_features(
    captioner: Captioner,
    train: Sequence[CaptionExample],
    vectors: Vectors | None,
    cache_dir: Path | None,
    report: Callable[[str, int, int], None],
) -> tuple[list[Tensor], list[str]]:
    """Return the mean feature `(D,)` and the first caption of each training example that can be read."""
    means, texts = [], []
    if vectors is not None:
        for example in train:
            means.append(_vector(vectors, example).mean(dim=0))
            texts.append(example.captions[0])
    elif captioner.model is None:
        for place, of_one in captioner.read_features(_excerpts(train), on_failure=lambda source, exc: None):
            report("looking at training pictures", place, len(train))
            means.append(of_one.mean(dim=0))
            texts.append(train[place].captions[0])
    else:
        assert captioner.header.preprocess is not None  # or the examples could not have been read
        assert captioner.runtime is not None
        encoder, preprocess = captioner.runtime, captioner.header.preprocess
        key = features_key(captioner.model, preprocess, encoder.name)
        cache = FeatureCache(cache_folder("features", cache_dir), key)
        for done, example in enumerate(train):
            report("looking at training pictures", done, len(train))
            try:
                part = Part(example.path, start_s=example.start_s, end_s=example.end_s)
                of_one = load_or_encode(encoder, preprocess, cache, part).features[0]
            except MediaError:
                continue
            means.append(of_one.mean(dim=0))
            texts.append(example.captions[0])
    return means, texts


def _nearest_captions(means: Sequence[Tensor], texts: Sequence[str], features: Sequence[Tensor]) -> list[str]:
    """Return, for each example, the text whose mean feature is nearest by angle."""
    known = torch.nn.functional.normalize(torch.stack(list(means)), dim=1)
    asked = torch.nn.functional.normalize(torch.stack([of_one.mean(dim=0) for of_one in features]), dim=1)
    places = [int((known @ one).argmax()) for one in asked]
    return [texts[place] for place in places]


def _most_frequent_caption(train: Sequence[CaptionExample]) -> str:
    counts = Counter(" ".join(tokenise(text)) for example in train for text in example.captions)
    return detokenise(min(counts, key=lambda text: (-counts[text], text)).split(" "))


def _retrieval(
    captioner: Captioner, examples: Sequence[CaptionExample], contexts: Tensor
) -> dict[str, dict[str, float]]:
    retriever = Retriever(captioner)
    texts = [(place, text) for place, example in enumerate(examples) for text in example.captions]
    sentences, _ = retriever.encode_texts([text for _, text in texts])
    scores = normalise_over_images(retriever.score(contexts, sentences, scoring="release"))
    ranked = score_retrieval(scores, [place for place, _ in texts])
    return {
        "caption_to_image": ranked.caption_to_image.to_dict(),
        "image_to_caption": ranked.image_to_caption.to_dict(),
    }


def _predictions(
    examples: Sequence[CaptionExample],
    captions: Sequence[Caption],
    references: Sequence[Sequence[str]],
    scored: CaptionScores,
    nearest: Sequence[str],
) -> tuple[CaptionPrediction, ...]:
    return tuple(
        CaptionPrediction(
            path=str(example.path),
            start_s=example.start_s,
            end_s=example.end_s,
            caption=caption.text,
            log_prob=caption.log_prob,
            references=example.captions,
            scores={name: scored.scores[name].per_item[place] for name in ITEM_METRICS},
            exact=" ".join(tokenise(caption.text)) in references[place],
            nearest=nearest[place],
        )
        for place, (example, caption) in enumerate(zip(examples, captions, strict=True))
    )
