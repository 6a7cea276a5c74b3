"""The features of videos and pictures as files that NumPy reads: `lrcn data extract`.

Shapes: T frames of a video, D feature size.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrcn.errors import ConfigError, MediaError
from lrcn.extraction import batch_size_on, extract_all
from lrcn.features import Part, VideoFeatures, content_hash
from lrcn.files import replacing, replacing_table
from lrcn.inference.loading import load
from lrcn.tasks import TASKS
from lrcn.video.sources import expand_sources

INDEX = "index.csv"
INDEX_COLUMNS = ("path", "features", "frames", "duration_s")
_ENTRIES = {"features", "times_s", "duration_s", "key"}
"""Arrays of a file."""


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
    `OUTPUT/index.csv` lists them, beside those of earlier calls. A file appears whole or not at all, and is kept by a
    later call unless its video, the model or the runtime has changed.

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
        ConfigError: If the model reads ready vectors, two files would become one, or a file of another program would be
            overwritten.
        MediaError: If nothing that the data names is there.
        ModelFileError: If the model file cannot be used.
        MissingExtraError: If the runtime is not installed.
    """
    loaded = load(model, device=device, runtime=runtime)
    encoder, preprocess = loaded.runtime, loaded.header.preprocess
    if encoder is None or preprocess is None:
        raise ConfigError(f"{model} has no CNN: it reads ready vectors, not pictures")
    pictures = TASKS[loaded.header.task].takes_pictures
    sources = [data] if isinstance(data, str | Path) else list(data)
    output = Path(output)
    found, failures = [], []
    for source in sources:
        try:
            found.append((Path(source), expand_sources([source], pictures=pictures)))
        except MediaError as exc:
            failures.append(str(exc))
    if not found:
        raise MediaError("; ".join(failures) or "no video, picture or folder is named")
    targets = _targets(found, output)
    _check_free(output, targets.values())
    files = _NumpyFiles(targets, [loaded.header.sha256, asdict(preprocess), encoder.name])
    report = extract_all(
        list(targets),
        Part,
        encoder,
        preprocess,
        files,
        batch_size=batch_size_on(encoder.device),
        workers=workers,
        on_progress=None if on_progress is None else lambda done, kept: on_progress(done, len(targets)),
    )
    unread = {part.path for part in report.failures}
    index = output / INDEX
    rows = {}
    for path, target in targets.items():
        if path not in unread:
            with np.load(target) as saved:
                frames, duration_s = len(saved["times_s"]), float(saved["duration_s"])
            name = target.relative_to(output).as_posix()
            rows[name] = (str(path), name, str(frames), str(duration_s))
    _add_to_index(index, rows, {targets[path].relative_to(output).as_posix() for path in unread})
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
                raise ConfigError(
                    f"two videos would both become {target.name}: {other} and {path}; extract them into two folders"
                )
            targets[path] = target
    return targets


def _check_free(output: Path, targets: Iterable[Path]) -> None:
    """Make sure that nothing is overwritten but what an earlier run wrote."""
    index = output / INDEX
    listed = _index_rows(index) if index.exists() else {}
    if listed is None:
        raise ConfigError(f"{index}: is there and is no table of features; move it, or name another folder")
    for target in targets:
        is_ours = target.relative_to(output).as_posix() in listed  # if damaged, it is made anew
        if target.exists() and not is_ours and _key_of(target) is None:
            raise ConfigError(f"{target}: is there and holds no features of lrcn; move it, or name another folder")


def _index_rows(index: Path) -> dict[str, tuple[str, ...]] | None:
    """Return the rows of an index by the name of their file of features; None if it is another table."""
    with index.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            header, *rows = [tuple(row) for row in csv.reader(file)]
        except (ValueError, csv.Error):  # empty, or no table
            return None
    return {row[1]: row for row in rows if len(row) == len(INDEX_COLUMNS)} if header == INDEX_COLUMNS else None


def _add_to_index(index: Path, rows: Mapping[str, tuple[str, ...]], unread: Collection[str]) -> None:
    """Write the index with the rows of this run, and those of earlier runs that it neither replaces nor failed at."""
    before = (_index_rows(index) if index.exists() else None) or {}
    replaced = {*rows, *unread}
    kept = {name: row for name, row in before.items() if name not in replaced and (index.parent / name).is_file()}
    with replacing_table(index) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(INDEX_COLUMNS)
        table.writerows([*kept.values(), *rows.values()])


def _key_of(path: Path) -> str | None:
    """Return what a file of features was made of; None if it is not there, of another program, or damaged."""
    try:
        with np.load(path) as saved:
            return str(saved["key"]) if set(saved.files) == _ENTRIES else None
    except (OSError, ValueError, TypeError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):
        return None


class _NumpyFiles:
    """One `.npz` a video; a `FeatureStore`."""

    def __init__(self, targets: Mapping[Path, Path], made_by: Sequence[Any]) -> None:
        self._targets, self._made_by = targets, made_by

    def has(self, part: Part) -> bool:
        return _key_of(self._targets[part.path]) == self._key(part.path)

    def put(self, part: Part, encoded: VideoFeatures) -> None:
        arrays: dict[str, Any] = {
            "times_s": encoded.times_s,
            "duration_s": encoded.duration_s,
            "key": self._key(part.path),
        }
        with replacing(self._targets[part.path]) as unfinished, unfinished.open("wb") as file:
            np.savez(file, features=encoded.features[0].numpy(), **arrays)

    def _key(self, path: Path) -> str:
        """Return a hash of all that decides what is in the file."""
        return hashlib.sha256(json.dumps([content_hash(path), *self._made_by]).encode()).hexdigest()
