"""How recognisers of one and of two streams are called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, overload

from lrcn.bouts import Region
from lrcn.config import BoutSettings, RecognitionHeader
from lrcn.errors import ConfigError
from lrcn.inference.recognition.bouts import FoundBouts, bout_stride, default_settings
from lrcn.inference.recognition.windows import WindowProbs, to_result
from lrcn.inference.sources import OnFailure, each_source, refuse_for_several, telling
from lrcn.results import RecognitionResult
from lrcn.tasks import RECOGNITION
from lrcn.video.inputs import Source, name_of_source


class VideoRecognizer(ABC):
    """Says what happens in videos, and when. Call it with a video, or with a list of videos."""

    task: ClassVar[str] = RECOGNITION.name
    """Row of `lrcn.tasks`."""
    header: RecognitionHeader
    """What the model file says about itself; of two streams, that of the RGB model."""
    unknown_below: float
    """Least probability, in 0-1, of what counts as known; the model file's, until another is set."""

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Class names; the position is the label id."""

    @property
    @abstractmethod
    def about(self) -> dict[str, str]:
        """`name` and `sha256` of the model file and the `runtime` that runs it, as results name them."""

    @abstractmethod
    def window_probs(
        self,
        source: Source,
        *,
        clip_stride: int | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        timing_s: dict[str, float] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> WindowProbs:
        """Return the class probabilities of every window, from which a call makes its result.

        Arguments and errors are those of a call, of one source only; `timing_s` is filled with the seconds spent, by
        stage.
        """

    @overload
    def __call__(
        self,
        source: Source,
        *,
        top_k: int = ...,
        clip_stride: int | None = ...,
        start_s: float = ...,
        end_s: float | None = ...,
        roi: Region | None = ...,
        on_progress: Callable[[float], None] | None = ...,
    ) -> RecognitionResult: ...

    @overload
    def __call__(
        self, source: list[Source] | tuple[Source, ...], *, top_k: int = ..., clip_stride: int | None = ...
    ) -> list[RecognitionResult]: ...

    def __call__(
        self,
        source: Source | list[Source] | tuple[Source, ...],
        *,
        top_k: int = 5,
        clip_stride: int | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> RecognitionResult | list[RecognitionResult]:
        """Return what a video shows: the mean over its windows, and each window as a segment.

        Args:
            source: A video or picture, or a folder that is one image sequence: its path, its bytes, a file opened with
                mode `rb`, a PIL image; or RGB frames as an array `(T, H, W, 3)` or tensor `(T, 3, H, W)` of uint8,
                taken to have the rate that the model samples at. Of a model that reads ready vectors, a file of them or
                an array `(T, D)`. A list of these gives a list of results, as `stream` does.
            top_k: Labels to name, most probable first.
            clip_stride: Frames between the starts of neighbouring windows; None takes the model's own.
            start_s: Where to begin, from the start of the video; of one source only.
            end_s: Where to end, exclusive; None for the end of the video; of one source only.
            roi: Where in the picture to look: left, top, width and height in px; None for all of it; of one source
                only.
            on_progress: Called with the seconds of video done so far; of one source only.

        Raises:
            MediaError: If nothing of a video can be decoded, or `roi` does not lie in its picture.
            ConfigError: If `top_k` or `clip_stride` is out of range, or several sources are given what is for one.
        """
        if isinstance(source, list | tuple):
            refuse_for_several(start_s, end_s, on_progress)
            if roi is not None:
                raise ConfigError("roi is for one source: call with each by itself")
            return list(self.stream(source, top_k=top_k, clip_stride=clip_stride))
        check_top_k(top_k)
        timing_s: dict[str, float] = {}
        probs = self.window_probs(
            source,
            clip_stride=clip_stride,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            timing_s=timing_s,
            on_progress=on_progress,
        )
        return self.as_result(probs, source, top_k=top_k, timing_s=timing_s)

    def as_result(
        self, probs: WindowProbs, source: Source, *, top_k: int = 5, timing_s: dict[str, float] | None = None
    ) -> RecognitionResult:
        """Return what a call makes of the windows of a source.

        Args:
            probs: From `window_probs`.
            source: What they are of.
            top_k: As for a call.
            timing_s: Seconds spent, by stage.
        """
        return to_result(
            probs,
            source=name_of_source(source),
            labels=self.labels,
            top_k=top_k,
            model=self.about,
            timing_s=timing_s or {},
            unknown_below=self.unknown_below,
        )

    def find_bouts(
        self,
        source: Source,
        *,
        settings: BoutSettings | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        timing_s: dict[str, float] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> FoundBouts:
        """Return what a recording shows from when to when: bouts in place of windows.

        Examples:
            >>> from importlib.resources import files
            >>> from lrcn import Recognizer
            >>> found = Recognizer.load("demo", device="cpu").find_bouts(str(files("lrcn") / "assets" / "walking.mp4"))
            >>> [(bout.label, bout.start_s, round(bout.end_s, 1)) for bout in found.bouts]
            [('walk', 0.0, 4.2)]

        Args:
            source: As for a call, but one only.
            settings: Thresholds and times; None takes those of the model file, or, where it has none, what follows
                from the length of its clips.
            start_s: As for a call.
            end_s: As for a call.
            roi: As for a call.
            timing_s: As for `window_probs`.
            on_progress: As for a call.

        Raises:
            MediaError: If nothing of the video can be decoded.
            ConfigError: If the settings are not for as many classes as the model has.
        """
        windows = self.window_probs(
            source,
            clip_stride=bout_stride(self.header.preprocess),
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            timing_s=timing_s,
            on_progress=on_progress,
        )
        return self.bouts_in(windows, settings)

    def bouts_in(self, windows: WindowProbs, settings: BoutSettings | None = None) -> FoundBouts:
        """Return the bouts of a recording whose windows, one every `bout_stride` frames, are known already.

        Raises:
            ConfigError: If the settings are not for as many classes as the model has.
        """
        settings = settings or default_settings(self.header, self.unknown_below)
        if len(settings.thresholds) != len(self.labels):
            raise ConfigError(
                f"settings of bouts for {len(settings.thresholds)} classes, and the model has {len(self.labels)}"
            )
        return FoundBouts(windows, settings, self.labels, exclusive=not self.header.model.multi_label)

    def stream(
        self,
        sources: Source | Iterable[Source],
        *,
        top_k: int = 5,
        clip_stride: int | None = None,
        on_failure: OnFailure | None = None,
    ) -> Iterator[RecognitionResult]:
        """Yield one result a video, as each is done.

        Args:
            sources: Files, folders (searched for videos and image sequences), globs, and what else a call takes.
            top_k: As for a call.
            clip_stride: As for a call.
            on_failure: Told what names nothing or cannot be decoded, which then has no result; None raises.

        Raises:
            MediaError: At a source that names nothing or cannot be decoded, unless `on_failure` is given.
            ConfigError: As for a call.
        """
        vectors = self.header.preprocess.vectors is not None
        for source in each_source(sources, vectors=vectors, on_failure=on_failure):
            with telling(on_failure, source):
                yield self(source, top_k=top_k, clip_stride=clip_stride)


def check_top_k(top_k: int) -> None:
    """Make sure that there is a label to name.

    Raises:
        ConfigError: If not.
    """
    if top_k < 1:
        raise ConfigError(f"top_k must be at least 1, got {top_k}")
