"""The whole path of the paper on a small data set in UCF-101's layout, by the commands a user would type."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from lrcn.cli import main
from lrcn.data.recognition.flow import flow_path
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.experiments import paper_table
from lrcn.inference.recognition.predictor import Recognizer
from lrcn_sets.mocap.actions import write_clip
from lrcn_sets.mocap.clips import clip_spec, render

ACTIONS = {"cartwheel": "Cartwheel", "crawl": "Crawl", "walk": "Walk"}
SETTINGS = """
backbone: efficientnet_lite0
layer: blocks.3
grid: 2
sample_fps: null
resize: 64
crop: 56
clip_length: 16
max_steps: 60
optimizer: sgd
lr: 0.01
head_lr_multiplier: 10
bias_lr_multiplier: 2
lr_schedule: step
lr_step: 40
views: 1
refit: false
runtime: torch
"""


@pytest.fixture(scope="module")
def ucf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered clips under UCF-101's names: g01 to g03 train, g04 tests, in two official splits."""
    ucf = tmp_path_factory.mktemp("ucf") / "UCF"
    names = []
    for action, label in ACTIONS.items():
        (ucf / label).mkdir(parents=True)
        shown = [clip_spec("train", action, k) for k in range(3)] + [clip_spec("test", action, 0)]
        for group, spec in enumerate(shown, start=1):
            name = f"{label}/v_{label}_g{group:02d}_c01.avi"
            write_clip(ucf / name, render(spec, 64))
            names.append((name, group))
    lists = ucf / "ucfTrainTestlist"
    lists.mkdir()
    numbers = {label: number for number, label in enumerate(sorted(ACTIONS.values()), start=1)}
    (lists / "classInd.txt").write_text("".join(f"{number} {label}\n" for label, number in numbers.items()))
    for split, tested in ((1, 4), (2, 3)):
        train = [f"{name} {numbers[name.split('/')[0]]}\n" for name, group in names if group != tested]
        (lists / f"trainlist{split:02d}.txt").write_text("".join(train))
        (lists / f"testlist{split:02d}.txt").write_text("".join(f"{n}\n" for n, group in names if group == tested))
    return ucf


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configs")
    for stream in ("rgb", "flow"):
        settings = SETTINGS + f"stream: {stream}\n"
        (folder / f"single_frame_{stream}.yaml").write_text(settings + "head: frame\nclip_norm: null\n")
        (folder / f"lrcn_fc6_{stream}.yaml").write_text(settings + "hidden_size: 32\nclip_norm: 5\n")
    return folder


@dataclass(frozen=True)
class Table:
    """What `lrcn reproduce` left."""

    command: list[str]
    output: Path
    printed: str

    @property
    def cells(self) -> dict[str, dict[str, list[float]]]:
        cells: dict[str, dict[str, list[float]]] = json.loads((self.output / "table.json").read_text())["cells"]
        return cells

    def model(self, stream: str) -> str:
        return str(self.output / "split1" / f"lrcn_fc6_{stream}" / "model.safetensors")


@pytest.fixture(scope="module")
def table(ucf: Path, configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The table over both splits; do not write to it."""
    folder = tmp_path_factory.mktemp("table")
    command = ["reproduce", str(ucf), "--output", str(folder / "table"), "--configs", str(configs)]
    command += ["--splits", "1", "2", "--cache-dir", str(folder / "cache"), "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(command) == 0
    return Table(command, folder / "table", printed.getvalue())


@pytest.mark.slow
def test_one_command_fills_the_papers_table(table: Table) -> None:
    report = json.loads((table.output / "table.json").read_text())
    assert (report["data"], report["splits"]) == ("UCF-101", [1, 2])
    for row in ("single frame", "LRCN-fc6"):
        assert set(table.cells[row]) == {"RGB", "flow", "1/2 RGB + 1/2 flow", "1/3 RGB + 2/3 flow"}
        assert all(len(values) == 2 and all(0 <= v <= 1 for v in values) for values in table.cells[row].values())
    assert "| LRCN-fc6 | " in table.printed
    assert "(82.34)" in (table.output / "table.md").read_text()


@pytest.mark.slow
def test_lstm_nets_start_from_the_single_frame_nets(table: Table) -> None:
    run = json.loads((table.output / "split1" / "lrcn_fc6_rgb" / "run.json").read_text())
    assert run["init_from"] is not None


@pytest.mark.slow
def test_a_second_call_has_nothing_left_to_do(table: Table) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in table.output.rglob("*.safetensors")}
    assert stamps
    assert main(table.command) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.slow
@pytest.mark.parametrize("from_files", [True, False])
def test_evaluating_by_hand_fuses_alike(
    from_files: bool, table: Table, ucf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the flow files that the table was made from, and with flow computed on the spot."""
    evaluate = ["evaluate", table.model("rgb"), str(ucf), "--flow-model", table.model("flow"), "--rgb-weight", "0.5"]
    flow = ["--flow-dir", str(table.output / "flow")] if from_files else []
    assert main([*evaluate, *flow, "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["num_videos"] == 3
    if from_files:  # they are JPEG pictures, whose small differences may turn an answer over
        assert report["top1"] == pytest.approx(table.cells["LRCN-fc6"]["1/2 RGB + 1/2 flow"][0])


@pytest.mark.slow
def test_each_column_is_its_own_stream_or_weight(table: Table, ucf: Path) -> None:
    """Probabilities tell, where three right answers do not."""
    data = read_recognition_data(ucf)
    streams = {stream: Recognizer.load(table.model(stream)) for stream in ("rgb", "flow")}
    flow_file_of = partial(flow_path, table.output / "flow", ucf)
    reports = paper_table._reports(streams, data, ucf, table.output / "flow", flow_file_of)
    assert reports["RGB"].model["sha256"] == streams["rgb"].header.sha256
    assert reports["flow"].model["sha256"] == streams["flow"].header.sha256
    for column, weight in (("1/2 RGB + 1/2 flow", 1 / 2), ("1/3 RGB + 2/3 flow", 1 / 3)):
        for video, said in zip(data.split("test"), reports[column].predictions, strict=True):
            probs = [
                np.array(streams["rgb"](video.path, start_s=0.1).probs),  # the frames that have a flow image
                np.array(streams["flow"](flow_file_of(video.path)).probs),
            ]
            fused = weight * probs[0] + (1 - weight) * probs[1]
            assert said.label_prob == pytest.approx(fused[data.labels.index(video.label)], abs=1e-5)


def test_without_flow_the_flow_columns_say_not_run(ucf: Path, configs: Path, tmp_path: Path) -> None:
    output = tmp_path / "table"
    command = ["reproduce", str(ucf), "--output", str(output), "--configs", str(configs), "--splits", "1"]
    assert main([*command, "--streams", "rgb", "--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 0
    assert (output / "table.md").read_text().count("not run") == 6


@pytest.mark.slow
def test_the_table_goes_on_without_videos_that_cannot_be_read(
    ucf: Path, configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "UCF"
    shutil.copytree(ucf, data)
    broken = read_recognition_data(data).split("test")[0].path
    broken.write_bytes(b"no video")
    output = tmp_path / "table"
    command = ["reproduce", str(data), "--output", str(output), "--configs", str(configs), "--splits", "1"]
    assert main([*command, "--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 3
    table = json.loads((output / "table.json").read_text())
    assert table["num_videos"] == 2
    assert set(table["cells"]["LRCN-fc6"]) == {"RGB", "flow", "1/2 RGB + 1/2 flow", "1/3 RGB + 2/3 flow"}
    assert broken.name in capsys.readouterr().err


def test_ablate_names_every_variant(ucf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(SETTINGS)
    command = ["ablate", str(ucf), "--output", str(tmp_path / "out"), "--config", str(config), "--seeds", "1"]
    assert main([*command, "--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 0
    report = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert [row["variant"] for row in report["rows"]] == [
        "LRCN",
        "LRCN, last step only",
        "LRCN, frames shuffled",
        "single frame",
        "mean of the features",
    ]
    assert report["chance"] == pytest.approx(1 / 3)
    assert "| LRCN |" in capsys.readouterr().out


def test_ablate_goes_on_without_a_video_that_cannot_be_read(
    ucf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(ucf, data)
    config = tmp_path / "c.yaml"
    config.write_text(SETTINGS)
    tested = read_recognition_data(data).split("test")
    tested[0].path.write_bytes(b"no video")
    command = ["ablate", str(data), "--output", str(tmp_path / "out"), "--config", str(config), "--seeds", "1"]
    assert main([*command, "--cache-dir", str(tmp_path / "cache"), "--quiet"]) == 3
    report = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert report["num_videos"] == len(tested) - 1
    assert tested[0].path.name in report["failures"][0]
    assert tested[0].path.name in capsys.readouterr().err
