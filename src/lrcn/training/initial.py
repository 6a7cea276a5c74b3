"""The weights a run starts from, where another model's are among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from lrcn.training.config import TrainingConfig

M = TypeVar("M", bound=nn.Module)


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
    classes: tuple[str, ...] = ()
    """Those whose rows of a classifier for other classes were taken."""

    def __str__(self) -> str:
        return (
            f"init_from {self.source}: {len(self.taken)} tensors taken, {_listed(self.new)} new, "
            f"{_listed(self.left)} left in the file"
            + (f", but for the rows of {len(self.classes)} classes" if self.classes else "")
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


def take_over(
    make: Callable[[str], M],
    config: TrainingConfig,
    offered: Mapping[str, Tensor],
    foreign: tuple[str, ...],
) -> tuple[M, InitReport]:
    """Return a network with all that fits of what is offered.

    Tensors are taken where name and shape match, those of a module together or not at all.

    Args:
        make: Makes a new network; told where the weights of its CNN come from, as `backbone_weights`.
        config: Says which parts count as the CNN: its weights are fetched unless all of them are offered.
        offered: What the file of `init_from` holds, by name.
        foreign: Modules of it that are not to be taken.
    """
    model = make("none")
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    other = {_module(name) for name, value in offered.items() if wanted.get(name) != value.shape}
    taken = {
        name: value
        for name, value in offered.items()
        if _module(name) not in other and not name.startswith(tuple(f"{module}." for module in foreign))
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
