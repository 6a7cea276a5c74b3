"""Write formats that are a file a recording: one file, or a folder of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lrcn.bouts import Annotations, Recording
from lrcn.errors import ConfigError
from lrcn.files import name_for, replacing


def write_one_a_recording(
    annotations: Annotations, path: Path, suffix: str, text_of: Callable[[Recording, Path], str]
) -> None:
    """Write a file for each recording.

    Args:
        annotations: What is written.
        path: A file with the suffix, for one recording; any other is a folder, and files are called like videos.
        suffix: Of the files.
        text_of: Makes a file's text of a recording and the file's folder.

    Raises:
        ConfigError: If a file would have to hold several recordings.
        OSError: If a file cannot be written.
    """
    is_file = path.suffix.lower() == suffix
    if is_file and len(annotations.recordings) > 1:
        raise ConfigError(
            f"{path}: a {suffix} file holds one recording, and there are {len(annotations.recordings)}; name a folder, "
            "and the format"
        )
    taken: set[str] = set()
    for recording in annotations.recordings:
        name = name_for(recording.path or Path(recording.name.replace("/", "_")), suffix, taken)
        with replacing(path if is_file else path / name) as part:
            part.write_text(text_of(recording, path.parent if is_file else path), encoding="utf-8", newline="")
