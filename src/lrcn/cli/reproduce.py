"""`lrcn reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cyclopts.types import PositiveInt

from lrcn.cli.exits import UsageError, exit_code_after
from lrcn.cli.options import DATA_SET, Data, DataSet, Device, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.settings import read_settings
from lrcn.cli.terminal import remark
from lrcn.errors import require
from lrcn.training.recognition.config import RecognitionTrainingConfig

RGB_CONFIGS = ("single_frame_rgb", "lrcn_fc6_rgb")
FLOW_CONFIGS = ("single_frame_flow", "lrcn_fc6_flow")


def reproduce(
    data: Data,
    /,
    *,
    output: Path,
    configs: Path,
    splits: tuple[PositiveInt, ...] = (1, 2, 3),
    streams: Literal["rgb", "both"] = "both",
    crops: Literal[1, 10] = 1,
    flow_dir: Path | None = None,
    device: Device = "auto",
    cache_dir: Path | None = None,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
) -> int:
    """Fill in the paper's table: single frame against LRCN, RGB against flow against both, mean over official splits.

    Trains the single-frame nets, the LSTM nets that start from them, computes the flow, and scores all of it and both
    fusions on whole videos. Started again, it goes on with what is there.

    Args:
        output: Folder for the runs, the flow, `table.json` and `table.md`; made if missing.
        configs: Folder with `single_frame_rgb.yaml`, `lrcn_fc6_rgb.yaml`, `single_frame_flow.yaml` and
            `lrcn_fc6_flow.yaml`; those in `configs/recognition` have the release's numbers.
        splits: Official splits to run; 1 where the data set has one.
        streams: `rgb` leaves the flow columns out.
        crops: Crops of each frame to average when scoring: the centre, or the paper's ten.
        flow_dir: Where `lrcn data flow` has put the flow. Left out, it is computed into `--output`.
        cache_dir: Keeps features between runs, in its folder `features`. Left out, `~/.cache/lrcn`.
    """
    if not splits:
        raise UsageError("--splits needs at least one number")
    check_outputs(folders=[("--output", output), ("--flow-dir", flow_dir)])
    require("lightning", extra="train", wanted_by="lrcn reproduce")
    from dataclasses import replace

    from lrcn.experiments import paper_table
    from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS

    names = RGB_CONFIGS if streams == "rgb" else (*RGB_CONFIGS, *FLOW_CONFIGS)
    settings = {
        name: RecognitionTrainingConfig(**read_settings(configs / f"{name}.yaml", RecognitionTrainingConfig))
        for name in names
    }
    table = paper_table.reproduce(
        lambda number: replace(data_set, split_number=number).read(data),
        data,
        output=output,
        configs=settings,
        splits=splits,
        flow_dir=flow_dir,
        views=(CENTER_VIEW,) if crops == 1 else TEN_CROP_VIEWS,
        device=device,
        cache_dir=cache_dir,
        quiet=quiet,
        on_progress=lambda text: remark(text, quiet=quiet),
    )
    print(table.to_markdown())
    remark(f"table: {output / 'table.md'}", quiet=quiet)
    return exit_code_after(table.num_videos, table.failures, "videos")
