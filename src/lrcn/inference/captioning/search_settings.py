"""How captions are searched for: the one declaration, for the library and the command line. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lrcn.errors import ConfigError

MAX_LENGTH_PENALTY = 10
"""1 ranks by the mean; far above it, numbers overflow and only the longest captions are left."""

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 100
"""Beyond, logits overflow, or all words are equally probable."""


@dataclass(frozen=True, kw_only=True)
class CaptionSearch:
    """How captions are searched for."""

    beam_size: int = 5
    """Beginnings of sentences followed at once for each picture; 1 is greedy search (released: 1)."""
    num_captions: int = 1
    """Captions for each picture, best first; at most the beam size, or the number of samples."""
    max_length: int = 20
    """Most words of a caption, its end counted (released nets were trained on 20)."""
    length_penalty: float = 0.0
    """Rank by log probability / length ** this: 0, as in the release, favours short captions, 1 ranks by the mean."""
    num_samples: int = 0
    """Draw this many captions at random instead and keep the most probable; 0 for beam search. (The paper's best: 100,
    at its T = 1.5.)"""
    temperature: float = 1.0
    """Of the draws: divides the logits, below 1 sharpens. (The paper's T is 1 / temperature: its best, T = 1.5, is
    0.667 here.)"""
    top_k: int | None = None
    """Draw from this many most probable words only."""
    top_p: float | None = None
    """Draw from the fewest words that hold this much probability only."""
    seed: int = 0
    """Of the draws: the same picture gets the same captions, whatever else is captioned with it."""
    unknown_words: bool = False
    """Let the model say `<unk>` where it means a word outside its vocabulary."""

    def __post_init__(self) -> None:
        for name, default in (("temperature", 1.0), ("top_k", None), ("top_p", None)):
            if not self.num_samples and getattr(self, name) != default:
                raise ConfigError(f"{name} belongs to captions drawn at random: set num_samples, too")
        most, limit = (self.num_samples, "num_samples") if self.num_samples else (self.beam_size, "beam_size")
        _check("num_samples", self.num_samples, "0 or more", self.num_samples >= 0)
        _check("beam_size", self.beam_size, "1 or more", self.beam_size >= 1)
        _check("num_captions", self.num_captions, f"between 1 and {limit} ({most})", 1 <= self.num_captions <= most)
        _check("max_length", self.max_length, "1 or more", self.max_length >= 1)
        in_range = 0 <= self.length_penalty <= MAX_LENGTH_PENALTY
        _check("length_penalty", self.length_penalty, f"between 0 and {MAX_LENGTH_PENALTY}", in_range)
        in_range = MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE
        _check("temperature", self.temperature, f"between {MIN_TEMPERATURE} and {MAX_TEMPERATURE}", in_range)
        _check("top_k", self.top_k, "1 or more", self.top_k is None or self.top_k >= 1)
        _check("top_p", self.top_p, "above 0 and at most 1", self.top_p is None or 0 < self.top_p <= 1)
        _check("seed", self.seed, "between 0 and 2 ** 63 - 1", 0 <= self.seed < 2**63)


def search_of(search: CaptionSearch | None, changes: Mapping[str, Any]) -> CaptionSearch:
    """Return the settings that a call names: those of `search`, None for the defaults, with some changed.

    Raises:
        ConfigError: If they are out of range or do not go together.
        TypeError: If there is no such setting.
    """
    return replace(search or CaptionSearch(), **changes)


def _check(name: str, value: object, expected: str, in_range: bool) -> None:
    if not in_range:
        raise ConfigError(f"{name} must be {expected}, got {value}")
