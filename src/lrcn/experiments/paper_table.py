"""The paper's table of activity recognition, measured on a data set: both nets, both streams, both fusions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lrcn.config import PreprocessConfig
from lrcn.data.recognition.examples import RecognitionData
from lrcn.data.recognition.flow import build_flow, flow_path, with_flow_files
from lrcn.evaluation.recognition.report import EvaluationReport, evaluate_recognition
from lrcn.files import write_json, write_text
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.two_stream import TwoStreamRecognizer
from lrcn.models.backbones import default_preprocess
from lrcn.training.fit import train
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.video.flow_file import FlowTag
from lrcn.video.views import CENTER_VIEW, View

SINGLE_FRAME, LRCN = "single frame", "LRCN-fc6"
RGB, FLOW, HALF, THIRD = "RGB", "flow", "1/2 RGB + 1/2 flow", "1/3 RGB + 2/3 flow"
FUSIONS = {HALF: 1 / 2, THIRD: 1 / 3}
NETS = {SINGLE_FRAME: "single_frame", LRCN: "lrcn_fc6"}
"""Row -> start of the names of its two configurations, `<net>_rgb` and `<net>_flow`."""

PAPER = {
    SINGLE_FRAME: {RGB: 0.6737, FLOW: 0.7437, HALF: 0.7546, THIRD: 0.7894},
    LRCN: {RGB: 0.6820, FLOW: 0.7728, HALF: 0.8090, THIRD: 0.8234},
}
"""UCF-101, mean of the three splits: TPAMI Table 1, as quoted by others."""


@dataclass(frozen=True)
class PaperTable:
    """Video-level accuracy, one value a split; a cell that was not run is missing."""

    data: str
    splits: tuple[int, ...]
    cells: dict[str, dict[str, tuple[float, ...]]]
    """Row -> column -> accuracy in 0-1 on each split."""
    num_videos: int
    """Test videos that were scored, of all splits together."""
    failures: tuple[str, ...] = ()
    """Videos that could not be read and count in no cell, and why."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, with the paper's numbers for UCF-101 beside."""
        return {**asdict(self), "paper_ucf101": PAPER}

    def to_markdown(self) -> str:
        """Return the table in the paper's shape, `ours (paper's)`; the mean over the splits."""
        columns = (RGB, FLOW, HALF, THIRD)
        lines = [
            f"{self.data}: video-level accuracy, mean over splits {', '.join(map(str, self.splits))}; in brackets the "
            "paper's, which are for UCF-101",
            "",
            "| | " + " | ".join(columns) + " |",
            "|---" * (len(columns) + 1) + "|",
        ]
        for row in NETS:
            cells = [self._cell(row, column) for column in columns]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def _cell(self, row: str, column: str) -> str:
        values = self.cells.get(row, {}).get(column)
        ours = f"{100 * statistics.fmean(values):.2f}" if values else "not run"
        return f"{ours} ({100 * PAPER[row][column]:.2f})"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write `table.json` and `table.md`; return their paths."""
        paths = folder / "table.json", folder / "table.md"
        write_json(paths[0], self.to_dict(), indent=1)
        write_text(paths[1], self.to_markdown())
        return paths


def reproduce(
    read: Callable[[int], RecognitionData],
    root: Path,
    *,
    output: Path,
    configs: Mapping[str, RecognitionTrainingConfig],
    splits: Sequence[int] = (1, 2, 3),
    flow_dir: Path | None = None,
    views: Sequence[View] = (CENTER_VIEW,),
    device: str = "auto",
    cache_dir: Path | None = None,
    quiet: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> PaperTable:
    """Train and score everything the table needs; started again, it goes on with what is there.

    Args:
        read: Returns the data set with its official split of this number; of sets that have one split, 1.
        root: The data set's folder.
        output: Folder for runs, flow and the table.
        configs: `single_frame_rgb`, `lrcn_fc6_rgb`, and, for the other columns, `single_frame_flow` and
            `lrcn_fc6_flow`. The LRCN nets start from the single-frame nets.
        splits: Official splits to run.
        flow_dir: Where the flow is kept; None computes it into `output/flow`.
        views: Crops of each frame that are averaged when scoring.
        device: As for `train`.
        cache_dir: As for `train`.
        quiet: As for `train`.
        on_progress: Told what is being done.

    Raises:
        DataError: If a split or a video's flow cannot be made.
    """
    tell = on_progress or (lambda text: None)
    flow_dir = flow_dir or output / "flow"
    cells: dict[str, dict[str, list[float]]] = {row: {} for row in NETS}
    failures: dict[str, None] = {}
    name, num_videos = "", 0
    for number, data in {number: read(number) for number in splits}.items():  # all of them, before hours go into one
        name = data.name
        models: dict[str, Path] = {}
        for stream in ("rgb", "flow"):
            if f"single_frame_{stream}" not in configs:
                continue
            watched = data
            if stream == "flow":
                tell("computing flow")
                watched, unread = _with_flow(data, root, flow_dir, configs["single_frame_flow"])
                failures |= dict.fromkeys(unread)
            start: Path | None = None
            for net in NETS.values():
                run = f"{net}_{stream}"
                tell(f"split {number}: {run}")
                config = replace(configs[run], init_from=str(start) if start else configs[run].init_from)
                folder = output / f"split{number}" / run
                result = train(
                    config, watched, output=folder, resume=True, device=device, cache_dir=cache_dir, quiet=quiet
                )
                models[run] = start = result.model_path
        flow_file_of = partial(flow_path, flow_dir, root)
        for row, net in NETS.items():
            streams = {
                stream: Recognizer.load(models[f"{net}_{stream}"], device=device, views=views)
                for stream in ("rgb", "flow")
                if f"{net}_{stream}" in models
            }
            tell(f"split {number}: scoring {row}")
            for column, report in _reports(streams, data, root, flow_dir, flow_file_of).items():
                cells[row].setdefault(column, []).append(report.top1)
                if (
                    row == LRCN and column == RGB
                ):  # the others lack the same videos, or those without flow, which are known
                    num_videos += report.num_videos
                    failures |= dict.fromkeys(failed.message for failed in report.failures)
    table = PaperTable(
        name.rsplit(" split ", 1)[0],
        tuple(splits),
        {row: {column: tuple(values) for column, values in columns.items()} for row, columns in cells.items()},
        num_videos,
        tuple(failures),
    )
    table.save(output)
    return table


def _with_flow(
    data: RecognitionData, root: Path, flow_dir: Path, config: RecognitionTrainingConfig
) -> tuple[RecognitionData, tuple[str, ...]]:
    """Return the flow of the data set, and why some videos have none."""
    preprocess: PreprocessConfig = config.preprocess_config(default_preprocess(config.backbone))
    tag = FlowTag(preprocess.flow_method, preprocess.sample_fps, preprocess.resize)
    report = build_flow(data, root, flow_dir, tag=tag)
    return with_flow_files(data, root, flow_dir, skip_missing=True), report.failures


def _reports(
    streams: Mapping[str, Recognizer],
    data: RecognitionData,
    root: Path,
    flow_dir: Path,
    flow_file_of: Callable[[Path], Path],
) -> dict[str, EvaluationReport]:
    reports = {RGB: evaluate_recognition(streams["rgb"], data)}
    if "flow" in streams:
        reports[FLOW] = evaluate_recognition(streams["flow"], with_flow_files(data, root, flow_dir, skip_missing=True))
        for column, weight in FUSIONS.items():
            both = TwoStreamRecognizer(streams["rgb"], streams["flow"], rgb_weight=weight, flow_file_of=flow_file_of)
            reports[column] = evaluate_recognition(both, data)
    return reports
