"""`lrcn export`: folders that appear whole and checked, or not at all, and that run where torch is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn import model_file
from lrcn.cli import exits, main
from lrcn.config import Calibration, ModelHeader
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.recognition.examples import RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError, DataError
from lrcn.export import calibration
from lrcn.export import recognition as recognition_export
from lrcn.export.exporting import export_model
from lrcn.graphs.exported import read_exported
from lrcn.inference.recognition.parity import ParityCheck
from lrcn.inference.recognition.predictor import Recognizer

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def clips(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of the tiny model's classes, in split folders."""
    root = tmp_path_factory.mktemp("clips")
    for i, (split, label) in enumerate((s, c) for s in ("train", "test") for c in ("walk", "wave", "jump")):
        (root / split / label).mkdir(parents=True)
        make_clip(root / split / label / "v.avi", textured_frames(12, 72, 80, seed=i))
    return root


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "exported"
    report = export_model(tiny_model, output)
    assert report.parity.passed
    assert report.num_bytes == sum(path.stat().st_size for path in output.iterdir())
    return output


def test_a_folder_brings_the_calibration_of_its_model(
    folder: Path, tiny_model: Path, clip20: Path, tmp_path: Path
) -> None:
    header, network = model_file.load(tiny_model)
    calibration = Calibration(temperature=3.0, unknown_below=0.45)
    model_file.save(tmp_path / "m.safetensors", replace(header, calibration=calibration), network.state_dict())
    export_model(tmp_path / "m.safetensors", tmp_path / "exported")
    found = Recognizer.load(tmp_path / "exported")(clip20)
    expected = Recognizer.load(tmp_path / "m.safetensors", device="cpu")(clip20)
    assert Recognizer.load(tmp_path / "exported").header.calibration == calibration
    np.testing.assert_allclose(found.probs, expected.probs, atol=1e-5)
    assert [s.known for s in found.segments] == [s.known for s in expected.segments]
    assert np.abs(np.array(found.probs) - Recognizer.load(folder)(clip20).probs).max() > 0.01


def test_exported_folder_recognises_without_torch(folder: Path, clip20: Path, tiny_model: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'timm', 'safetensors', 'lightning', 'huggingface_hub', 'cv2', 'yaml',\n"
        "             'onnx', 'onnxscript', 'openvino', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from lrcn.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "recognize", str(clip20), "--json", "--model"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    expected = Recognizer.load(tiny_model, device="cpu")(clip20)
    found = {entry["label"]: entry["prob"] for entry in json.loads(done.stdout)["top"]}
    assert found == pytest.approx({entry.label: entry.prob for entry in expected.top}, abs=1e-5)

    done = subprocess.run([*command, str(tiny_model)], capture_output=True, text=True, check=False)
    assert done.returncode == exits.ERROR
    assert done.stderr.startswith("lrcn: error: this needs torch")
    assert len(done.stderr.splitlines()) == 1


def test_command_line_tells_the_errors_and_refuses_a_used_folder(
    tiny_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tiny_model), "--output", str(folder), "--quiet"]) == 0  # replaces an earlier export
    said = capsys.readouterr()
    assert "largest error against torch: probabilities" in said.out
    assert said.err == ""
    assert read_exported(folder).parity["prob_error"] < 1e-4
    (tmp_path / "notes.txt").write_text("mine")
    (folder / "mine.txt").write_text("mine")
    assert main(["export", str(tiny_model), "--output", str(folder), "--quiet"]) == exits.ERROR
    assert "holds mine.txt, which an export would delete" in capsys.readouterr().err
    (folder / "mine.txt").unlink()
    for arguments, code, message in (
        (["--output", str(tmp_path)], exits.ERROR, "holds other files"),
        (["--output", str(tmp_path / "notes.txt")], exits.USAGE, "is a file"),
        ([], exits.USAGE, "needs --output"),
        (["--output", str(tmp_path / "n"), "--int8"], exits.USAGE, "--int8 and --calibrate DATA go together"),
        (["--output", str(tmp_path / "n"), "--format", "caffe"], exits.USAGE, "caffe"),
    ):
        assert main(["export", str(tiny_model), *arguments]) == code
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("fault", ["parity", "tracing", "killed"])
def test_nothing_is_left_behind_by_a_failed_export(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise {"tracing": NotImplementedError("no such operator"), "killed": KeyboardInterrupt()}[fault]

    if fault == "parity":
        measure: Callable[..., Any] = ParityCheck.measure

        def measured(self: ParityCheck, candidate: Any) -> Any:
            clip_probs = candidate.clip_probs
            candidate.clip_probs = lambda features: clip_probs(features) + np.float32(0.001)
            return measure(self, candidate)

        monkeypatch.setattr(ParityCheck, "measure", measured)
    else:
        monkeypatch.setattr("torch.onnx.export", fail)
    expected = {"parity": "do not say what torch says", "tracing": "cannot be exported to ONNX", "killed": None}[fault]
    with pytest.raises(KeyboardInterrupt if fault == "killed" else ConfigError, match=expected):
        export_model(tiny_model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lacks", [True, False])
def test_int8_that_saves_no_time_is_said_beforehand(
    lacks: bool, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lrcn.devices.lacks_vnni", lambda: lacks)
    arguments = ["--int8", "--calibrate", str(tmp_path / "missing"), "--output", str(tmp_path / "out")]
    assert main(["export", str(tiny_model), *arguments]) == exits.ERROR
    assert ("no VNNI" in capsys.readouterr().err) == lacks


def test_data_of_the_other_task_calibrates_nothing(tiny_model: Path, tiny_caption_model: Path, tmp_path: Path) -> None:
    captions, classes = CaptionData((), "sentences"), RecognitionData((), (), "clips")
    for model, data, message in ((tiny_model, captions, "holds captions"), (tiny_caption_model, classes, "classes")):
        with pytest.raises(DataError, match=f"^{data.name}: .*{message}"):
            export_model(model, tmp_path / "out", format="openvino", calibrate=data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["openvino"])
def test_int8_is_calibrated_and_compared_on_the_split(
    tiny_model: Path, clips: Path, clip20: Path, tmp_path: Path, format: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition_export, "LEAST_AGREEMENT", 0.0)  # three clips and a random network
    report = export_model(tiny_model, tmp_path / "q", format=format, calibrate=clips)
    assert report.parity.precision == "int8"
    assert 1e-6 < report.parity.feature_error < 0.3  # quantised, and not broken
    assert report.split is not None
    truth = [
        (label, Recognizer.load(tiny_model, device="cpu")(clips / "test" / label / "v.avi").label)
        for label in ("walk", "wave", "jump")
    ]
    assert report.split.num_videos == 3
    assert report.split.torch_accuracy == pytest.approx(np.mean([a == b for a, b in truth]))
    recognize = Recognizer.load(tmp_path / "q")
    assert recognize.runtime.name == "openvino-int8"
    assert recognize(clip20).probs == pytest.approx(Recognizer.load(tiny_model, device="cpu")(clip20).probs, abs=0.15)

    monkeypatch.setattr(recognition_export, "LEAST_AGREEMENT", 1.1)
    with pytest.raises(ConfigError, match="int8 changes the top class of"):
        export_model(tiny_model, tmp_path / "r", format=format, calibrate=clips)
    assert not (tmp_path / "r").exists()


def test_calibration_spreads_over_the_training_videos(
    tiny_model: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_FRAMES", 6)
    from lrcn.model_file import inspect

    header: ModelHeader = inspect(tiny_model)
    crops = calibration.calibration_crops(read_recognition_data(clips).split("train"), header.preprocess)
    assert [part.shape for part in crops] == [(2, 67, 67, 3)] * 3


def test_calibration_data_of_other_classes_is_refused(tiny_model: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("bow", "nod"):
            (tmp_path / "d" / split / label).mkdir(parents=True)
            make_clip(tmp_path / "d" / split / label / "v.avi", textured_frames(4, 72, 72))
    with pytest.raises(DataError, match="its class 'bow' is none of the model's 3"):
        export_model(tiny_model, tmp_path / "out", calibrate=tmp_path / "d")
    with pytest.raises(DataError):
        export_model(tiny_model, tmp_path / "out", calibrate=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()
