"""The weights a recognition run starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lrcn import model_file
from lrcn.models.recognition import RecognitionModel
from lrcn.tasks import RECOGNITION
from lrcn.training.initial import InitReport, take_over
from lrcn.training.recognition.config import RecognitionTrainingConfig


def initial_model(
    config: RecognitionTrainingConfig,
    labels: tuple[str, ...],
    *,
    multi_label: bool = False,
    vector_size: int | None = None,
) -> tuple[RecognitionModel, InitReport | None]:
    """Return the network before the first step; what is random comes from torch's global generator.

    Of `init_from` the classifier is taken as it is only if the classes are the same, in the same order, and judged in
    the same way: equal shapes would otherwise put its rows under foreign names. If others have come or gone, the rows
    of the classes that both know are taken. On a frozen CNN with `standardise`, only the CNN is taken.

    Raises:
        ConfigError: If the backbone, its layer or its weights cannot be had.
        ModelFileError: If `init_from` is no model file.
        TaskMismatchError: If it was made for another task.
    """
    recognition = config.recognition_config(len(labels), multi_label=multi_label, vector_size=vector_size)

    def make(weights: str) -> RecognitionModel:
        model = RecognitionModel(recognition, backbone_weights=weights)
        if config.head_init == "release":
            _draw_as_released(model)
        return model

    if config.init_from is None:
        return make(config.backbone_weights), None
    header, network = model_file.load(config.init_from, task=RECOGNITION)
    offered = network.state_dict()
    if config.standardise and not config.backbone_trainable:
        # what is found from the training clips at once is found anew, and what has learnt to read it does not fit
        foreign = {name.partition(".")[0] for name in network.state_dict() if not name.startswith("backbone.")}
    elif header.labels != labels or header.model.multi_label != multi_label:
        of_classifier = set(network.classifier_parameters())
        names = [name for name, parameter in network.head.named_parameters() if parameter in of_classifier]
        foreign = {name.rpartition(".")[0] for name in names}
        alike = (header.model.head, header.model.multi_label) == (recognition.head, multi_label)
        if alike and set(header.labels) & set(labels):
            model, report = take_over(make, config, offered, tuple(sorted(foreign)))
            shared = _take_rows(model, offered, names, header.labels, labels)
            return model, replace(report, classes=shared)
    else:
        foreign = set()
    return take_over(make, config, offered, tuple(sorted(foreign)))


def _take_rows(
    model: RecognitionModel,
    offered: Mapping[str, Tensor],
    names: Sequence[str],
    known: tuple[str, ...],
    labels: tuple[str, ...],
) -> tuple[str, ...]:
    """Put the rows of classifiers that belong to classes of both models where these classes are now; return them."""
    state = model.state_dict()
    if any(name not in state or state[name].shape[1:] != offered[name].shape[1:] for name in names):
        return ()
    shared = tuple(label for label in labels if label in known)
    to, of = (torch.tensor([side.index(label) for label in shared]) for side in (labels, known))
    for name in names:
        state[name][to] = offered[name][of]
    model.load_state_dict(state)
    return shared


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
