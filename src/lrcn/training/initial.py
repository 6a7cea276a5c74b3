"""The weights a run starts from."""

from __future__ import annotations

from dataclasses import dataclass

from lrcn import model_file
from lrcn.models.recognition import RecognitionModel
from lrcn.training.config import RecognitionTrainingConfig


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

    def __str__(self) -> str:
        return (
            f"init_from {self.source}: {len(self.taken)} tensors taken, {_listed(self.new)} new, "
            f"{_listed(self.left)} left in the file"
        )


def _listed(names: tuple[str, ...]) -> str:
    if len(names) > 6:
        return f"{len(names)} ({', '.join(names[:5])}, ...)"
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def initial_model(
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
    if config.init_from is None:
        return RecognitionModel(recognition, backbone_weights=config.backbone_weights), None
    header, network = model_file.load(config.init_from)
    offered = network.state_dict()
    model = RecognitionModel(recognition)
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    other = {_module(name) for name, value in offered.items() if wanted.get(name) != value.shape}
    if header.labels != labels:
        other.add("classifier")
    taken = {name: value for name, value in offered.items() if _module(name) not in other}
    if any(name not in taken for name in wanted if name.startswith("backbone.")):
        model = RecognitionModel(recognition, backbone_weights=config.backbone_weights)
    model.load_state_dict({**model.state_dict(), **taken})
    report = InitReport(
        source=config.init_from,
        taken=tuple(taken),
        new=tuple(name for name in wanted if name not in taken),
        left=tuple(name for name in offered if name not in taken),
    )
    return model, report
