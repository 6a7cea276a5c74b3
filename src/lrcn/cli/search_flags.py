"""How captions are searched for: the flags of `lrcn caption` and `lrcn evaluate`.

No annotation here is postponed: the flags of `evaluate` are a subclass in another module, without these names.
"""

from dataclasses import dataclass, fields
from typing import Annotated

from cyclopts import Parameter

from lrcn.inference.captioning.search_settings import CaptionSearch


@dataclass(frozen=True, kw_only=True)
class SearchFlags(CaptionSearch):
    """How captions are searched for: a flag for each setting but the seed, which is a flag of the command."""

    seed: Annotated[int, Parameter(parse=False)] = 0

    def search(self, seed: int) -> CaptionSearch:
        """Return the settings, with the seed that the command was given."""
        given = {field.name: getattr(self, field.name) for field in fields(CaptionSearch)}
        return CaptionSearch(**{**given, "seed": seed})


SEARCH = SearchFlags()
Search = Annotated[SearchFlags, Parameter(name="*", group="Search", negative_bool=())]
