"""What a predictor says of one source after the other, as rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from lrcn.batch.places import Place
from lrcn.batch.tables import (
    BOUTS,
    FEATURES,
    SCHEMAS,
    SEGMENTS,
    SOURCES,
    Rows,
    Tables,
    bout_rows,
    captioned,
    failed,
    feature_rows,
    recognised,
)
from lrcn.features import VideoFeatures
from lrcn.inference.captioning.predictor import SEGMENT_S, Captioner
from lrcn.inference.captioning.reading import ReadSource
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.inference.recognition.bouts import bout_stride, own_windows
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.results import CaptionResult
from lrcn.video.inputs import as_media, as_picture

CAPTIONED_AT_ONCE = 64
"""Pictures whose captions are searched for together."""


@dataclass(frozen=True)
class File:
    """A source, and the file to read for it: itself, or a copy."""

    place: Place
    path: Path

    def named(self, text: str) -> str:
        """Return a message with the source's own name in place of that of a copy."""
        return text.replace(str(self.path), self.place.name)


class Look(ABC):
    """Collects the rows of sources."""

    def __init__(self, task: str, *, features: bool) -> None:
        """Take the task, and whether the features of frames are wanted."""
        self._schemas = SCHEMAS[task]
        self._rows: dict[str, Rows] = {name: [] for name in self._schemas}
        self._features: list[pa.Table] | None = [] if features else None

    @abstractmethod
    def look(self, file: File) -> None:
        """Add what is seen in a source.

        Raises:
            MediaError: If nothing of it can be decoded.
        """

    @abstractmethod
    def _look_at(self, file: File, encoded: VideoFeatures) -> None:
        """As `look`, of a source whose frames have been through the CNN."""

    def look_at(self, file: File, encoded: VideoFeatures) -> None:
        """As `look`, of a source whose frames have been through the CNN: with their features, where wanted."""
        self._look_at(file, encoded)
        if self._features is not None:
            self._features.append(feature_rows(file.place, encoded))

    def fail(self, file: File, reason: str) -> None:
        """Add that a source cannot be read, and why; may be called by any thread."""
        self._rows[SOURCES].append(failed(file.place, file.named(reason)))

    def tables(self) -> Tables:
        """Return all rows."""
        tables = {
            name: pa.Table.from_pylist(rows, schema=self._schemas[name])
            for name, rows in self._rows.items()
            if rows or name == SOURCES
        }
        if self._features:
            tables[FEATURES] = pa.concat_tables(self._features)
        return tables

    def _add(self, whole: dict[str, Any], segments: Rows) -> None:
        self._rows[SOURCES].append(whole)
        self._rows[SEGMENTS] += segments


class RecognitionLook(Look):
    """What happens in videos: windows, and bouts where they are wanted."""

    def __init__(self, recognizer: Recognizer, *, bouts: bool, features: bool) -> None:
        """Take what recognises."""
        super().__init__(recognizer.task, features=features)
        self._recognizer = recognizer
        self._bouts = bouts
        preprocess = recognizer.header.preprocess
        self._stride = bout_stride(preprocess) if bouts else preprocess.clip_stride

    def look(self, file: File) -> None:
        """As `Look.look`."""
        self._say(file, self._recognizer.window_probs(file.path, clip_stride=self._stride))

    def _look_at(self, file: File, encoded: VideoFeatures) -> None:
        self._say(file, self._recognizer.encoded_probs(encoded, clip_stride=self._stride))

    def _say(self, file: File, windows: WindowProbs) -> None:
        windows = replace(windows, warnings=tuple(map(file.named, windows.warnings)))
        own = own_windows(windows, self._recognizer.header.preprocess) if self._bouts else windows
        self._add(*recognised(file.place, self._recognizer.as_result(own, file.place.name, top_k=1)))
        if self._bouts:
            self._rows[BOUTS] += bout_rows(file.place, self._recognizer.bouts_in(windows).bouts)


class CaptionLook(Look):
    """What pictures and videos show, in sentences."""

    def __init__(self, captioner: Captioner, *, features: bool) -> None:
        """Take what describes."""
        super().__init__(captioner.task, features=features)
        self._captioner = captioner
        self._reader = captioner.reader()
        self._search = CaptionSearch()
        self._waiting: list[tuple[File, ReadSource]] = []

    def look(self, file: File) -> None:
        """As `Look.look`."""
        self._say(file, self._captioner(file.path, search=self._search))

    def _look_at(self, file: File, encoded: VideoFeatures) -> None:
        is_picture = _is_picture(file.path)
        read = self._reader.read_encoded(file.path, encoded, SEGMENT_S, is_picture=is_picture)
        self._waiting.append((file, read))
        if len(self._waiting) == CAPTIONED_AT_ONCE or not is_picture:
            self._describe()

    def tables(self) -> Tables:
        """As `Look.tables`."""
        self._describe()
        return super().tables()

    def _describe(self) -> None:
        """Search for the captions of what waits."""
        results = self._captioner.results_of([read for _, read in self._waiting], self._search)
        for (file, _), result in zip(self._waiting, results, strict=True):
            self._say(file, result)
        self._waiting.clear()

    def _say(self, file: File, result: CaptionResult) -> None:
        named = replace(result, warnings=tuple(map(file.named, result.warnings)))
        self._add(*captioned(file.place, named))


def _is_picture(path: Path) -> bool:
    """Whether a file that has been read is one picture, and no video."""
    image = as_picture(as_media(path))
    if isinstance(image, Image.Image):
        image.close()
    return image is not None
