"""`lrcn.load` gives what the model file was made for."""

from __future__ import annotations

from pathlib import Path

import pytest

import lrcn
from lrcn.errors import ConfigError, ModelFileError, TaskMismatchError, UnknownNameError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.video.views import TEN_CROP_VIEWS


def test_the_task_in_the_file_decides(tiny_model: Path, tiny_caption_model: Path) -> None:
    assert isinstance(lrcn.load(tiny_model, device="cpu"), lrcn.Recognizer)
    captioner = lrcn.load(tiny_caption_model, device="cpu")
    assert isinstance(captioner, lrcn.Captioner)
    assert captioner.name == "tiny_captions"
    assert "6 words" in repr(captioner)


def test_the_wrong_model_names_the_right_command(tiny_model: Path, tiny_caption_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TaskMismatchError, match="use: lrcn recognize"):
        Captioner.load(tiny_model)
    with pytest.raises(TaskMismatchError, match="use: lrcn caption"):
        Recognizer.load(tiny_caption_model)
    with pytest.raises(ModelFileError, match="no such model file"):
        lrcn.load(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="leave views out"):
        lrcn.load(tiny_caption_model, views=TEN_CROP_VIEWS)
    with pytest.raises(UnknownNameError, match="unknown runtime 'onxruntime'; did you mean 'onnxruntime'"):
        lrcn.load(tiny_caption_model, runtime="onxruntime")
    with pytest.raises(ConfigError, match="batch_size"):
        lrcn.load(tiny_caption_model, batch_size=0)
