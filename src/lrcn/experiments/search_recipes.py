"""The recipes that a search tries: names of settings that differ from those that were given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lrcn.config import PACKAGED_BACKBONE
from lrcn.errors import ConfigError
from lrcn.training.recognition.config import RecognitionTrainingConfig

AS_GIVEN = "as given"
"""The recipe that changes nothing; always tried, and first."""

_HEADS: dict[str, dict[str, Any]] = {
    AS_GIVEN: {},
    "statistics": {"head": "statistics"},
    "mean": {"head": "mean"},
    "lstm": {"head": "lstm"},
    "learnt embedding": {"embedding_kind": "learnt", "embedding_size": 128},
    "clips of 32": {"clip_length": 32, "clip_stride": 16},
}
"""Recipe -> settings that it changes; the cheap ones first."""

_LAYERS: dict[str, dict[str, Any]] = {
    "blocks.4": {"layer": "blocks.4", "grid": 3},
    "blocks.5": {"layer": "blocks.5", "grid": 3},
    "last layer": {"layer": "", "grid": 1},
}
"""The same of the packaged backbone: each costs features of its own."""

Recipes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """One of them."""

    name: str
    changes: Mapping[str, Any]
    config: RecognitionTrainingConfig
    """The settings that come of it."""


def recipes_for(config: RecognitionTrainingConfig) -> dict[str, dict[str, Any]]:
    """Return the recipes that are tried if nobody says which: name -> settings changed."""
    return {**_HEADS, **(_LAYERS if config.backbone == PACKAGED_BACKBONE else {})}


def recipes_of(base: RecognitionTrainingConfig, recipes: Recipes) -> list[Recipe]:
    """Return the recipes, without those that come to the same as one before.

    Raises:
        ConfigError: If there is none, or one changes a setting that there is not, or one that a search cannot have.
    """
    if not recipes:
        raise ConfigError("a search needs at least one recipe")
    found: list[Recipe] = []
    for name, changes in recipes.items():
        unknown = sorted(changes.keys() - base.to_dict().keys())
        if unknown:
            raise ConfigError(f"recipe {name!r}: unknown setting {unknown[0]!r}")
        config = replace(base, **changes)
        check_settings(config)
        if all(config != recipe.config for recipe in found):
            found.append(Recipe(name, plain(changes), config))
    return found


def check_settings(config: RecognitionTrainingConfig) -> None:
    """Make sure that a search can train with these settings.

    Raises:
        ConfigError: If not.
    """
    if config.backbone_trainable:
        raise ConfigError("a search tries recipes on cached features: leave backbone_trainable off")
    if config.vectors is not None:
        raise ConfigError("a search tries layers of a CNN, and ready vectors need none: train without --search")
    if config.patience is not None:
        raise ConfigError("a search trains on the validation clips, too: leave patience out, and set epochs")
    if config.num_ranks > 1:
        raise ConfigError(f"a search trains on one device, got {config.num_ranks}")


def plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON holds them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
