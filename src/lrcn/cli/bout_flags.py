"""What `lrcn recognize` is told about bouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import NonNegativeFloat, NonNegativeInt, PositiveInt
from cyclopts.validators import Number

from lrcn.cli.exits import UsageError


@dataclass(frozen=True, kw_only=True)
class BoutFlags:
    """How bouts are found, and where they go."""

    bouts: Path | None = None
    """Find bouts in place of windows, and write into this folder: for each recording an annotation file; `bouts.csv` of
    all; `time_budget.csv`. What was looked at is kept in its folder `windows`: the same command goes on where it was
    stopped, and other thresholds cost no second look."""
    format: str = "bouts-csv"
    """Of the annotation files; the names are those of `lrcn data import`."""
    threshold: Annotated[float | None, Parameter(validator=Number(gte=0, lte=1))] = None
    """A bout reaches this probability somewhere. Left out, as all below: what was fitted for each class in training,
    or else what suits the length of the model's clips."""
    smooth: NonNegativeFloat | None = None
    """Seconds around each frame over which its probabilities are averaged."""
    shortest: NonNegativeFloat | None = None
    """Seconds that a bout lasts at least."""
    longest_gap: NonNegativeFloat | None = None
    """Seconds of a gap that is closed at most."""
    tracks: Path | None = None
    """Look at each animal or person by itself, at a square that follows its track, and name it as the bouts' subject: a
    CSV file with columns frame,id,x,y,w,h, or one that DeepLabCut or SLEAP wrote; of several videos a folder with
    `NAME.csv` for each. Frames are counted from 0."""
    track_size: PositiveInt | None = None
    """Side of these squares in the video, in px. Left out, they are as large as the boxes of the track."""
    plots: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Also draw each recording's bouts and probabilities, into the folder `plots`."""
    review: NonNegativeInt = 0
    """Also cut clips around so many of the least certain bouts, into the folder `review`, with an annotation file that
    says what the model takes them for, to be corrected."""

    def check(self) -> None:
        """Make sure that nothing is said about bouts that are not wanted, and that the format is written.

        Raises:
            UsageError: If flags do not go together.
            LRCNError: If there is no such format, or what draws is not installed.
        """
        if self.bouts is None:
            given = [name for name in self.__dataclass_fields__ if getattr(self, name) != getattr(BOUT_FLAGS, name)]
            if given:
                raise UsageError(f"--{given[0].replace('_', '-')} is about bouts: give --bouts FOLDER, too")
            return
        if self.track_size is not None and self.tracks is None:
            raise UsageError("--track-size is about tracks: give --tracks FILE, too")
        from lrcn.annotations.formats import FORMATS
        from lrcn.errors import lookup, require

        lookup(
            {name: one for name, one in FORMATS.items() if one.write is not None},
            self.format,
            kind="annotation format to write",
        )
        if self.plots:
            require("matplotlib.figure", extra="plots", wanted_by="--plots")


BOUT_FLAGS = BoutFlags()
Bouts = Annotated[BoutFlags, Parameter(name="*", group="Bouts")]
