"""Annotation files that are small, and a check of what was made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lrcn.annotations.formats import read_annotations
from lrcn.bouts import Annotations

ReadText = Callable[..., Annotations]

SHARED = Path(__file__).parents[3] / "shared" / "formats"
REAL = Path(os.environ.get("LRCN_FORMATS_DIR", SHARED)) / "boris"
"""Files that BORIS wrote, kept outside the repository."""

real = pytest.mark.skipif(not REAL.is_dir(), reason="no files of BORIS beside the repository, nor in LRCN_FORMATS_DIR")


@pytest.fixture
def read_text(tmp_path: Path) -> ReadText:
    """Write a file and read it."""

    def read(name: str, content: str | bytes, **options: object) -> Annotations:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_annotations(path, **options)  # type: ignore[arg-type]

    return read
