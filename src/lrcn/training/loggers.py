"""Where a run is logged besides `history.csv`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from lrcn.errors import MissingExtraError


def make_loggers(name: str, folder: Path) -> list[Logger]:
    """Return Lightning's logger of that name, or none for `none`.

    Raises:
        MissingExtraError: If its package is not installed.
    """
    if name == "none":
        return []
    if find_spec(name) is None:
        raise MissingExtraError(f"logger {name!r} needs: pip install {name}")
    if name == "tensorboard":
        return [TensorBoardLogger(save_dir=folder, name="", version="tensorboard")]
    return [WandbLogger(project="lrcn", name=folder.name, save_dir=folder)]
