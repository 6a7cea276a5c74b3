"""How captions are searched for: the flags of `lrcn caption` and `lrcn evaluate`.

No annotation here is postponed: the flags of `evaluate` are a subclass in another module, without these names.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt, PositiveInt
from cyclopts.validators import Number

from lrcn.cli.exits import UsageError
from lrcn.errors import ConfigError

if TYPE_CHECKING:
    from lrcn.inference.captioning.search import SearchOptions


@dataclass(frozen=True, kw_only=True)
class SearchFlags:
    """How captions are searched for."""

    beam_size: PositiveInt = 5
    """Beginnings of sentences followed at once for each picture; 1 is greedy search."""
    num_captions: PositiveInt = 1
    """Captions for each picture, best first; at most the beam size, or the number of samples."""
    max_length: PositiveInt = 20
    """Most words of a caption, its end counted."""
    length_penalty: Annotated[float, Parameter(validator=Number(gte=0, lte=10))] = 0.0
    """Rank by log probability / length ** this: 0 favours short captions, 1 ranks by the mean."""
    num_samples: NonNegativeInt = 0
    """Draw this many captions at random instead and keep the most probable; 0 for beam search."""
    temperature: Annotated[float, Parameter(validator=Number(gte=0.01, lte=100))] = 1.0
    """Of the draws: below 1 sharpens. (The paper's T is 1 / temperature: its best, T = 1.5, is 0.667 here.)"""
    top_k: PositiveInt | None = None
    """Draw from this many most probable words only."""
    top_p: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None
    """Draw from the fewest words that hold this much probability only."""
    unknown_words: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Let the model say `<unk>` where it means a word outside its vocabulary."""

    def options(self, seed: int) -> "SearchOptions":
        """Return the flags as keywords of `Captioner`.

        Raises:
            UsageError: If they do not go together.
        """
        from lrcn.inference.captioning.search import CaptionSearch

        options: SearchOptions = {
            "beam_size": self.beam_size,
            "num_captions": self.num_captions,
            "max_length": self.max_length,
            "length_penalty": self.length_penalty,
            "num_samples": self.num_samples,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "seed": seed,
            "unknown_words": self.unknown_words,
        }
        try:
            CaptionSearch(**options)
        except ConfigError as exc:
            raise UsageError(str(exc)) from exc
        return options


SEARCH = SearchFlags()
Search = Annotated[SearchFlags, Parameter(name="*", group="Search")]
