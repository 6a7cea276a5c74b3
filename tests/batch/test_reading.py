"""Rows say what the predictors say, whoever shares the CNN's batches; one bad file costs one row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

pytest.importorskip("pyarrow")

from lrcn.batch.places import Place, find_places
from lrcn.batch.reading import UnitReader, Work
from lrcn.encoding import FrameEncoder
from lrcn.errors import ConfigError, ModelFileError
from lrcn.features import TorchEncoder, encode_video
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.predictor import Recognizer


@pytest.fixture(scope="module")
def folder(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of 3 to 30 frames, two pictures, and a file that is neither."""
    folder = tmp_path_factory.mktemp("many")
    for number, length in enumerate((20, 3, 9, 30)):
        make_clip(folder / f"{number}.avi", textured_frames(length, 60, 80, seed=number), 10)
    for number in range(2):
        Image.fromarray(textured_frames(1, 60 + 20 * number, 80, seed=9 + number)[0]).save(folder / f"p{number}.png")
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def places_in(folder: Path, *, pictures: bool = False) -> list[Place]:
    places, failures = find_places([str(folder)], pictures=pictures)
    assert not failures
    return places


def together_and_alone(work: Work, places: Sequence[Place]) -> list[dict[str, list[dict[str, object]]]]:
    """The rows of all sources at a time, and those of one after the other, sorted by source."""
    reader = UnitReader(work)
    units = [[places], [[place] for place in places]]
    found = []
    for way in units:
        rows: dict[str, list[dict[str, object]]] = {}
        for unit in way:
            for name, table in reader.read(unit).items():
                rows.setdefault(name, []).extend(table.to_pylist())
        for table_rows in rows.values():
            table_rows.sort(key=lambda row: str(row["source"]))  # stable: segments stay in order
        found.append(rows)
    return found


def test_windows_and_bouts_are_those_of_the_recognizer(tiny_model: Path, folder: Path) -> None:
    places = places_in(folder)
    recognizer = Recognizer.load(tiny_model, device="cpu")
    for rows in together_and_alone(Work(model=str(tiny_model), bouts=True), places):
        assert [row["source"] for row in rows["sources"]] == sorted(place.name for place in places)
        for row in rows["sources"]:
            segments = [other for other in rows["segments"] if other["source"] == row["source"]]
            if row["source"] == str(folder / "bad.mp4"):
                assert row["status"] == "failed"
                assert str(row["reason"]).startswith(f"{folder / 'bad.mp4'}: not a video or image")
                assert not segments
                continue
            result = recognizer(str(row["source"]))
            assert (row["status"], row["reason"]) == ("done", None)
            assert (row["duration_s"], row["label"], row["known"]) == (result.duration_s, result.label, result.known)
            assert row["num_segments"] == len(segments) == len(result.segments)
            np.testing.assert_allclose(row["probs"], result.probs, atol=1e-5)
            for segment, expected in zip(segments, result.segments, strict=True):
                assert (segment["start_s"], segment["end_s"]) == (expected.start_s, expected.end_s)
                assert (segment["label"], segment["label_id"]) == (expected.top[0].label, expected.top[0].label_id)
                assert segment["prob"] == pytest.approx(expected.top[0].prob, abs=1e-5)
                np.testing.assert_allclose(segment["probs"], list(expected.probs), atol=1e-5)
            bouts = [other for other in rows["bouts"] if other["source"] == row["source"]]
            found = recognizer.find_bouts(str(row["source"])).bouts
            assert [(b["label"], b["start_s"], b["end_s"]) for b in bouts] == [
                (b.label, b.start_s, b.end_s) for b in found
            ]


def test_captions_are_those_of_the_captioner(
    tiny_caption_model: Path, make_clip: MakeClip, folder: Path, tmp_path: Path
) -> None:
    make_clip(tmp_path / "long.avi", textured_frames(24, 60, 80, seed=5), 1)  # of 24 s, captioned in parts
    places = [*places_in(folder, pictures=True), *places_in(tmp_path)]
    captioner = Captioner.load(tiny_caption_model, device="cpu")
    for rows in together_and_alone(Work(model=str(tiny_caption_model)), places):
        assert len(rows["sources"]) == len(places)
        for row in rows["sources"]:
            segments = [other for other in rows["segments"] if other["source"] == row["source"]]
            if str(row["source"]).endswith("bad.mp4"):
                assert row["status"] == "failed"
                continue
            result = captioner(str(row["source"]))
            assert (row["caption"], row["duration_s"]) == (result.text, result.duration_s)
            assert row["log_prob"] == pytest.approx(result.captions[0].log_prob, abs=1e-4)
            said = [(s["start_s"], s["end_s"], s["caption"]) for s in segments]
            parts = [(p.start_s, p.end_s, p.captions[0].text) for p in result.segments]
            assert said == (parts or [(0.0, result.duration_s, result.text)])


def test_features_are_those_of_the_cnn(tiny_model: Path, folder: Path) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu")
    assert isinstance(recognizer.runtime, TorchEncoder)
    for rows in together_and_alone(Work(model=str(tiny_model), features=True), places_in(folder)):
        assert {str(row["source"]) for row in rows["features"]} == {str(folder / f"{i}.avi") for i in range(4)}
        expected = encode_video(folder / "3.avi", recognizer.runtime, recognizer.header.preprocess)
        own = [row for row in rows["features"] if row["source"] == str(folder / "3.avi")]
        assert [row["frame"] for row in own] == list(range(30))
        np.testing.assert_array_equal([row["time_s"] for row in own], expected.times_s)
        np.testing.assert_allclose([row["features"] for row in own], expected.features[0], atol=1e-4, rtol=1e-4)


def test_batches_of_the_cnn_are_full_across_files(tiny_model: Path, folder: Path) -> None:
    class Counting(FrameEncoder):
        """Counts the frames of each batch that another encodes."""

        name, device = "counting", "cpu"

        def __init__(self, runtime: FrameEncoder) -> None:
            self._runtime = runtime
            self.sizes: list[int] = []

        def encode(self, images: np.ndarray, view: object) -> np.ndarray:
            self.sizes.append(len(images))
            return self._runtime.encode(images, view)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> object:
            return getattr(self._runtime, name)

    reader = UnitReader(Work(model=str(tiny_model)))
    counting = Counting(reader._predictor.runtime)
    reader._predictor.runtime = counting
    reader.read(places_in(folder))
    assert counting.sizes == [16] * 4  # 62 frames of four files


def test_the_decoder_of_one_source_may_run_in_a_process_of_its_own(tiny_model: Path, folder: Path) -> None:
    reader = UnitReader(Work(model=str(tiny_model)))
    places = places_in(folder)
    for unit in (places, places[:1]):
        plain, isolated = (reader.read(unit, isolate=isolate) for isolate in (False, True))
        assert {n: t.sort_by("source").to_pylist() for n, t in plain.items()} == {
            n: t.sort_by("source").to_pylist() for n, t in isolated.items()
        }


def test_what_is_the_fault_of_no_source_is_no_row(tiny_caption_model: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave --bouts out"):
        Work(model=str(tiny_caption_model), bouts=True).load()
    with pytest.raises(ModelFileError):
        UnitReader(Work(model=str(tmp_path / "none.safetensors"))).read(places_in(folder))
