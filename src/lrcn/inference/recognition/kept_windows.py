"""Windows of recordings in a folder: a run that was stopped goes on, and other thresholds cost no second look."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lrcn.files import replacing
from lrcn.inference.recognition.windows import WindowProbs

_KEPT = 40
"""Letters of a recording's name that its file keeps."""


class KeptWindows:
    """One file a recording; it counts only for the same recording, unchanged since, and the same model.

    Ten hours, sampled ten times a second, take 2.1 MB a class.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, Any]) -> None:
        """Keep windows in a folder.

        Args:
            folder: Where; it is made when the first are put.
            made_by: What else must be the same, in types of JSON: model, runtime, crops, stride.
        """
        self._folder = folder
        self._made_by = dict(made_by)

    def get(self, path: Path) -> WindowProbs | None:
        """Return the windows of a recording; None where there are none, or none that fit."""
        try:
            with np.load(self._file(path), allow_pickle=False) as kept:
                about = json.loads(str(kept["about"]))
                if about["key"] != self._key(path):
                    return None
                windows = tuple(map(tuple, kept["windows"].tolist()))
                return WindowProbs(
                    windows, kept["probs"], kept["times_s"], about["duration_s"], tuple(about["warnings"])
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # none yet, or damaged: it is made anew

    def put(self, path: Path, windows: WindowProbs) -> None:
        """Keep the windows of a recording, whole or not at all.

        Raises:
            OSError: If the file cannot be written.
        """
        about = {"key": self._key(path), "duration_s": windows.duration_s, "warnings": list(windows.warnings)}
        with replacing(self._file(path)) as unfinished, unfinished.open("wb") as file:
            np.savez(
                file,
                windows=np.array(windows.windows, dtype=np.int64),
                probs=windows.probs,
                times_s=windows.times_s,
                about=np.array(json.dumps(about)),
            )

    def _file(self, path: Path) -> Path:
        digest = hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:12]
        return self._folder / f"{path.name[:_KEPT]}-{digest}.npz"

    def _key(self, path: Path) -> dict[str, Any]:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        state = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        return {**self._made_by, "files": hashlib.sha256(json.dumps(state).encode()).hexdigest()}
