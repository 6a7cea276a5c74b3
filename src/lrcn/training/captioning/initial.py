"""The weights a captioning run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lrcn import model_file
from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError
from lrcn.models.backbones import build_backbone
from lrcn.models.captioning import CaptioningModel
from lrcn.tasks import CAPTIONING
from lrcn.text import Vocabulary
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.initial import InitReport, take_over

WORD_TENSORS = ("embedding.weight", "classifier.weight", "classifier.bias")
"""One row a token."""


@dataclass(frozen=True, kw_only=True)
class CaptionInitReport(InitReport):
    """What `init_from` brought, words beside tensors."""

    new_words: int
    """Words that the file does not know."""

    def __str__(self) -> str:
        return super().__str__() + (f"; {self.new_words} new words" if self.new_words else "")


def initial_model(
    config: CaptioningTrainingConfig, vocabulary: Vocabulary, *, vector_size: int | None = None
) -> tuple[CaptioningModel, InitReport | None]:
    """Return the network before the first step; what is random comes from torch's global generator.

    The rows of embedding and word logits are taken word by word. Of a language model only these and the LSTM layers
    are taken: it has looked at no picture, and what would read them was never trained.

    Raises:
        ConfigError: If the backbone, its layer or its weights cannot be had.
        ModelFileError: If `init_from` is no model file.
        TaskMismatchError: If it was made for another task.
    """
    captioning = config.captioning_config(len(vocabulary), vector_size=vector_size)

    def make(weights: str) -> CaptioningModel:
        if not config.looks_at_pictures:
            weights = "none"
        model = CaptioningModel(captioning, backbone_weights=weights)
        if config.projection_init == "fc8" and weights != "none":
            _start_as_fc8(model, config.backbone_config(), weights)
        return model

    if config.init_from is None:
        return make(config.backbone_weights), None
    header, network = model_file.load(config.init_from, task=CAPTIONING)
    fresh = make("none").state_dict()
    known = Vocabulary(header.vocabulary)
    offered = _by_word(network.state_dict(), known, fresh, vocabulary)
    trained = header.provenance.get("config")
    blind = isinstance(trained, dict) and trained.get("objective") == "sentences"
    foreign = ("backbone", "projection", "encoder") if blind and config.objective != "sentences" else ()
    model, report = take_over(make, config, offered, foreign)
    return model, CaptionInitReport(**vars(report), new_words=sum(word not in known for word in vocabulary.words))


def _by_word(
    offered: Mapping[str, Tensor], known: Vocabulary, fresh: Mapping[str, Tensor], vocabulary: Vocabulary
) -> dict[str, Tensor]:
    """Return the offered tensors with their rows in the order of the vocabulary; new words keep the fresh rows."""
    first = len(Vocabulary.SPECIALS)
    places = {word: number for number, word in enumerate(known.words, start=first)}
    pairs = [(number, places[word]) for number, word in enumerate(vocabulary.words, start=first) if word in places]
    pairs += [(number, number) for number in range(first)]
    rows, sources = torch.tensor(pairs).T
    arranged = dict(offered)
    for name in WORD_TENSORS:
        if offered[name].shape[1:] == fresh[name].shape[1:]:
            arranged[name] = fresh[name].index_copy(0, rows, offered[name][sources])
    return arranged


def _start_as_fc8(model: CaptioningModel, backbone: BackboneConfig, weights: str) -> None:
    """Copy the weights of the layer after fc7 into the projection.

    Raises:
        ConfigError: If the network has no fc8, or one of another size.
    """
    source = build_backbone(replace(backbone, layer="fc8"), weights=weights)
    last = [module for module in source.modules() if isinstance(module, torch.nn.Linear)][-1]
    projection = model.projection
    assert projection is not None  # the configuration sees to it
    if last.weight.shape != projection.weight.shape:
        raise ConfigError(
            f"projection_init 'fc8': fc8 of {backbone.name!r} has {len(last.weight)} units, "
            f"projection_size is {len(projection.weight)}; make them equal"
        )
    projection.load_state_dict(last.state_dict())
