"""`lrcn ablate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.types import PositiveInt

from lrcn.cli.exits import exit_code_after
from lrcn.cli.options import DATA_SET, Data, DataSet, Device, Json, Quiet
from lrcn.cli.outputs import check_outputs
from lrcn.cli.settings import YamlBelowFlags
from lrcn.cli.terminal import print_json, remark
from lrcn.errors import require
from lrcn.training.recognition.config import RecognitionTrainingConfig

app = App(name="ablate", config=YamlBelowFlags(RecognitionTrainingConfig))

_Settings = Annotated[RecognitionTrainingConfig, Parameter(name="*", group="Settings (flags, or keys of --config)")]
_DEFAULTS = RecognitionTrainingConfig()


@app.default
def ablate(
    data: Data,
    /,
    *,
    output: Path,
    config: Path | None = None,
    seeds: PositiveInt = 3,
    split: str = "test",
    device: Device = "auto",
    cache_dir: Path | None = None,
    json_output: Json = False,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
    settings: _Settings = _DEFAULTS,
) -> int:
    """Find out whether the order of frames matters for your classes.

    Trains LRCN, a classifier of single frames and one of the mean feature on the same cached features, with several
    seeds, and scores them on a split, beside LRCN's last step alone and LRCN on shuffled frames. Started again, it goes
    on with the runs that are there.

    Args:
        output: Folder for the runs, `ablation.json` and `ablation.md`; made if missing.
        config: YAML file with settings. Flags override it, it overrides the defaults.
        seeds: How many seeds, counted from 0.
        split: Which part of the data set to score on: test or val.
        cache_dir: Keeps features between runs, in its folder `features`. Left out, `~/.cache/lrcn`.
    """
    data_set.check_stream(settings.stream)
    check_outputs(folders=[("--output", output)])
    require("lightning", extra="train", wanted_by="lrcn ablate")

    from lrcn.experiments import ablation

    report = ablation.ablate(
        settings,
        data_set.read(data, seed=settings.seed),
        output=output,
        seeds=range(seeds),
        split=split,
        device=device,
        cache_dir=cache_dir,
        quiet=quiet,
    )
    report.save(output)
    print_json(report.to_dict()) if json_output else print(report.to_markdown())
    remark(f"report: {output / 'ablation.md'}", quiet=quiet)
    return exit_code_after(report.num_videos, list(report.failures), "videos")
