"""Describe pictures and videos: a model file and a picture in, sentences out.

A picture is a video of one frame. The search for captions runs over pictures and beams together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, overload

import torch
from torch import Tensor

from lrcn import model_file
from lrcn.config import CaptioningHeader
from lrcn.devices import choose_device
from lrcn.encoding import FrameEncoder
from lrcn.errors import ConfigError
from lrcn.features import TorchEncoder
from lrcn.files import cache_folder
from lrcn.graphs.exported import is_exported, read_exported
from lrcn.graphs.sessions import GraphEncoder, choose_engine
from lrcn.inference.captioning.graph_runtime import GraphCaptionDecoder
from lrcn.inference.captioning.opening import open_caption_runtime
from lrcn.inference.captioning.reading import Excerpt, ReadSource, SourceReader
from lrcn.inference.captioning.search import search_captions
from lrcn.inference.captioning.search_settings import CaptionSearch, search_of
from lrcn.inference.sources import OnFailure, each_source, refuse_for_several
from lrcn.model_file.storage import name_of_model
from lrcn.models.caption_decoder import CaptionDecoder, TorchCaptionDecoder
from lrcn.models.captioning import CaptioningModel
from lrcn.results import Caption, CaptionResult, CaptionSegment
from lrcn.tasks import CAPTIONING
from lrcn.text import Vocabulary
from lrcn.video.inputs import Source, name_of_source

SEGMENT_S = 10.0
"""Length of the parts that long videos are captioned in."""

_SILENT = "the model's most probable sentence is the empty one; models of few pictures or epochs do that"


class Captioner:
    """Says what pictures and videos show, in sentences. Call it with a picture or a video, or with a list."""

    task: ClassVar[str] = CAPTIONING.name
    """Row of `lrcn.tasks`."""

    def __init__(
        self,
        header: CaptioningHeader,
        model: CaptioningModel | CaptionDecoder,
        *,
        runtime: FrameEncoder | None = None,
        name: str = "",
        device: str | torch.device = "cpu",
        batch_size: int = 64,
    ) -> None:
        """Take a loaded model; `Captioner.load` is the short way.

        Args:
            header: What its file says about it: words, pixels.
            model: The network, which is moved to the device; or what runs an exported one without its backbone.
            runtime: What runs the backbone; None for torch in fp32.
            name: Goes into the results.
            device: Where it runs.
            batch_size: Frames or pictures that go through the CNN at once; lower it if memory runs out.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        self.header = header
        self.name = name
        self.vocabulary = Vocabulary(header.vocabulary)
        """The words that it knows."""
        self.device = torch.device(device)
        self.model: CaptioningModel | None = None
        """The network; None where an exported one runs."""
        if isinstance(model, CaptioningModel):
            self.model = model.to(self.device).eval()
            if runtime is None and model.backbone is not None and header.preprocess is not None:
                runtime = TorchEncoder(model.backbone, header.preprocess, device=self.device)
            model = TorchCaptionDecoder(self.model)
        self.runtime = runtime
        """What runs the backbone; None in models that read ready vectors."""
        self._decoder: CaptionDecoder = model
        self._batch_size = batch_size

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "auto",
        runtime: str | None = None,
        batch_size: int = 64,
        cache_dir: Path | None = None,
    ) -> Self:
        """Return a captioner ready to be called; arguments and errors as for `lrcn.load`.

        Of a model file the runtime runs the CNN; torch reads the features.

        Examples:
            >>> Captioner.load("emoji", device="cpu")
            <Captioner emoji: 460 words on cpu>

        Raises:
            TaskMismatchError: If the model was made for another task.
        """
        if is_exported(model):
            exported = read_exported(model, task=cls.task)
            assert isinstance(exported.header, CaptioningHeader)
            engine, bf16 = choose_engine(exported, runtime, device)
            has_backbone = exported.header.preprocess is not None
            encoder = GraphEncoder(exported, engine=engine, bf16=bf16) if has_backbone else None
            decoder = GraphCaptionDecoder(exported, engine=engine)
            return cls(exported.header, decoder, runtime=encoder, name=name_of_model(model), batch_size=batch_size)
        target = choose_device(device)
        header, network = model_file.load(model, task=CAPTIONING, device=target)
        trained = header.provenance.get("config")
        if isinstance(trained, dict) and trained.get("objective") == "sentences":
            raise ConfigError(
                f"{model}: a language model, which has looked at no picture; train on captions with --init-from {model}"
            )
        cnn: FrameEncoder | None = None
        if runtime is not None:
            kept = cache_folder("runtimes", cache_dir)
            cnn = open_caption_runtime(runtime, header, network, device=str(target), cache_dir=kept)
        return cls(header, network, runtime=cnn, name=name_of_model(model), device=target, batch_size=batch_size)

    def __repr__(self) -> str:
        return f"<Captioner {self.name or 'unnamed'}: {len(self.vocabulary.words)} words on {self.device}>"

    @property
    def about(self) -> dict[str, str]:
        """`name` and `sha256` of the model file, as results name them."""
        return {"name": self.name, "sha256": self.header.sha256}

    @overload
    def __call__(
        self,
        source: Source,
        *,
        segment_s: float | None = ...,
        start_s: float = ...,
        end_s: float | None = ...,
        on_progress: Callable[[float], None] | None = ...,
        search: CaptionSearch | None = ...,
        **changes: Any,
    ) -> CaptionResult: ...

    @overload
    def __call__(
        self,
        source: list[Source] | tuple[Source, ...],
        *,
        segment_s: float | None = ...,
        search: CaptionSearch | None = ...,
        **changes: Any,
    ) -> list[CaptionResult]: ...

    def __call__(
        self,
        source: Source | list[Source] | tuple[Source, ...],
        *,
        segment_s: float | None = SEGMENT_S,
        start_s: float = 0.0,
        end_s: float | None = None,
        on_progress: Callable[[float], None] | None = None,
        search: CaptionSearch | None = None,
        **changes: Any,
    ) -> CaptionResult | list[CaptionResult]:
        """Return what a picture or a video shows.

        Args:
            source: A picture (turned upright as its EXIF says), a video, a folder that is one image sequence: its path,
                its bytes, a file opened with mode `rb`, a PIL image; or RGB frames as an array `(T, H, W, 3)` or tensor
                `(T, 3, H, W)` of uint8, or one picture without the T. A list of these gives a list of results.
            segment_s: Videos longer than this get a caption for each such part, too; None for none.
            start_s: Where to begin, from the start of the video; of one source only.
            end_s: Where to end, exclusive; None for the end of the video; of one source only.
            on_progress: Called with the seconds of video done so far; of one source only.
            search: How captions are searched for; None for the defaults.
            changes: Fields of `CaptionSearch` that differ from it: `beam_size=1`, `num_captions=3`, ...

        Raises:
            MediaError: If nothing of a source can be decoded.
            ConfigError: If an option is out of range, several sources are given what is for one, or the model reads
                ready vectors and no pictures.
        """
        if isinstance(source, list | tuple):
            refuse_for_several(start_s, end_s, on_progress)
            return list(self.stream(source, segment_s=segment_s, search=search, **changes))
        settings = search_of(search, changes)
        read = self.reader().read_one(Excerpt(source, start_s, end_s), segment_s, on_progress)
        return self.results_of([read], settings)[0]

    def stream(
        self,
        sources: Source | Iterable[Source],
        *,
        segment_s: float | None = SEGMENT_S,
        on_failure: OnFailure | None = None,
        on_progress: Callable[[Source, float], None] | None = None,
        search: CaptionSearch | None = None,
        **changes: Any,
    ) -> Iterator[CaptionResult]:
        """Yield one result a source, in order; pictures are captioned together, `batch_size` at a time.

        Args:
            sources: Files, folders (searched for pictures and videos), globs, arrays of frames.
            segment_s: As for a call.
            on_failure: Told what names nothing or cannot be read, which then has no result; None raises.
            on_progress: Called with a video and the seconds of it done so far.
            search: As for a call.
            changes: As for a call.

        Raises:
            MediaError: At a source that names nothing or cannot be read, unless `on_failure` is given.
            ConfigError: As for a call.
        """
        settings = search_of(search, changes)
        waiting: list[ReadSource] = []
        excerpts = map(Excerpt, each_source(sources, pictures=True, on_failure=on_failure))
        found = self.reader().read(excerpts, segment_s=segment_s, on_failure=on_failure, on_progress=on_progress)
        for _, read in found:
            waiting.append(read)
            if len(waiting) == self._batch_size or read.duration_s:
                yield from self.results_of(waiting, settings)
                waiting = []
        yield from self.results_of(waiting, settings)

    def contexts(self, features: Sequence[Tensor]) -> Tensor:
        """Return the context vectors `(N, E)` of N pictures or videos from their features, each `(T, D)`."""
        size = self._batch_size
        with torch.inference_mode():
            parts = [self._decoder.contexts(features[start : start + size]) for start in range(0, len(features), size)]
        return torch.cat(parts)

    def caption_contexts(self, contexts: Tensor, search: CaptionSearch) -> list[tuple[Caption, ...]]:
        """Return the captions of each context vector `(N, E)`, best first."""
        return search_captions(self._decoder, contexts, self.vocabulary, search)

    def read_features(
        self, excerpts: Iterable[Excerpt], *, on_failure: OnFailure | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the place of each among the excerpts, and the features `(T, D)` of its frames, at most `MAX_FRAMES`.

        Raises:
            MediaError: At a source that cannot be read, unless `on_failure` is given.
        """
        for place, read in self.reader().read(excerpts, on_failure=on_failure):
            yield place, read.features

    def results_of(self, reads: Sequence[ReadSource], search: CaptionSearch) -> list[CaptionResult]:
        """Return what pictures and videos show that have been read; the search runs over them together."""
        if not reads:
            return []
        began = time.perf_counter()
        contexts = [self.contexts([read.features for read in reads])]
        contexts += [context[None] for read in reads for _, _, context in read.segments]
        captions = iter(self.caption_contexts(torch.cat(contexts), search))
        wholes = [next(captions) for _ in reads]
        share_s = (time.perf_counter() - began) / len(reads)
        results = []
        for read, whole in zip(reads, wholes, strict=True):
            segments = tuple(CaptionSegment(start_s, end_s, next(captions)) for start_s, end_s, _ in read.segments)
            name = name_of_source(read.source)
            silent = not all(captions[0].text for captions in (whole, *(segment.captions for segment in segments)))
            results.append(
                CaptionResult(
                    source=name,
                    duration_s=read.duration_s,
                    captions=whole,
                    segments=segments,
                    warnings=(*read.warnings, f"{name}: {_SILENT}") if silent else read.warnings,
                    model=self.about,
                    timing_s={"features": read.seconds, "captions": share_s, "total": read.seconds + share_s},
                )
            )
        return results

    def reader(self) -> SourceReader:
        """Return what reads sources with the backbone.

        Raises:
            ConfigError: If the model has none: it reads ready vectors.
        """
        if self.runtime is None or self.header.preprocess is None:
            size = self.header.model.vector_size
            raise ConfigError(
                f"{self.name or 'this model'} reads ready vectors of {size} values, not pictures; "
                "evaluate it on its vectors, or train a model with a backbone"
            )
        return SourceReader(
            self.runtime, self.header.preprocess, lambda features: self.contexts([features])[0], self._batch_size
        )
