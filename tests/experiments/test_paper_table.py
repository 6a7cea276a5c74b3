"""The whole path of the paper on a small data set in UCF-101's layout, by the commands a user would type."""

from __future__ import annotations

import json
import shutil
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


@pytest.mark.slow
def test_one_command_fills_the_papers_table(
    ucf: Path, configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, cache = tmp_path / "table", tmp_path / "cache"
    command = ["reproduce", str(ucf), "--output", str(output), "--configs", str(configs), "--splits", "1", "2"]
    command += ["--cache-dir", str(cache), "--quiet"]
    assert main(command) == 0
    table = json.loads((output / "table.json").read_text())
    assert table["data"] == "UCF-101"
    assert table["splits"] == [1, 2]
    for row in ("single frame", "LRCN-fc6"):
        assert set(table["cells"][row]) == {"RGB", "flow", "1/2 RGB + 1/2 flow", "1/3 RGB + 2/3 flow"}
        assert all(len(values) == 2 and all(0 <= v <= 1 for v in values) for values in table["cells"][row].values())
    assert "| LRCN-fc6 | " in capsys.readouterr().out
    assert "(82.34)" in (output / "table.md").read_text()

    # stage 2 started from stage 1, and a second call has nothing left to do
    run = json.loads((output / "split1" / "lrcn_fc6_rgb" / "run.json").read_text())
    assert run["init_from"] is not None
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps

    # the same fusion through `lrcn evaluate`, with flow files and with flow computed on the spot
    models = [str(output / "split1" / f"lrcn_fc6_{stream}" / "model.safetensors") for stream in ("rgb", "flow")]
    evaluate = ["evaluate", models[0], str(ucf), "--flow-model", models[1], "--rgb-weight", "0.5", "--json", "--quiet"]
    capsys.readouterr()
    assert main([*evaluate, "--flow-dir", str(output / "flow")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["top1"] == pytest.approx(table["cells"]["LRCN-fc6"]["1/2 RGB + 1/2 flow"][0])
    assert main(evaluate) == 0
    assert json.loads(capsys.readouterr().out)["num_videos"] == 3

    # each column is its own stream or weight: probabilities tell, where three right answers do not
    data = read_recognition_data(ucf)
    streams = {stream: Recognizer.load(model) for stream, model in zip(("rgb", "flow"), models, strict=True)}
    flow_file_of = partial(flow_path, output / "flow", ucf)
    reports = paper_table._reports(streams, data, ucf, output / "flow", flow_file_of)
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
