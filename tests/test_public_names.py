"""The public surface: what it holds, and that it costs nothing until it is used."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys

import pytest

import lrcn
from lrcn.errors import MissingExtraError

NAMES = [
    "Agreement",
    "AnnotationFormat",
    "Annotations",
    "BackboneConfig",
    "BackboneSpec",
    "Bout",
    "BoutSettings",
    "BudgetRow",
    "Calibration",
    "CaptionData",
    "CaptionExample",
    "CaptionReader",
    "CaptionReport",
    "CaptionResult",
    "CaptionSearch",
    "Captioner",
    "CaptioningConfig",
    "CaptioningHeader",
    "CaptioningModel",
    "CaptioningTrainingConfig",
    "ConfigError",
    "DataError",
    "DecodingLimits",
    "EvaluationReport",
    "Explanation",
    "ExportReport",
    "FoundBouts",
    "Head",
    "LRCNError",
    "LSTMStack",
    "LSTMState",
    "MediaError",
    "ModelFileError",
    "PreprocessConfig",
    "Reader",
    "RecognitionConfig",
    "RecognitionData",
    "RecognitionExample",
    "RecognitionHeader",
    "RecognitionModel",
    "RecognitionResult",
    "RecognitionTrainingConfig",
    "Recognizer",
    "Recording",
    "RecordingsReport",
    "RetrievalResult",
    "Retriever",
    "SearchReport",
    "Segment",
    "Skipped",
    "StreamingRecognizer",
    "TEN_CROP_VIEWS",
    "TemporalScores",
    "Track",
    "TrainResult",
    "TransitionRow",
    "TwoStreamRecognizer",
    "VectorConfig",
    "Vectors",
    "agreement",
    "bootstrap_interval",
    "evaluate",
    "explain",
    "export_model",
    "extract_features",
    "from_pretrained",
    "inspect",
    "isolated_decoding",
    "load",
    "pair_recordings",
    "push_to_hub",
    "read_annotations",
    "read_caption_data",
    "read_recognition_data",
    "read_tracks",
    "read_vectors",
    "register_annotation_format",
    "register_backbone",
    "register_caption_reader",
    "register_head",
    "register_reader",
    "save_pretrained",
    "search",
    "temporal_scores",
    "time_budget",
    "track_probs",
    "train",
    "transitions",
    "write_annotations",
    "write_results",
    "write_table",
]


def test_the_list_changes_on_purpose_only() -> None:
    assert lrcn.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    value = getattr(lrcn, name)
    assert name.isupper() or value.__name__ == name
    assert name in dir(lrcn)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="recognise"):
        _ = lrcn.recognise


def test_missing_extra_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(vars(lrcn), "train", raising=False)
    with pytest.raises(MissingExtraError, match=r"lrcn\.train needs: pip install 'lrcn\[train\]'"):
        _ = lrcn.train


@pytest.mark.parametrize("command", ["import lrcn", "import lrcn.cli; lrcn.cli.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_used(command: str) -> None:
    heavy = ("torch", "torchvision", "lightning", "timm", "cv2", "matplotlib")
    code = f"import sys; {command}; sys.exit(str([name for name in {heavy} if name in sys.modules] or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_an_answer_takes_no_network_that_the_model_does_not_have() -> None:
    """`import torchvision` and `import timm` take longer than all the rest of a short video's answer."""
    heavy = ("torchvision", "timm", "torch._dynamo", "sympy", "lightning", "matplotlib")
    code = (
        "import sys, lrcn; lrcn.load('demo')(sys.argv[1]); "
        f"sys.exit(str([name for name in {heavy} if name in sys.modules] or ''))"
    )
    video = str(importlib.resources.files("lrcn") / "assets" / "walking.mp4")
    done = subprocess.run([sys.executable, "-c", code, video], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_the_version_is_that_of_the_installed_package() -> None:
    assert lrcn.__version__ == importlib.metadata.version("lrcn")
