"""Windows of recordings in a folder: a run that was stopped goes on, and other thresholds cost no second look."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrcn.files import parse_json, replacing
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

    def get(self, path: Path) -> list[WindowProbs] | None:
        """Return the windows of a recording, as they were put; None where there are none, or none that fit."""
        try:
            with np.load(self._file(path), allow_pickle=False) as kept:
                about = parse_json(str(kept["about"]))
                if about["key"] != self._key(path):
                    return None
                windows, probs, times_s = kept["windows"], kept["probs"], kept["times_s"]
                found, first, first_frame = [], 0, 0
                for part in about["parts"]:
                    last, last_frame = first + part["num_windows"], first_frame + part["num_frames"]
                    found.append(
                        WindowProbs(
                            tuple(map(tuple, windows[first:last].tolist())),
                            probs[first:last],
                            times_s[first_frame:last_frame],
                            part["duration_s"],
                            tuple(part["warnings"]),
                            part["subject"],
                        )
                    )
                    first, first_frame = last, last_frame
                return found
        except Exception:  # none yet, or damaged: NumPy and zipfile raise whatever they trip over. It is made anew
            return None

    def put(self, path: Path, found: Sequence[WindowProbs]) -> None:
        """Keep the windows of a recording, or of all tracks in it, whole or not at all.

        Raises:
            OSError: If the file cannot be written.
        """
        parts = [
            {
                "num_windows": len(one.windows),
                "num_frames": len(one.times_s),
                "duration_s": one.duration_s,
                "warnings": list(one.warnings),
                "subject": one.subject,
            }
            for one in found
        ]
        with replacing(self._file(path)) as unfinished, unfinished.open("wb") as file:
            np.savez(
                file,
                windows=np.concatenate([np.array(one.windows, dtype=np.int64) for one in found]),
                probs=np.concatenate([one.probs for one in found]),
                times_s=np.concatenate([one.times_s for one in found]),
                about=np.array(json.dumps({"key": self._key(path), "parts": parts})),
            )

    def _file(self, path: Path) -> Path:
        digest = hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:12]
        return self._folder / f"{path.name[:_KEPT]}-{digest}.npz"

    def _key(self, path: Path) -> dict[str, Any]:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        state = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        return {**self._made_by, "files": hashlib.sha256(json.dumps(state).encode()).hexdigest()}
