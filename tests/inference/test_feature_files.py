"""Features as files for other programs: the CNN's own values, whole files, nothing done twice."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames

import lrcn
from lrcn import model_file
from lrcn.cli import main
from lrcn.errors import ConfigError
from lrcn.features import TorchEncoder, encode_video


@pytest.fixture
def clips(make_clip: MakeClip, tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for number, name in enumerate(("walk/1.avi", "walk/2.avi", "wave/1.avi")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(folder / name, textured_frames(9 + number, 60, 80, seed=number), 10)
    return folder


def table(output: Path) -> list[dict[str, str]]:
    with (output / "index.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_files_hold_what_the_backbone_gives(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    report = lrcn.extract_features(tiny_model, clips, output=output)
    assert (report.written, report.kept, report.failures) == (3, 0, ())
    rows = table(output)
    assert [row["features"] for row in rows] == ["walk/1.avi.npz", "walk/2.avi.npz", "wave/1.avi.npz"]
    header, network = model_file.load(tiny_model, task="recognition")
    encoder = TorchEncoder(network.backbone, header.preprocess)
    for row in rows:
        expected = encode_video(row["path"], encoder, header.preprocess)
        with np.load(output / row["features"]) as saved:
            np.testing.assert_allclose(saved["features"], expected.features[0].numpy(), rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(saved["times_s"], expected.times_s)
        assert int(row["frames"]) == len(expected.times_s)
        assert float(row["duration_s"]) == expected.duration_s


def test_only_what_changed_is_done_again(tiny_model: Path, clips: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    output = tmp_path / "out"
    lrcn.extract_features(tiny_model, clips, output=output)
    torn = output / "walk/1.avi.npz"
    torn.write_bytes(torn.read_bytes()[:300])
    make_clip(clips / "wave/1.avi", textured_frames(6, 60, 80, seed=9), 10)
    report = lrcn.extract_features(tiny_model, clips, output=output)
    assert (report.written, report.kept) == (2, 1)
    assert [row["frames"] for row in table(output)] == ["9", "10", "6"]


def test_unreadable_files_are_listed_and_the_rest_is_done(
    tiny_model: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "walk/2.avi").write_bytes(b"no video")
    output = tmp_path / "out"
    missing = tmp_path / "missing.avi"
    assert main(["data", "extract", str(tiny_model), str(missing), str(clips), "--output", str(output)]) == 3
    said = capsys.readouterr()
    assert "missing.avi" in said.err
    assert said.out == ""
    assert "2.avi" in said.err
    assert "Traceback" not in said.err
    assert [row["features"] for row in table(output)] == ["walk/1.avi.npz", "wave/1.avi.npz"]
    assert not (output / "walk/2.avi.npz").exists()


def test_a_folder_of_images_is_read_as_the_model_reads_it(
    tiny_model: Path, tiny_caption_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(7):
        Image.fromarray(textured_frames(1, 70, 90, seed=number)[0]).save(folder / f"{number}.png")
    lrcn.extract_features(tiny_model, folder, output=tmp_path / "video")
    assert [(row["features"], row["frames"]) for row in table(tmp_path / "video")] == [
        ("pictures.npz", "3")
    ]  # a third of 30 a second
    lrcn.extract_features(tiny_caption_model, folder, output=tmp_path / "pictures-out")
    names = [row["features"] for row in table(tmp_path / "pictures-out")]
    assert names == [f"{number}.png.npz" for number in range(7)]


def test_two_videos_never_become_one_file(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="would both become"):
        lrcn.extract_features(tiny_model, [clips / "walk", clips / "wave"], output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_names_nothing_is_one_line(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for sources, code in (([], 2), ([str(tmp_path / "missing.avi")], 1)):
        assert main(["data", "extract", str(tiny_model), *sources, "--output", str(tmp_path / "out")]) == code
        assert capsys.readouterr().err.count(os.linesep) == 1
    assert not (tmp_path / "out").exists()


def write_damaged(path: Path) -> None:
    np.savez_compressed(path, features=0, times_s=0, duration_s=0, key=np.arange(500))
    content = bytearray(path.read_bytes())
    content[-1100:-500] = bytes(600)
    path.write_bytes(content)


def test_the_table_names_no_features_of_a_video_that_cannot_be_read_any_more(
    tiny_model: Path, clips: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    lrcn.extract_features(tiny_model, clips, output=output)
    (clips / "walk/2.avi").write_bytes(b"no video")
    report = lrcn.extract_features(tiny_model, clips, output=output)
    assert len(report.failures) == 1
    assert [row["features"] for row in table(output)] == ["walk/1.avi.npz", "wave/1.avi.npz"]


def test_files_of_other_programs_are_not_overwritten(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    foreign = output / "walk/2.avi.npz"
    foreign.parent.mkdir(parents=True)
    for write in (
        lambda: np.savez(foreign, skeleton=np.zeros(3)),
        lambda: np.savez(foreign, skeleton=np.zeros(3), key=np.zeros(3)),
        lambda: write_damaged(foreign),
        lambda: foreign.write_bytes(b"anything"),
        lambda: np.save(foreign.open("wb"), np.zeros(3)),
    ):
        write()
        content = foreign.read_bytes()
        with pytest.raises(ConfigError, match=r"2\.avi\.npz: is there and holds no features of lrcn"):
            lrcn.extract_features(tiny_model, clips, output=output)
        assert foreign.read_bytes() == content
    foreign.unlink()
    (output / "index.csv").write_text("page,word\n1,walk\n")
    with pytest.raises(ConfigError, match=r"index\.csv: is there and is no table of features"):
        lrcn.extract_features(tiny_model, clips, output=output)
    assert list(output.rglob("*.npz")) == []


def test_the_table_lists_earlier_calls_too(tiny_model: Path, clips: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    lrcn.extract_features(tiny_model, clips / "walk", output=output)
    (output / "2.avi.npz").unlink()
    lrcn.extract_features(tiny_model, [clips / "wave" / "1.avi"], output=output / "more")
    report = lrcn.extract_features(tiny_model, clips, output=output)
    assert report.written == 3
    names = [row["features"] for row in table(output)]
    assert names == ["1.avi.npz", "walk/1.avi.npz", "walk/2.avi.npz", "wave/1.avi.npz"]
