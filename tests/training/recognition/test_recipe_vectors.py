"""Ready vectors in place of what a CNN says: trained on, and used, as videos are."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny_training import tiny_data
from tests.training.tiny_vectors import FPS, LABELS, tiny_clips, tiny_tracks, write_deeplabcut

from lrcn.config import PreprocessConfig, RecognitionConfig, RecognitionHeader, VectorConfig
from lrcn.data.recognition.examples import RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError, DataError, MediaError
from lrcn.evaluation.evaluating import evaluate
from lrcn.evaluation.recognition.recording_report import RecordingsReport
from lrcn.experiments.ablation import ablate
from lrcn.experiments.search import search
from lrcn.export.exporting import export_model
from lrcn.inference.recognition.explaining import explain
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.inference.recognition.tracked import track_probs
from lrcn.model_file.storage import load
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.video.sampling import clip_windows
from lrcn.video.views import TEN_CROP_VIEWS

NAMES = tuple(f"{part}.{what}" for part in ("nose", "body") for what in ("x", "y", "likelihood"))
VECTORS = VectorConfig(fps=FPS)


def config(**changes: Any) -> RecognitionTrainingConfig:
    settings = {"stream": "vectors", "vector_fps": FPS, "epochs": 8, "lr": 5e-3, "refit": False, "hidden_size": 16}
    return RecognitionTrainingConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def run(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "run"
    result = train(config(refit=True), clips, output=output, device="cpu", quiet=True)
    assert result.val_score == 1.0  # on the validation clips: of animals anywhere in the arena
    return output


def test_the_model_file_says_what_it_reads(run: Path) -> None:
    header, model = load(run)
    assert (header.model.backbone, header.model.vector_size) == (None, 6)
    assert header.preprocess.stream == "vectors"
    assert header.preprocess.vectors == VectorConfig(names=NAMES, fps=FPS)
    assert header.model.embedding_size == 12  # no more directions than there are
    assert not any(name.startswith("backbone.") for name in model.state_dict())


def test_what_a_model_says_of_a_track_is_what_the_network_says_of_its_rows(run: Path, clips: Path) -> None:
    header, model = load(run)
    path = clips / "shake" / "shake3.csv"
    with path.open(newline="") as file:
        rows = np.array([[float(cell) for cell in row[1:]] for row in list(csv.reader(file))[3:]], dtype=np.float32)
    for t in range(len(rows)):  # guesses keep the place that was known before, or else the first one known
        for part in (0, 3):
            if rows[t, part + 2] < 0.6:
                sure = [s for s in range(t) if rows[s, part + 2] >= 0.6] or [int((rows[:, part + 2] >= 0.6).argmax())]
                rows[t, part : part + 2] = rows[sure[-1], part : part + 2]
    sampled = torch.from_numpy(rows[::3])  # 30 rows a second, 10 of them looked at
    windows = clip_windows(len(sampled), 16, 8)
    with torch.inference_mode():
        said = torch.cat([model.clip_probs(sampled[None, first:last]) for first, last in windows])
    result = Recognizer(header, model)(path)
    temperature = header.calibration.temperature
    expected = said.double() ** (1 / temperature)
    expected = (expected / expected.sum(dim=1, keepdim=True)).mean(dim=0)
    np.testing.assert_allclose(result.probs, expected.numpy(), atol=1e-5)
    assert result.duration_s == pytest.approx(len(rows) / FPS)
    assert result.label == "shake"


def test_an_array_of_vectors_is_looked_at_too(run: Path, clips: Path) -> None:
    recognizer = Recognizer.load(run, device="cpu")
    path = clips / "circle" / "circle1.csv"
    rows = np.loadtxt(path, delimiter=",", skiprows=3)[:, 1:]
    rows[rows[:, 2] < 0.6, :2] = np.nan
    rows[rows[:, 5] < 0.6, 3:5] = np.nan
    np.testing.assert_allclose(recognizer(rows).probs, recognizer(path).probs, atol=1e-6)
    for odd in (rows[:, :4], np.zeros((8, 36, 48, 3), np.uint8), np.array([["a"]]), b"bytes"):
        with pytest.raises(MediaError, match="vectors"):
            recognizer(odd)
    with pytest.raises(MediaError, match="array: holds a number that is infinite"):
        recognizer(np.where(np.arange(len(rows))[:, None] == 3, np.inf, rows))


def test_a_part_of_a_track_is_what_lies_in_it(run: Path, clips: Path) -> None:
    recognizer = Recognizer.load(run, device="cpu")
    path = clips / "circle" / "circle0.csv"
    result = recognizer(path, start_s=0.5, end_s=1.5)
    assert result.segments[0].start_s == 0.5
    assert result.segments[-1].end_s == 1.5
    with pytest.raises(MediaError, match=r"circle0.csv: nothing between 100 s and"):
        recognizer(path, start_s=100.0)


def test_recordings_are_trained_on_measured_and_cut_into_bouts(tmp_path: Path) -> None:
    annotations = tiny_tracks(tmp_path)
    data = read_recognition_data(annotations, videos=tmp_path / "tracks", vectors=VECTORS)
    assert not [warning for warning in data.warnings if "not there" in warning]
    assert {one.path.name for one in data.recordings} == {f"cage{n}DLC_net.csv" for n in range(5)}
    output = tmp_path / "run"
    train(config(epochs=12), data, output=output, device="cpu", quiet=True)
    header, _ = load(output)
    assert header.bouts is not None
    recognizer = Recognizer.load(output, device="cpu")
    report = evaluate(recognizer, data)
    assert isinstance(report, RecordingsReport)
    assert report.scores["f1_at_0.5"].value > 0.9
    test = next(one for one in data.recordings if one.split == "test")
    assert test.path is not None
    found = recognizer.find_bouts(test.path)
    truth = [bout.label for bout in test.bouts]
    assert [bout.label for bout in found.bouts] == truth
    for bout, true in zip(found.bouts, test.bouts, strict=True):
        assert abs(bout.start_s - true.start_s) < 0.7
        assert abs(bout.end_s - true.end_s) < 0.7


def test_a_second_training_on_all_clips_reads_the_same_values(clips: Path, tmp_path: Path) -> None:
    # in validation files the same values stand in another order, and one of them comes first
    data = read_recognition_data(clips, vectors=VECTORS)
    examples = []
    for number, example in enumerate(sorted(data.examples, key=lambda example: example.split != "val")):
        with example.path.open(newline="") as file:
            rows = list(csv.reader(file))
        order = [0, 4, 5, 6, 1, 2, 3] if example.split == "val" else list(range(7))
        path = tmp_path / f"{number}.csv"
        path.write_text("\n".join(",".join(row[column] for column in order) for row in rows))
        examples.append(replace(example, path=path))
    mixed = replace(data, examples=tuple(examples))
    result = train(config(refit=True), mixed, output=tmp_path / "run", device="cpu", quiet=True)
    assert result.val_score == 1.0
    recognizer = Recognizer.load(tmp_path / "run", device="cpu")
    assert sum(recognizer(one.path).label == one.label for one in examples) == len(examples)


def test_a_track_of_other_parts_is_left_out_by_name(run: Path, clips: Path, tmp_path: Path) -> None:
    text = (clips / "rest" / "rest0.csv").read_text().replace("nose", "tail")
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(MediaError, match=r"other.csv: has no value 'nose.x', which the model reads"):
        Recognizer.load(run, device="cpu")(tmp_path / "other.csv")
    data = read_recognition_data(clips, vectors=VECTORS)
    first = next(example for example in data.examples if example.split == "train" and example != data.examples[0])
    examples = [replace(one, path=tmp_path / "other.csv") if one == first else one for one in data.examples]
    result = train(
        config(max_steps=1), replace(data, examples=tuple(examples)), output=tmp_path / "run", device="cpu", quiet=True
    )
    (line,) = result.skipped
    assert "other.csv: has no value 'nose.x'" in line


def test_what_looks_at_pictures_refuses_a_model_of_vectors(run: Path, clips: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(run, device="cpu")
    path = clips / "rest" / "rest0.csv"
    refused = {
        "a stream is looked at frame by frame": lambda: StreamingRecognizer(recognizer),
        "an explanation shows places in pictures": lambda: explain(recognizer, path),
        "has no CNN to export": lambda: export_model(run, tmp_path / "graphs"),
        "tracks need a model of RGB frames": lambda: track_probs(recognizer, path, ()),
        "ready vectors are no pictures: leave roi out": lambda: recognizer(path, roi=(0, 0, 1, 1)),
        "leave crops and views out": lambda: Recognizer.load(run, device="cpu", views=TEN_CROP_VIEWS),
        "no CNN for runtime 'openvino'": lambda: Recognizer.load(run, device="cpu", runtime="openvino"),
        "a search tries layers of a CNN": lambda: search(config(), clips, output=tmp_path / "search"),
        "ready vectors need none": lambda: ablate(config(), clips, output=tmp_path / "ablation"),
    }
    for message, call in refused.items():
        with pytest.raises(ConfigError, match=message):
            call()
    assert Recognizer.load(run, device="cpu", runtime="auto")(path).label == "rest"


def test_a_video_and_a_file_of_vectors_are_not_taken_for_each_other(
    run: Path, clips: Path, tiny_model: Path, make_clip: Any, tmp_path: Path, bars: RecognitionData
) -> None:
    video = bars.examples[0].path
    with pytest.raises(MediaError, match=r"no file of ready vectors .* in place of videos"):
        Recognizer.load(run, device="cpu")(video)
    with pytest.raises(MediaError, match=r"rest0.csv: a file of ready vectors, it seems, .* --stream vectors"):
        Recognizer.load(tiny_model, device="cpu")(clips / "rest" / "rest0.csv")
    with pytest.raises(DataError, match=r"no file of ready vectors can be read; the first: .*avi: no file of ready"):
        train(config(), bars, output=tmp_path / "videos", device="cpu", quiet=True)
    with pytest.raises(DataError, match=r"holds no video; to train on tables of ready vectors: --stream vectors"):
        read_recognition_data(clips)
    tiny_data(tmp_path, make_clip, num_train=1, num_val=0)
    (tmp_path / "left").mkdir(exist_ok=True)
    with pytest.raises(DataError, match=r"this class folder holds no file of ready vectors"):
        read_recognition_data(tmp_path, vectors=VECTORS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_trainable": True}, "ready vectors need none"),
        ({"runtime": "openvino"}, "is for CNNs"),
        ({"stream": "rgb"}, "vector_fps goes with stream 'vectors' alone"),
        ({"vector_fps": 0.0}, "rows a second must be above 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_headers_that_contradict_themselves_are_refused() -> None:
    network = RecognitionConfig(backbone=None, vector_size=2, num_classes=2)
    pixels = PreprocessConfig(stream="vectors", vectors=VectorConfig(names=("x", "y")))
    RecognitionHeader(model=network, preprocess=pixels, labels=LABELS[:2])
    with pytest.raises(ConfigError, match="vectors of 0 values for a network that reads 2"):
        RecognitionHeader(model=network, preprocess=PreprocessConfig(), labels=LABELS[:2])
    with pytest.raises(ConfigError, match="vectors of 2 values for a network that reads pictures"):
        RecognitionHeader(model=RecognitionConfig(num_classes=2), preprocess=pixels, labels=LABELS[:2])
    with pytest.raises(ConfigError, match="vector_size goes with a null backbone"):
        RecognitionConfig(num_classes=2, vector_size=3)
    with pytest.raises(ConfigError, match="exactly where the stream is vectors"):
        PreprocessConfig(stream="vectors")
    with pytest.raises(ConfigError, match="differ from each other"):
        VectorConfig(names=("x", "x"))


def test_floats_of_a_large_picture_are_not_rounded(clips: Path, tmp_path: Path) -> None:
    places = np.full((60, 2, 2), 3000.0) + np.arange(60)[:, None, None] * 0.1
    path = write_deeplabcut(tmp_path / "clips" / "rest" / "far.csv", places, np.random.default_rng(1))
    header = replace(PreprocessConfig(), stream="vectors", vectors=replace(VECTORS, names=NAMES))
    from lrcn.features import Part
    from lrcn.training.features import ReadVectors

    video = ReadVectors(header, print).get(Part(path))
    assert video.views[0].dtype == np.float32
    assert abs(float(video.views[0][-1, 0]) - 3005.7) < 0.01
