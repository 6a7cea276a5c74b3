"""The features of videos and pictures as files that NumPy reads: `lrcn data extract`.

Shapes: T frames of a video, D feature size.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrcn.errors import ConfigError, MediaError
from lrcn.extraction import Part, batch_size_on, extract_all
from lrcn.features import VideoFeatures, content_hash
from lrcn.files import replacing, replacing_table
from lrcn.inference.loading import load
from lrcn.video.sources import expand_media, expand_sources
from lrcn.video.views import View

INDEX = "index.csv"
INDEX_COLUMNS = ("path", "features", "frames", "duration_s")


@dataclass(frozen=True)
class FeatureFilesReport:
    """What `extract_features` did."""

    index: Path
    """The table of the files: `path` of the video, `features` relative to the table, `frames` T, `duration_s`."""
    written: int
    kept: int
    """Files that were there already, of the same video, model and runtime."""
    failures: tuple[str, ...]
    """What could not be read, and why."""


def extract_features(
    model: str | Path,
    data: str | Path | Sequence[str | Path],
    *,
    output: str | Path,
    device: str = "auto",
    runtime: str | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FeatureFilesReport:
    """Write what a model's CNN sees of each sampled frame, for other programs to learn from.

    The features of `DATA/a/b.mp4` become `OUTPUT/a/b.mp4.npz`, which holds `features` `(T, D)` and `times_s` `(T,)`;
    `OUTPUT/index.csv` lists them. A file appears whole or not at all, and is kept by a later call unless its video, the
    model or the runtime has changed.

    Args:
        model: What `lrcn.load` takes.
        data: Videos, pictures, folders or globs; a folder of images is one video to a recognition model, and so many
            pictures to a captioning model.
        output: Folder of the files; made if missing.
        device: `auto` (the GPU if there is one), or a torch device.
        runtime: What runs the CNN, as for `lrcn.load`.
        workers: Files decoded at once; None for one a processor.
        on_progress: Called with the files done and the files in all.

    Raises:
        ConfigError: If the model reads ready vectors, or two files would become one.
        MediaError: If nothing that the data names is there.
        ModelFileError: If the model file cannot be used.
        MissingExtraError: If the runtime is not installed.
    """
    loaded = load(model, device=device, runtime=runtime)
    encoder, preprocess = loaded.runtime, loaded.header.preprocess
    if encoder is None or preprocess is None:
        raise ConfigError(f"{model} has no CNN: it reads ready vectors, not pictures")
    expand = expand_sources if loaded.header.task == "recognition" else expand_media
    sources = [data] if isinstance(data, str | Path) else list(data)
    output = Path(output)
    found, failures = [], []
    for source in sources:
        try:
            found.append((Path(source), expand([source])))
        except MediaError as exc:
            failures.append(str(exc))
    if not found:
        raise MediaError("; ".join(failures) or "no video, picture or folder is named")
    targets = _targets(found, output)
    files = _NumpyFiles(targets, [loaded.header.sha256, asdict(preprocess), encoder.name])
    report = extract_all(
        list(targets),
        Part,
        encoder.encode,
        preprocess,
        files,
        batch_size=batch_size_on(encoder.device),
        workers=workers,
        on_progress=None if on_progress is None else lambda done, kept: on_progress(done, len(targets)),
    )
    unread = {part.path for part in report.failures}
    index = output / INDEX
    with replacing_table(index) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(INDEX_COLUMNS)
        for path, target in targets.items():
            if path not in unread:
                with np.load(target) as saved:
                    frames, duration_s = len(saved["times_s"]), float(saved["duration_s"])
                table.writerow((path, target.relative_to(output).as_posix(), frames, duration_s))
    failures += map(str, report.failures.values())
    return FeatureFilesReport(index, report.encoded, report.kept, tuple(failures))


def _targets(found: Sequence[tuple[Path, Sequence[Path]]], output: Path) -> dict[Path, Path]:
    """Return the file of each video, which lies in the output as the video does in the folder that was named."""
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for source, paths in found:
        for path in paths:
            is_below = source.is_dir() and path != source
            name = path.relative_to(source) if is_below else Path(path.resolve().name)
            target = output / name.with_name(name.name + ".npz")
            other = taken.setdefault(target, path)
            if other != path:
                raise ConfigError(f"{other} and {path} would both become {target}; extract them into two folders")
            targets[path] = target
    return targets


class _NumpyFiles:
    """One `.npz` a video; a `FeatureStore`."""

    def __init__(self, targets: Mapping[Path, Path], made_by: Sequence[Any]) -> None:
        self._targets, self._made_by = targets, made_by

    def has(self, path: str | Path, views: Sequence[View], *, start_s: float, end_s: float | None) -> bool:
        try:
            with np.load(self._targets[Path(path)]) as saved:
                return str(saved["key"]) == self._key(path)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            return False  # not there, or of another program, or torn

    def put(
        self, path: str | Path, encoded: VideoFeatures, views: Sequence[View], *, start_s: float, end_s: float | None
    ) -> None:
        arrays: dict[str, Any] = {"times_s": encoded.times_s, "duration_s": encoded.duration_s, "key": self._key(path)}
        with replacing(self._targets[Path(path)]) as unfinished, unfinished.open("wb") as file:
            np.savez(file, features=encoded.features[0].numpy(), **arrays)

    def _key(self, path: str | Path) -> str:
        """Return a hash of all that decides what is in the file."""
        return hashlib.sha256(json.dumps([content_hash(path), *self._made_by]).encode()).hexdigest()
