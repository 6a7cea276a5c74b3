"""What a worker does: places in, rows out. Knows nothing of who asks."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pyarrow as pa

from lrcn.batch.looks import CaptionLook, File, Look, RecognitionLook
from lrcn.batch.places import Place
from lrcn.batch.tables import BOUTS, FEATURES, FORMAT, SEGMENTS, SOURCES, Tables
from lrcn.errors import ConfigError, LRCNError, MediaError, brief
from lrcn.extraction import batch_size_on, extract_all
from lrcn.features import Part, VideoFeatures
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.loading import load
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.video.isolation import isolated_decoding


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is wanted of every source."""

    model: str
    """What `lrcn.load` takes; a path is absolute, for workers have folders of their own."""
    runtime: str | None = None
    bouts: bool = False
    features: bool = False
    device: str = "cpu"
    threads: int | None = None
    """Files that a worker decodes at once; None for one a processor."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables that come of it."""
        return (SOURCES, SEGMENTS, *((BOUTS,) if self.bouts else ()), *((FEATURES,) if self.features else ()))

    def load(self) -> Recognizer | Captioner:
        """Return what looks at sources.

        Raises:
            LRCNError: If the model cannot be loaded, or does not do what is wanted.
        """
        predictor = load(self.model, device=self.device, runtime=self.runtime)
        if isinstance(predictor, Captioner):
            predictor.reader()  # refuses models that read no pictures
            if self.bouts:
                raise ConfigError(f"{self.model}: a model of captions knows no behaviours: leave --bouts out")
        return predictor

    def manifest(self) -> dict[str, Any]:
        """Return what the rows depend on, and what their numbers mean, in types of JSON.

        Raises:
            LRCNError: As `load`.
        """
        predictor = self.load()
        about = predictor.about
        return {
            "format": FORMAT,
            "task": predictor.task,
            "model": {"name": about["name"], "sha256": about["sha256"]},
            "runtime": self.runtime or "default",
            "tables": list(self.tables),
            "labels": [] if isinstance(predictor, Captioner) else list(predictor.labels),
        }


class UnitReader:
    """Looks at some sources at a time; frames of all of them fill the CNN's batches."""

    def __init__(self, work: Work) -> None:
        """Take what is wanted; the model is loaded at the first use."""
        self._work = work

    @cached_property
    def _predictor(self) -> Recognizer | Captioner:
        return self._work.load()

    def read(self, places: Sequence[Place], *, isolate: bool = False) -> Tables:
        """Return the rows of sources: of each one in the table `sources`, whatever comes of it.

        Args:
            places: Sources.
            isolate: Decode in processes of their own.

        Raises:
            LRCNError: If it is the fault of no source: the model cannot be loaded, the machine is full.
        """
        with isolated_decoding() if isolate else nullcontext():
            if len(places) > 1:
                try:
                    return self._together(places)
                except Exception as exc:  # whatever a library trips over: whose fault it is comes out one by one
                    _refuse_if_of_all(exc)
            parts = [self._alone(place) for place in places]
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: pa.concat_tables([part[name] for part in parts if name in part]) for name in names}

    def _together(self, places: Sequence[Place]) -> Tables:
        encoder, preprocess = self._predictor.runtime, self._predictor.header.preprocess
        assert encoder is not None  # `Work.load` has refused models without one
        assert preprocess is not None
        look = self._new_look()
        with _Files(look) as files:
            report = extract_all(
                places,
                files.part_of,
                encoder,
                preprocess,
                files,
                batch_size=batch_size_on(encoder.device),
                workers=self._work.threads,
            )
            for part, error in report.failures.items():
                look.fail(files.opened[part], str(error))
        return look.tables()

    def _alone(self, place: Place) -> Tables:
        """Look at a source as the predictor does: a long one fills the batches, and few of its frames are held."""
        try:
            if self._work.features:
                return self._together([place])
            look = self._new_look()
            with place.on_disk() as path:
                file = File(place, path)
                try:
                    look.look(file)
                except MediaError as exc:
                    look.fail(file, str(exc))
            return look.tables()
        except MediaError as exc:
            reason = str(exc)
        except Exception as exc:  # whatever a library trips over in this source: it costs its own row, no other
            _refuse_if_of_all(exc)
            reason = brief(f"{place.name}: {type(exc).__name__}: {exc}")
        look = self._new_look()
        look.fail(File(place, Path(place.path)), reason)
        return look.tables()

    def _new_look(self) -> Look:
        predictor, work = self._predictor, self._work
        if isinstance(predictor, Captioner):
            return CaptionLook(predictor, features=work.features)
        return RecognitionLook(predictor, bouts=work.bouts, features=work.features)


def _refuse_if_of_all(error: Exception) -> None:
    """Raise what would happen to every source alike."""
    if isinstance(error, LRCNError) and not isinstance(error, MediaError):
        raise error
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):  # the first one is torch's
        raise ConfigError("a worker ran out of memory: use fewer --workers, or another device") from error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        raise ConfigError(f"a worker has no space left in {gettempdir()}, where it keeps what it fetches") from error


class _Files:
    """The sources of a unit: fetched by the threads that decode them, looked at once they are encoded.

    A `FeatureStore`.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._copies: dict[Part, ExitStack] = {}
        self.opened: dict[Part, File] = {}

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for copy in self._copies.values():
            copy.close()

    def part_of(self, place: Place) -> Part:
        """Return what to decode of a source; `MediaError` if it is not to be had."""
        try:
            with ExitStack() as copy:
                path = copy.enter_context(place.on_disk())
                part = Part(path)
                self.opened[part] = File(place, path)
                self._copies[part] = copy.pop_all()
        except MediaError as exc:
            self._look.fail(File(place, Path(place.path)), str(exc))
            raise
        return part

    def has(self, part: Part) -> bool:
        """As `FeatureStore.has`: nothing is kept."""
        return False

    def put(self, part: Part, encoded: VideoFeatures) -> None:
        """Look at a source whose frames have been through the CNN."""
        self._look.look_at(self.opened[part], encoded)
        self._copies.pop(part).close()
