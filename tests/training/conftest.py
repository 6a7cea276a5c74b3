from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny_training import tiny_data

from lrcn.data.recognition.examples import RecognitionData


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    """Videos of bars that move left or right or stay; 18 to train on, 9 to validate."""
    return tiny_data(tmp_path_factory.mktemp("bars"), make_clip)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs keep their features."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks are slower on several threads, and tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
