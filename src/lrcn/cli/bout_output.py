"""What `lrcn recognize --bouts` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.annotations.formats import FORMATS, write_annotations
from lrcn.bouts import BACKGROUND, Annotations, Recording, Region
from lrcn.cli.bout_flags import BoutFlags
from lrcn.files import name_for
from lrcn.inference.recognition.bouts import FoundBouts, bout_stride, default_settings, own_windows, with_overrides
from lrcn.inference.recognition.kept_windows import KeptWindows
from lrcn.inference.recognition.review import Doubtful, doubtful_bouts, most_doubtful, write_clips
from lrcn.metrics.time_budget import time_budget
from lrcn.plots.charts import save_bouts
from lrcn.results import UNKNOWN
from lrcn.writers import write_table

if TYPE_CHECKING:
    from lrcn.inference.recognition.calling import VideoRecognizer
    from lrcn.results import RecognitionResult

ALL_BOUTS, TIME_BUDGET = "bouts.csv", "time_budget.csv"


class BoutOutput:
    """Finds bouts in one recording after the other, and writes them; what of all are in one file, at the end."""

    def __init__(
        self,
        recognizer: VideoRecognizer,
        flags: BoutFlags,
        *,
        crops: int,
        rgb_weight: float | None,
        roi: Region | None,
    ) -> None:
        """Write what a recognizer finds in a region; `crops` and `rgb_weight` are what else its windows depend on."""
        assert flags.bouts is not None
        self._recognizer = recognizer
        self._flags = flags
        self._roi = roi
        self._folder = flags.bouts
        self._labels = tuple(label for label in recognizer.labels if label not in (BACKGROUND, UNKNOWN))
        self._stride = bout_stride(recognizer.header.preprocess)
        made_by = {"model": recognizer.about, "stride": self._stride, "crops": crops, "rgb_weight": rgb_weight}
        if roi is not None:
            made_by["roi"] = list(roi)
        self._kept = KeptWindows(self._folder / "windows", made_by)
        self._settings = with_overrides(
            default_settings(recognizer.header, recognizer.unknown_below),
            threshold=flags.threshold,
            smooth_s=flags.smooth,
            shortest_s=flags.shortest,
            longest_gap_s=flags.longest_gap,
        )
        self._taken = {ALL_BOUTS, TIME_BUDGET}
        self._recordings: list[Recording] = []
        self._doubtful: list[Doubtful] = []
        self.num_kept = 0
        """Recordings that were looked at before."""

    def find(self, path: Path, *, top_k: int, on_progress: Callable[[float], None]) -> RecognitionResult:
        """Return what a recording shows, with its bouts, once they are written.

        Raises:
            MediaError: If nothing of it can be decoded.
            OSError: If something cannot be written.
        """
        timing_s: dict[str, float] = {}
        windows = self._kept.get(path)
        self.num_kept += windows is not None
        if windows is None:
            windows = self._recognizer.window_probs(
                path, clip_stride=self._stride, roi=self._roi, timing_s=timing_s, on_progress=on_progress
            )
            self._kept.put(path, windows)
        found = self._recognizer.bouts_in(windows, self._settings)
        self._write(path, found)
        own = own_windows(windows, self._recognizer.header.preprocess)
        return replace(self._recognizer.as_result(own, path, top_k=top_k, timing_s=timing_s), bouts=found.bouts)

    def _write(self, path: Path, found: FoundBouts) -> None:
        target = self._folder / name_for(path, FORMATS[self._flags.format].suffix, self._taken)
        length_s = float(found.borders_s[-1])
        recording = Recording(
            path.name, path, found.bouts, looked_at=((0.0, length_s),), duration_s=length_s, roi=self._roi
        )
        write_annotations(self._annotations([recording]), target, format=self._flags.format)
        if self._flags.plots:
            chart = self._folder / "plots" / f"{target.stem}.png"
            save_bouts(found.bouts, found.probs, found.borders_s, found.labels, chart, title=path.name)
        if self._flags.review:
            self._doubtful = most_doubtful([*self._doubtful, *doubtful_bouts(path, found)], self._flags.review)
        self._recordings.append(recording)

    def finish(self, *, on_progress: Callable[[int, int], None]) -> Iterator[tuple[str, Path]]:
        """Write what is of all recordings, and yield what was written where.

        Args:
            on_progress: Told how many clips to review are cut, and of how many.

        Raises:
            MediaError: If a clip to review cannot be cut.
            OSError: If something cannot be written.
        """
        write_annotations(self._annotations(self._recordings), self._folder / ALL_BOUTS, format="bouts-csv")
        yield "bouts", self._folder / ALL_BOUTS
        write_table(time_budget(self._recordings, self._labels), self._folder / TIME_BUDGET)
        yield "time budget", self._folder / TIME_BUDGET
        if self._doubtful:
            folder = self._folder / "review"
            clips = write_clips(
                self._doubtful, folder, roi=self._roi, on_progress=lambda done: on_progress(done, len(self._doubtful))
            )
            format = FORMATS[self._flags.format]
            path = folder if format.a_file_each else folder / f"review{format.suffix}"
            write_annotations(replace(clips, labels=self._labels), path, format=self._flags.format)
            yield f"{len(self._doubtful)} least certain bouts", path

    def _annotations(self, recordings: Sequence[Recording]) -> Annotations:
        num_bouts = sum(len(recording.bouts) for recording in recordings)
        return Annotations(self._recognizer.about["name"], tuple(recordings), self._labels, num_events=num_bouts)
