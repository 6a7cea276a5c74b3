"""LRCN: a CNN looks at every frame, an LSTM reads the sequence.

    import lrcn

    recognize = lrcn.load("demo")
    print(recognize("video.mp4").label)

`import lrcn` imports no torch: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lrcn.errors import require

_ROOMS = {
    "annotations.formats": "AnnotationFormat read_annotations register_annotation_format write_annotations",
    "annotations.track_files": "read_tracks",
    "annotations.vector_files": "read_vectors",
    "bouts": "Annotations Bout Recording Skipped",
    "config": "BackboneConfig BoutSettings Calibration CaptioningConfig CaptioningHeader PreprocessConfig "
    "RecognitionConfig RecognitionHeader VectorConfig",
    "data.captioning.examples": "CaptionData CaptionExample",
    "data.captioning.readers": "CaptionReader read_caption_data register_caption_reader",
    "data.recognition.examples": "RecognitionData RecognitionExample",
    "data.recognition.readers": "Reader read_recognition_data register_reader",
    "errors": "ConfigError DataError LRCNError MediaError ModelFileError",
    "evaluation.captioning.report": "CaptionReport",
    "evaluation.evaluating": "evaluate",
    "evaluation.recognition.recording_report": "RecordingsReport",
    "evaluation.recognition.report": "EvaluationReport",
    "experiments.search": "search",
    "experiments.search_report": "SearchReport",
    "export.exporting": "ExportReport export_model",
    "inference.captioning.predictor": "Captioner",
    "inference.captioning.retriever": "Retriever",
    "inference.captioning.search_settings": "CaptionSearch",
    "inference.feature_files": "extract_features",
    "inference.loading": "load",
    "inference.recognition.bouts": "FoundBouts",
    "inference.recognition.explaining": "Explanation explain",
    "inference.recognition.predictor": "Recognizer",
    "inference.recognition.streaming": "StreamingRecognizer",
    "inference.recognition.tracked": "track_probs",
    "inference.recognition.two_stream": "TwoStreamRecognizer",
    "metrics.agreement": "Agreement agreement",
    "metrics.intervals": "bootstrap_interval",
    "metrics.recording_pairs": "pair_recordings",
    "metrics.temporal": "TemporalScores temporal_scores",
    "metrics.time_budget": "BudgetRow TransitionRow time_budget transitions",
    "model_file": "from_pretrained inspect push_to_hub save_pretrained",
    "models.backbone_specs": "BackboneSpec",
    "models.backbones": "register_backbone",
    "models.captioning": "CaptioningModel",
    "models.heads": "Head register_head",
    "models.lstm": "LSTMStack LSTMState",
    "models.recognition": "RecognitionModel",
    "results": "CaptionResult RecognitionResult RetrievalResult Segment",
    "training.captioning.config": "CaptioningTrainingConfig",
    "training.fit": "TrainResult train",
    "training.recognition.config": "RecognitionTrainingConfig",
    "video.isolation": "DecodingLimits isolated_decoding",
    "video.tracks": "Track",
    "video.vectors": "Vectors",
    "video.views": "TEN_CROP_VIEWS",
    "writers": "write_results write_table",
}
"""Module -> its public names. `tests/test_public_names.py` pins the list."""

_PUBLIC = {name: f"lrcn.{room}" for room, names in _ROOMS.items() for name in names.split()}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from lrcn.annotations.formats import AnnotationFormat as AnnotationFormat
    from lrcn.annotations.formats import read_annotations as read_annotations
    from lrcn.annotations.formats import register_annotation_format as register_annotation_format
    from lrcn.annotations.formats import write_annotations as write_annotations
    from lrcn.annotations.track_files import read_tracks as read_tracks
    from lrcn.annotations.vector_files import read_vectors as read_vectors
    from lrcn.bouts import Annotations as Annotations
    from lrcn.bouts import Bout as Bout
    from lrcn.bouts import Recording as Recording
    from lrcn.bouts import Skipped as Skipped
    from lrcn.config import BackboneConfig as BackboneConfig
    from lrcn.config import BoutSettings as BoutSettings
    from lrcn.config import Calibration as Calibration
    from lrcn.config import CaptioningConfig as CaptioningConfig
    from lrcn.config import CaptioningHeader as CaptioningHeader
    from lrcn.config import PreprocessConfig as PreprocessConfig
    from lrcn.config import RecognitionConfig as RecognitionConfig
    from lrcn.config import RecognitionHeader as RecognitionHeader
    from lrcn.config import VectorConfig as VectorConfig
    from lrcn.data.captioning.examples import CaptionData as CaptionData
    from lrcn.data.captioning.examples import CaptionExample as CaptionExample
    from lrcn.data.captioning.readers import CaptionReader as CaptionReader
    from lrcn.data.captioning.readers import read_caption_data as read_caption_data
    from lrcn.data.captioning.readers import register_caption_reader as register_caption_reader
    from lrcn.data.recognition.examples import RecognitionData as RecognitionData
    from lrcn.data.recognition.examples import RecognitionExample as RecognitionExample
    from lrcn.data.recognition.readers import Reader as Reader
    from lrcn.data.recognition.readers import read_recognition_data as read_recognition_data
    from lrcn.data.recognition.readers import register_reader as register_reader
    from lrcn.errors import ConfigError as ConfigError
    from lrcn.errors import DataError as DataError
    from lrcn.errors import LRCNError as LRCNError
    from lrcn.errors import MediaError as MediaError
    from lrcn.errors import ModelFileError as ModelFileError
    from lrcn.evaluation.captioning.report import CaptionReport as CaptionReport
    from lrcn.evaluation.evaluating import evaluate as evaluate
    from lrcn.evaluation.recognition.recording_report import RecordingsReport as RecordingsReport
    from lrcn.evaluation.recognition.report import EvaluationReport as EvaluationReport
    from lrcn.experiments.search import search as search
    from lrcn.experiments.search_report import SearchReport as SearchReport
    from lrcn.export.exporting import ExportReport as ExportReport
    from lrcn.export.exporting import export_model as export_model
    from lrcn.inference.captioning.predictor import Captioner as Captioner
    from lrcn.inference.captioning.retriever import Retriever as Retriever
    from lrcn.inference.captioning.search_settings import CaptionSearch as CaptionSearch
    from lrcn.inference.feature_files import extract_features as extract_features
    from lrcn.inference.loading import load as load
    from lrcn.inference.recognition.bouts import FoundBouts as FoundBouts
    from lrcn.inference.recognition.explaining import Explanation as Explanation
    from lrcn.inference.recognition.explaining import explain as explain
    from lrcn.inference.recognition.predictor import Recognizer as Recognizer
    from lrcn.inference.recognition.streaming import StreamingRecognizer as StreamingRecognizer
    from lrcn.inference.recognition.tracked import track_probs as track_probs
    from lrcn.inference.recognition.two_stream import TwoStreamRecognizer as TwoStreamRecognizer
    from lrcn.metrics.agreement import Agreement as Agreement
    from lrcn.metrics.agreement import agreement as agreement
    from lrcn.metrics.intervals import bootstrap_interval as bootstrap_interval
    from lrcn.metrics.recording_pairs import pair_recordings as pair_recordings
    from lrcn.metrics.temporal import TemporalScores as TemporalScores
    from lrcn.metrics.temporal import temporal_scores as temporal_scores
    from lrcn.metrics.time_budget import BudgetRow as BudgetRow
    from lrcn.metrics.time_budget import TransitionRow as TransitionRow
    from lrcn.metrics.time_budget import time_budget as time_budget
    from lrcn.metrics.time_budget import transitions as transitions
    from lrcn.model_file import from_pretrained as from_pretrained
    from lrcn.model_file import inspect as inspect
    from lrcn.model_file import push_to_hub as push_to_hub
    from lrcn.model_file import save_pretrained as save_pretrained
    from lrcn.models.backbone_specs import BackboneSpec as BackboneSpec
    from lrcn.models.backbones import register_backbone as register_backbone
    from lrcn.models.captioning import CaptioningModel as CaptioningModel
    from lrcn.models.heads import Head as Head
    from lrcn.models.heads import register_head as register_head
    from lrcn.models.lstm import LSTMStack as LSTMStack
    from lrcn.models.lstm import LSTMState as LSTMState
    from lrcn.models.recognition import RecognitionModel as RecognitionModel
    from lrcn.results import CaptionResult as CaptionResult
    from lrcn.results import RecognitionResult as RecognitionResult
    from lrcn.results import RetrievalResult as RetrievalResult
    from lrcn.results import Segment as Segment
    from lrcn.training.captioning.config import CaptioningTrainingConfig as CaptioningTrainingConfig
    from lrcn.training.fit import TrainResult as TrainResult
    from lrcn.training.fit import train as train
    from lrcn.training.recognition.config import RecognitionTrainingConfig as RecognitionTrainingConfig
    from lrcn.video.isolation import DecodingLimits as DecodingLimits
    from lrcn.video.isolation import isolated_decoding as isolated_decoding
    from lrcn.video.tracks import Track as Track
    from lrcn.video.vectors import Vectors as Vectors
    from lrcn.video.views import TEN_CROP_VIEWS as TEN_CROP_VIEWS
    from lrcn.writers import write_results as write_results
    from lrcn.writers import write_table as write_table


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("lrcn")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _PUBLIC[name] in ("lrcn.training.fit", "lrcn.experiments.search"):
        require("lightning", extra="train", wanted_by=f"lrcn.{name}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
