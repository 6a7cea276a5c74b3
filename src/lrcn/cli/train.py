"""`lrcn train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from lrcn.cli.exits import UsageError
from lrcn.cli.options import DATA_SET, Data, DataSet, Device, Quiet
from lrcn.cli.settings import YamlBelowFlags
from lrcn.cli.terminal import remark
from lrcn.errors import MissingExtraError, require
from lrcn.training.config import RecognitionTrainingConfig

app = App(name="train")
"""One command a task."""

_Settings = Annotated[RecognitionTrainingConfig, Parameter(name="*", group="Settings (flags, or keys of --config)")]
_DEFAULTS = RecognitionTrainingConfig()


@app.command(config=YamlBelowFlags(RecognitionTrainingConfig))
def recognition(
    data: Data | None = None,
    /,
    *,
    output: Path | None = None,
    config: Path | None = None,
    resume: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    print_config: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    device: Device = "auto",
    cache_dir: Path | None = None,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
    settings: _Settings = _DEFAULTS,
) -> None:
    """Train a model that recognises the classes of a data set of videos.

    The folder of the run then holds `model.safetensors` (the best epoch), the settings, the history and its curves.
    The defaults suit a laptop: the CNN stays as it is, its features are computed once and kept, the LSTM is trained.

    Args:
        output: Folder for the run; made if missing.
        config: YAML file with settings. Flags override it, it overrides the defaults.
        resume: Go on with the run in `--output` that was stopped or killed; the result is the same as without a stop.
        print_config: Print all settings as YAML and stop; a starting point for `--config`.
        cache_dir: Where features are kept between runs. Left out, `~/.cache/lrcn/features`.
    """
    if print_config:
        import yaml

        print(yaml.safe_dump(settings.to_dict(), sort_keys=False, allow_unicode=True), end="")
        return
    if data is None or output is None:
        missing = "a data set" if data is None else "--output DIR"
        raise UsageError(f"train needs {missing}; try: lrcn train recognition --help")
    require("lightning", extra="train", wanted_by="lrcn train")
    from lrcn.plots.charts import save_curves
    from lrcn.training.fit import train

    result = train(
        settings,
        data_set.read(data, seed=settings.seed),
        output=output,
        resume=resume,
        device=device,
        cache_dir=cache_dir,
        quiet=quiet,
    )
    try:
        if result.history:
            save_curves(output / "history.csv", output / "curves.png")
    except MissingExtraError as exc:
        remark(f"no curves: {exc}", quiet=quiet)
    remark(f"measure it: lrcn evaluate {output} {data}", quiet=quiet)
    print(result.model_path)
