"""Trainings of a search: a recipe on cached features without some folds, and how it names the clips of those.

A search keeps what each comes to, and no network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from pathlib import Path

import torch

from lrcn import model_file
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.devices import choose_device
from lrcn.experiments.search_recipes import Recipe
from lrcn.experiments.search_report import Tally
from lrcn.features import Part
from lrcn.models.backbones import default_preprocess
from lrcn.tasks import RECOGNITION
from lrcn.training.features import EncodedVideos
from lrcn.training.fit import train
from lrcn.training.progress import Narrator
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.recognition.data import feature_video, one_for_each_part, training_part
from lrcn.training.recognition.recipe import RecognitionRecipe
from lrcn.training.recognition.validation import LEAST_PROB, FeatureValidation

Folds = Sequence[Sequence[RecognitionExample]]


class FoldTrainings:
    """Trains recipes on one data set, all of whose examples are in `train`."""

    def __init__(self, data: RecognitionData, narrator: Narrator, *, device: str, cache_dir: Path | None) -> None:
        """Take the examples, and the rest as for `train`."""
        self._data, self._narrator = data, narrator
        self._device, self._cache_dir = device, cache_dir

    def encoded(self, config: RecognitionTrainingConfig) -> EncodedVideos:
        """Return the features of all examples as a recipe has them, made or found."""
        preprocess = config.preprocess_config(default_preprocess(config.backbone))
        with redirect_stderr(StringIO()):  # the training on all clips warns, too
            recipe = RecognitionRecipe(config, preprocess, self._data, Narrator(quiet=True))
            torch.manual_seed(config.seed)  # so that a CNN of random weights is that of the trainings
            recipe.build()
        assert recipe.model.backbone is not None
        recipe.model.backbone.check_input(preprocess.crop)
        encoded = EncodedVideos(
            recipe.header({}),
            recipe.model,
            runtime=config.runtime,
            cache_dir=self._cache_dir,
            device=choose_device(self._device),
        )
        files = one_for_each_part(self._data.examples)
        with self._narrator.bar("features", len(files), unit="videos") as bar:
            encoded.fill(files, lambda example: training_part(example, config), bar)
        return encoded

    def tallies(
        self,
        recipe: Recipe,
        folds: Folds,
        without: tuple[int, ...],
        run: Path,
        encoded: EncodedVideos,
    ) -> dict[int, Tally]:
        """Train without these folds, and return how their clips are named."""
        held = {example.group for fold in without for example in folds[fold]}
        read = {example for fold in folds for example in fold}
        examples = [e for e in self._data.examples if e in read and e.group not in held]
        labels = tuple(label for label in self._data.labels if any(e.label == label for e in examples))
        if len(labels) < 2:  # nothing to learn: the one class is the answer
            return {fold: _constant(labels, folds[fold]) for fold in without}
        with redirect_stderr(StringIO()):  # what a fold lacks is no news
            result = train(
                replace(recipe.config, logger="none", refit=False),
                RecognitionData(labels, tuple(examples), self._data.name),
                output=run,
                resume=True,
                device=self._device,
                cache_dir=self._cache_dir,
                quiet=True,
            )
        return {fold: _tally(result.model_path, folds[fold], encoded, choose_device(self._device)) for fold in without}


@torch.no_grad()
def _tally(
    model_path: Path, examples: Sequence[RecognitionExample], encoded: EncodedVideos, device: torch.device
) -> Tally:
    """Name clips as recognition does, from their cached features; those of an unknown class are named wrongly."""
    header, model = model_file.load(model_path, task=RECOGNITION)
    model.to(device).eval()
    right: dict[str, int] = {}
    total: dict[str, int] = {}
    loss = 0.0
    for label in sorted({example.label for example in examples}):
        own = [example for example in examples if example.label == label]
        right[label], total[label] = 0, len(own)
        if label not in header.labels:
            loss -= len(own) * math.log(LEAST_PROB)
            continue
        label_id = header.labels.index(label)
        videos: list[FeatureVideo] = [
            feature_video(encoded, e, _centre_of(e), header.preprocess, label_id) for e in own
        ]
        sums = FeatureValidation(videos, header.preprocess, [1.0] * len(own))(model, device)
        right[label] = int(sums["val_accuracy"][0])
        loss += sums["val_loss"][0]
    return Tally(right, total, loss)


def _centre_of(example: RecognitionExample) -> Part:
    if example.within is not None:
        return Part(example.path, roi=example.roi)
    return Part(example.path, start_s=example.start_s, end_s=example.end_s, roi=example.roi)


def _constant(labels: Sequence[str], examples: Sequence[RecognitionExample]) -> Tally:
    """Return the tally of saying always the same."""
    total: dict[str, int] = {}
    for example in examples:
        total[example.label] = total.get(example.label, 0) + 1
    right = {label: count if label in labels else 0 for label, count in total.items()}
    return Tally(right, total, (len(examples) - sum(right.values())) * -math.log(LEAST_PROB))
