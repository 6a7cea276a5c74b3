"""What `lrcn recognize --bouts` writes."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrcn.annotations.formats import FORMATS, write_annotations
from lrcn.annotations.losses import losses
from lrcn.annotations.track_files import read_tracks, track_file
from lrcn.bouts import BACKGROUND, Annotations, Recording, Region, union
from lrcn.cli.bout_flags import BoutFlags
from lrcn.cli.exits import UsageError
from lrcn.errors import DataError, MediaError
from lrcn.files import name_for
from lrcn.inference.recognition.bouts import FoundBouts, bout_stride, default_settings, own_windows, with_overrides
from lrcn.inference.recognition.kept_windows import KeptWindows
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.review import Doubtful, doubtful_bouts, most_doubtful, write_clips
from lrcn.inference.recognition.tracked import track_probs
from lrcn.inference.recognition.windows import is_known, rank_labels
from lrcn.metrics.time_budget import time_budget
from lrcn.plots.charts import save_bouts
from lrcn.results import UNKNOWN
from lrcn.video.read import probe
from lrcn.writers import write_table

if TYPE_CHECKING:
    from lrcn.inference.recognition.calling import VideoRecognizer
    from lrcn.inference.recognition.windows import WindowProbs
    from lrcn.results import RecognitionResult

ALL_BOUTS, TIME_BUDGET, WINDOWS = "bouts.csv", "time_budget.csv", "windows"


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
        self._made_by: dict[str, Any] = {
            "model": recognizer.about,
            "stride": self._stride,
            "crops": crops,
            "rgb_weight": rgb_weight,
        }
        if roi is not None:
            self._made_by["roi"] = list(roi)
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

    def check(self, paths: Sequence[Path]) -> None:
        """Make sure that no annotations of somebody's own are overwritten: of folders without windows of a run.

        Raises:
            UsageError: If a file to be written is there already.
        """
        if (self._folder / WINDOWS).is_dir():
            return
        taken = set(self._taken)
        suffix = FORMATS[self._flags.format].suffix
        for name in (ALL_BOUTS, TIME_BUDGET, *(name_for(path, suffix, taken) for path in paths)):
            if (self._folder / name).exists():
                raise UsageError(
                    f"--bouts {self._folder}: {name} is there, from no earlier run, and would be overwritten; name "
                    "another folder"
                )

    def others(self) -> list[str]:
        """Return the names of annotation files in the folder that are of no recording of this run."""
        suffixes = {format.suffix for format in FORMATS.values() if format.write is not None}
        files = (file for file in self._folder.iterdir() if file.is_file() and file.suffix in suffixes)
        return sorted(file.name for file in files if file.name.casefold() not in self._taken)

    def lost(self) -> tuple[str, ...]:
        """Return a line for each kind of thing that the annotation files have no place for; `bouts.csv` has it."""
        loses = FORMATS[self._flags.format].loses
        lines = losses(self._annotations(self._recordings), loses, self._flags.format)
        return tuple(f"{line}; {ALL_BOUTS} has all" for line in lines)

    def find(self, path: Path, *, top_k: int, on_progress: Callable[[float], None]) -> RecognitionResult:
        """Return what a recording shows, with its bouts, once they are written.

        Raises:
            MediaError: If nothing of it can be decoded.
            OSError: If something cannot be written.
        """
        timing_s: dict[str, float] = {}
        tracks = None if self._flags.tracks is None else track_file(self._flags.tracks, path)
        kept = KeptWindows(self._folder / WINDOWS, {**self._made_by, **self._tracked(tracks)})
        windows = kept.get(path)
        self.num_kept += windows is not None
        if windows is None:
            windows = list(self._look(path, tracks, timing_s, on_progress))
            kept.put(path, windows)
        found = [self._recognizer.bouts_in(one, self._settings) for one in windows]
        recording = self._write(path, found)
        own = [own_windows(one, self._recognizer.header.preprocess) for one in windows]
        result = self._recognizer.as_result(own[0], path, top_k=top_k, timing_s=timing_s)
        if tracks is not None:
            labels, probs = self._recognizer.labels, np.concatenate([one.probs for one in own]).mean(axis=0)
            result = replace(
                result,
                duration_s=recording.duration_s or 0.0,
                top=rank_labels(probs, labels, top_k),
                segments=(),  # they would lie over one another
                probs=tuple(probs.tolist()),
                known=is_known(probs, labels, self._recognizer.unknown_below),
            )
        return replace(result, bouts=recording.bouts)

    def _tracked(self, tracks: Path | None) -> dict[str, str | int | None]:
        """Return what else windows depend on where tracks are followed."""
        if tracks is None:
            return {}
        return {"tracks": hashlib.sha256(tracks.read_bytes()).hexdigest(), "track_size": self._flags.track_size}

    def _look(
        self, path: Path, tracks: Path | None, timing_s: dict[str, float], on_progress: Callable[[float], None]
    ) -> Iterable[WindowProbs]:
        if tracks is None:
            yield self._recognizer.window_probs(
                path, clip_stride=self._stride, roi=self._roi, timing_s=timing_s, on_progress=on_progress
            )
            return
        assert isinstance(self._recognizer, Recognizer)  # of two streams it was refused
        try:
            places = read_tracks(tracks)
        except DataError as exc:
            raise MediaError(str(exc)) from exc
        began = time.perf_counter()
        yield from track_probs(
            self._recognizer,
            path,
            places,
            side=self._flags.track_size,
            clip_stride=self._stride,
            on_progress=on_progress,
        )
        timing_s["total"] = time.perf_counter() - began

    def _write(self, path: Path, found: Sequence[FoundBouts]) -> Recording:
        target = self._folder / name_for(path, FORMATS[self._flags.format].suffix, self._taken)
        bouts = sorted((bout for one in found for bout in one.bouts), key=lambda bout: (bout.start_s, bout.end_s))
        looked_at = union((float(one.borders_s[0]), float(one.borders_s[-1])) for one in found)
        length_s = looked_at[-1][1] if self._flags.tracks is None else probe(path).duration_s
        recording = Recording(
            path.name, path, tuple(bouts), looked_at=tuple(looked_at), duration_s=length_s, roi=self._roi
        ).watching(one.windows.subject for one in found)
        write_annotations(self._annotations([recording]), target, format=self._flags.format)
        if self._flags.plots:
            self._plot(path, target.stem, found)
        if self._flags.review:
            doubtful = [bout for one in found for bout in doubtful_bouts(path, one)]
            self._doubtful = most_doubtful([*self._doubtful, *doubtful], self._flags.review)
        self._recordings.append(recording)
        return recording

    def _plot(self, path: Path, stem: str, found: Sequence[FoundBouts]) -> None:
        """Draw the bouts of each subject."""
        taken: set[str] = set()
        for subject in dict.fromkeys(one.windows.subject for one in found):
            own = [one for one in found if one.windows.subject == subject]
            between = np.full((1, len(own[0].labels)), np.nan, np.float32)
            probs = np.concatenate([rows for one in own for rows in (one.probs, between)])[:-1]
            borders_s = np.concatenate([one.borders_s for one in own])
            bouts = [bout for one in own for bout in one.bouts]
            name = re.sub(r"[^\w.-]", "_", f"{stem}-{subject}") if subject else stem
            chart = self._folder / "plots" / name_for(Path(f"{name}.png"), ".png", taken)
            title = f"{path.name}: {subject}" if subject else path.name
            save_bouts(bouts, probs, borders_s, own[0].labels, chart, title=title)

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
