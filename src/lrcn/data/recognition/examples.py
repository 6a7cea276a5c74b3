"""What every reader of a recognition data set takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.reading import LookedAt
from lrcn.bouts import Recording, Region, Span
from lrcn.config import VectorConfig
from lrcn.data.splits import examples_of

TOGETHER = "|"
"""Stands between the classes of an example where several are shown at once."""

SEVERAL_AT_ONCE = "shows several behaviours at once"
"""Of `multi_label` data sets, in the messages of what cannot do with them."""


@dataclass(frozen=True)
class RecognitionExample:
    """A video, or a part of one, and its class."""

    path: Path
    """A video file, a folder that holds its frames as images, or a file of ready vectors."""
    label: str
    """Its class; in a data set that is `multi_label` all classes shown, in alphabetical order with `TOGETHER` between
    them, and empty where none is."""
    split: str
    """`train`, `val` or `test`."""
    start_s: float = 0.0
    end_s: float | None = None
    """None for the end of the video."""
    group: str = ""
    """The source video, person or place: no group should lie in two splits. Readers leave it empty where the data
    set does not say; it is then guessed from the file name."""
    within: Span | None = None
    """Of a piece of a recording: the stretch of it that lies in the same split. Windows of the example may reach over
    its borders, as windows of the recording do, but not out of this stretch; frames are sampled by the recording's
    clock. None where the example is a video, or a part that is read as if it were one."""
    roi: Region | None = None
    """Where in the picture to look; None for all of it."""


@dataclass(frozen=True)
class UnreadRecording:
    """An annotated recording that is there and cannot be read."""

    name: str
    split: str
    """As the annotation says; empty where it does not."""
    message: str


@dataclass(frozen=True)
class RecognitionData:
    """A recognition data set."""

    labels: tuple[str, ...]
    """Class names; the position is the label id."""
    examples: tuple[RecognitionExample, ...]
    name: str
    warnings: tuple[str, ...] = ()
    """One line each: what a careful user would want to know, such as clips of one video in two splits."""
    recordings: tuple[Recording, ...] = ()
    """Of annotated recordings: those that the examples are cut from, each with its split, its length and a file that is
    there. A recording that is divided in time is here once for each split, with the bouts and the spans looked at that
    lie in it. Empty for clips."""
    unread: tuple[UnreadRecording, ...] = ()
    """Annotated recordings that cannot be read; `warnings` name them, too."""
    multi_label: bool = False
    """Whether several classes, or none, may be shown at once: each is then judged by itself."""
    undivided: bool = False
    """Whether the data set itself knows no splits: `train` and `val` were made here."""

    def shown(self, example: RecognitionExample) -> tuple[str, ...]:
        """Return the classes that an example shows: one, or any number where the data set is `multi_label`."""
        if not self.multi_label:
            return (example.label,)
        return tuple(example.label.split(TOGETHER)) if example.label else ()

    @property
    def label_sets(self) -> tuple[str, ...]:
        """The labels that examples have, each once: the classes, or in a `multi_label` data set what is shown together.

        An example's place among them is its label id.
        """
        if not self.multi_label:
            return self.labels
        return tuple(sorted({example.label for example in self.examples}))

    def shown_of_sets(self) -> NDArray[np.bool_]:
        """Return which classes an example of each label id shows, `(S, A)`."""
        sets = [label.split(TOGETHER) if self.multi_label else [label] for label in self.label_sets]
        return np.array([[name in shown for name in self.labels] for shown in sets])

    def split(self, name: str) -> tuple[RecognitionExample, ...]:
        """Return the examples of one split.

        Raises:
            DataError: If there are none; the message says which splits there are.
        """
        return examples_of(name, self.examples, self.name)


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may need to know besides the path."""

    split_number: int = 1
    """Which of several official train/test lists, from 1."""
    skip_missing: bool = False
    """Leave out listed videos that are not there, instead of raising."""
    val_fraction: float = 0.2
    """Share that becomes `val`, for readers that divide by themselves."""
    seed: int = 0
    """Of that division."""
    videos: Path | None = None
    """Folder of the recordings that an annotation file names; None for those beside it."""
    subject: str | None = None
    """Whose bouts of an annotation file count; None for all."""
    looked_at: LookedAt = "auto"
    """What of the recordings the annotator went through, so that what no bout covers there is background."""
    vectors: VectorConfig | None = None
    """Given where the clips are files of ready vectors, in place of videos."""
    annotation_format: str = "auto"
    """A key of `lrcn.annotations.formats.FORMATS`."""


def sorted_labels(examples: list[RecognitionExample]) -> tuple[str, ...]:
    """Return the class names that occur, in alphabetical order."""
    return tuple(sorted({example.label for example in examples}))
