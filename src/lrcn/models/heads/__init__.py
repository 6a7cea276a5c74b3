"""Heads: what reads the features of a clip's frames and says what it shows. One class and one row of `HEADS` each."""

from __future__ import annotations

from lrcn.config import RecognitionConfig
from lrcn.errors import ConfigError, lookup
from lrcn.models.heads.base import Head, TrainingClips, frame_loss
from lrcn.models.heads.frame import FrameHead, MeanHead
from lrcn.models.heads.joint import JointHead
from lrcn.models.heads.lstm import LSTMHead
from lrcn.models.heads.statistics import StatisticsHead

__all__ = [
    "HEADS",
    "FrameHead",
    "Head",
    "JointHead",
    "LSTMHead",
    "MeanHead",
    "StatisticsHead",
    "TrainingClips",
    "build_head",
    "frame_loss",
    "register_head",
]

HEADS: dict[str, type[Head]] = {
    "lstm": LSTMHead,
    "statistics": StatisticsHead,
    "frame": FrameHead,
    "mean": MeanHead,
}
"""Name, as `HeadSettings.head` has it -> class."""


def register_head(name: str, head: type[Head]) -> None:
    """Make a head known by a name.

    Raises:
        ConfigError: If the name is taken, or has a + in it.
    """
    if name in HEADS:
        raise ConfigError(f"the head name {name!r} is taken; choose another")
    if "+" in name:
        raise ConfigError(f"the head name {name!r} has a + in it, which joins names; choose another")
    HEADS[name] = head


def build_head(config: RecognitionConfig, feature_size: int) -> Head:
    """Make the head of a network; names with a + between them give several, whose probabilities are averaged.

    Args:
        config: What to build.
        feature_size: Values D of a frame's feature.

    Raises:
        UnknownNameError: If there is no such head.
        ConfigError: If it has a module that is called as the CNN is: in files the head's tensors have no prefix.
    """
    names = config.head.split("+")
    heads = [lookup(HEADS, name, kind="head")(config, feature_size) for name in names]
    head = heads[0] if len(heads) == 1 else JointHead(config, feature_size, heads)
    if any(name == "backbone" for name, _ in head.named_children()):
        raise ConfigError(f"head {config.head!r} has a module called backbone, as the CNN is called; rename it")
    return head
