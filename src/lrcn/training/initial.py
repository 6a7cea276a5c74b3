"""The weights a run starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lrcn import model_file
from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError
from lrcn.models.backbones import build_backbone
from lrcn.models.captioning import CaptioningModel
from lrcn.models.recognition import RecognitionModel
from lrcn.text import Vocabulary
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.recognition.config import RecognitionTrainingConfig

M = TypeVar("M", RecognitionModel, CaptioningModel)

WORD_TENSORS = ("embedding.weight", "classifier.weight", "classifier.bias")
"""Of a captioning model: one row a token."""


@dataclass(frozen=True)
class InitReport:
    """What `init_from` brought, by the names of the tensors."""

    source: str
    taken: tuple[str, ...]
    """Name and shape are those of the new model."""
    new: tuple[str, ...]
    """Of the new model, not in the file."""
    left: tuple[str, ...]
    """In the file, not of use here."""
    new_words: int = 0
    """Words of a captioning model that the file does not know."""

    def __str__(self) -> str:
        words = f"; {self.new_words} new words" if self.new_words else ""
        return (
            f"init_from {self.source}: {len(self.taken)} tensors taken, {_listed(self.new)} new, "
            f"{_listed(self.left)} left in the file{words}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what provenance states: of the tensors taken, hundreds often, their number; the others are named."""
        return {**asdict(self), "taken": len(self.taken)}


def _listed(names: tuple[str, ...]) -> str:
    if len(names) > 6:
        return f"{len(names)} ({', '.join(names[:5])}, ...)"
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _draw_as_released(model: RecognitionModel) -> None:
    """Draw the head's weights again, as the fillers of the released nets do (train_test_lstm_RGB.prototxt)."""
    in_lstms = {p for module in model.head.modules() if isinstance(module, nn.LSTM) for p in module.parameters()}
    for parameter in model.head.parameters():
        if parameter.dim() == 1:
            nn.init.zeros_(parameter)
        elif parameter in in_lstms:
            nn.init.uniform_(parameter, -0.01, 0.01)
        else:
            nn.init.normal_(parameter, std=0.01)


def initial_recognition_model(
    config: RecognitionTrainingConfig, labels: tuple[str, ...]
) -> tuple[RecognitionModel, InitReport | None]:
    """Return the network before the first step; what is random comes from torch's global generator.

    Tensors of `init_from` are taken where name and shape match, those of a module together or not at all. The
    classifier is taken only if the classes are the same, in the same order: equal shapes would otherwise put its rows
    under foreign names.

    Raises:
        ConfigError: If the backbone, its layer or its weights cannot be had.
        ModelFileError: If `init_from` is no model file.
        TaskMismatchError: If it was made for another task.
    """
    recognition = config.recognition_config(len(labels))

    def make(weights: str) -> RecognitionModel:
        model = RecognitionModel(recognition, backbone_weights=weights)
        if config.head_init == "release":
            _draw_as_released(model)
        return model

    if config.init_from is None:
        return make(config.backbone_weights), None
    header, network = model_file.load(config.init_from)
    foreign = () if header.labels == labels else ("classifier",)
    return _taken_over(make, config, network.state_dict(), foreign)


def initial_captioning_model(
    config: CaptioningTrainingConfig, vocabulary: Vocabulary, *, vector_size: int | None = None
) -> tuple[CaptioningModel, InitReport | None]:
    """Return the network before the first step, as `initial_recognition_model` does.

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
    header, network = model_file.load(config.init_from, task="captioning")
    fresh = make("none").state_dict()
    known = Vocabulary(header.vocabulary)
    offered = _by_word(network.state_dict(), known, fresh, vocabulary)
    trained = header.provenance.get("config")
    blind = isinstance(trained, dict) and trained.get("objective") == "sentences"
    foreign = ("backbone", "projection", "encoder") if blind and config.objective != "sentences" else ()
    model, report = _taken_over(make, config, offered, foreign)
    return model, replace(report, new_words=sum(word not in known for word in vocabulary.words))


def _taken_over(
    make: Callable[[str], M],
    config: RecognitionTrainingConfig | CaptioningTrainingConfig,
    offered: Mapping[str, Tensor],
    foreign: tuple[str, ...],
) -> tuple[M, InitReport]:
    """Return a network with all that fits of what is offered, but for the parts of the network named `foreign`."""
    model = make("none")
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    other = {_module(name) for name, value in offered.items() if wanted.get(name) != value.shape}
    taken = {
        name: value
        for name, value in offered.items()
        if _module(name) not in other and name.partition(".")[0] not in foreign
    }
    pretrained = tuple(f"{part}." for part in config.backbone_parts)
    if any(name not in taken for name in wanted if name.startswith(pretrained)):
        model = make(config.backbone_weights)
    model.load_state_dict({**model.state_dict(), **taken})
    report = InitReport(
        source=str(config.init_from),
        taken=tuple(taken),
        new=tuple(name for name in wanted if name not in taken),
        left=tuple(name for name in offered if name not in taken),
    )
    return model, report


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
