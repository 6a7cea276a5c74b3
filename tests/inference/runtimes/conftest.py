from __future__ import annotations

from pathlib import Path

import pytest

from lrcn import model_file
from lrcn.config import RecognitionHeader
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.exported import ExportedModel
from lrcn.models.recognition import RecognitionModel

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> tuple[RecognitionHeader, RecognitionModel]:
    return model_file.load(tiny_model)


@pytest.fixture(scope="session")
def exported(
    tiny: tuple[RecognitionHeader, RecognitionModel], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ExportedModel]:
    """Graphs of the tiny model by format; do not write to them."""
    folders = {}
    for format in ("onnx", "openvino"):
        folder = tmp_path_factory.mktemp(format)
        folders[format] = write_graphs(*tiny, folder, format)
    return folders
