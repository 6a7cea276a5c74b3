"""`lrcn train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from lrcn.cli.exits import UsageError
from lrcn.cli.options import (
    CAPTION_DATA_SET,
    DATA_SET,
    CaptionDataSet,
    CaptionsData,
    Data,
    DataSet,
    Device,
    Quiet,
)
from lrcn.cli.outputs import check_outputs
from lrcn.cli.settings import YamlBelowFlags
from lrcn.cli.terminal import remark
from lrcn.errors import MissingExtraError, require
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.config import TrainingConfig
from lrcn.training.recognition.config import RecognitionTrainingConfig

if TYPE_CHECKING:
    from lrcn.data.captioning.examples import CaptionData
    from lrcn.data.recognition.examples import RecognitionData

app = App(name="train")
"""One command a task."""

_GROUP = Parameter(name="*", group="Settings (flags, or keys of --config)")
_RecognitionSettings = Annotated[RecognitionTrainingConfig, _GROUP]
_CaptioningSettings = Annotated[CaptioningTrainingConfig, _GROUP]
_RECOGNITION = RecognitionTrainingConfig()
_CAPTIONING = CaptioningTrainingConfig()
_Resume = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Go on with the run in `--output` that was stopped or killed, with its settings; the result is the same "
        "as without a stop. A run killed before its first step left nothing but features: it begins again, with the "
        "settings given now.",
    ),
]
_PrintConfig = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Print all settings as YAML and stop; a starting point for `--config`.",
    ),
]


@app.command(config=YamlBelowFlags(RecognitionTrainingConfig))
def recognition(
    data: Data | None = None,
    /,
    *,
    output: Path | None = None,
    config: Path | None = None,
    resume: _Resume = False,
    print_config: _PrintConfig = False,
    device: Device = "auto",
    cache_dir: Path | None = None,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
    settings: _RecognitionSettings = _RECOGNITION,
) -> None:
    """Train a model that recognises the classes of a data set of videos.

    The folder of the run then holds `model.safetensors` (the best epoch), the settings, the history and its curves.
    The defaults suit a laptop: the CNN stays as it is, its features are computed once and kept, the LSTM is trained.

    Args:
        output: Folder for the run; made if missing.
        config: YAML file with settings. Flags override it, it overrides the defaults.
        cache_dir: Keeps features between runs, in its folder `features`. Left out, `~/.cache/lrcn`.
    """
    if print_config:
        _print(settings)
        return
    data, output = _both(data, output, "recognition")
    data_set.check_stream(settings.stream)
    known = data_set.read(data, seed=settings.seed)
    _train(settings, known, data, output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)


@app.command(config=YamlBelowFlags(CaptioningTrainingConfig))
def captioning(
    data: CaptionsData | None = None,
    /,
    *,
    output: Path | None = None,
    config: Path | None = None,
    resume: _Resume = False,
    print_config: _PrintConfig = False,
    device: Device = "auto",
    cache_dir: Path | None = None,
    quiet: Quiet = False,
    data_set: CaptionDataSet = CAPTION_DATA_SET,
    settings: _CaptioningSettings = _CAPTIONING,
) -> None:
    """Train a model that describes pictures or videos in a sentence.

    The folder of the run then holds `model.safetensors` (the best epoch by CIDEr-D), the settings, the history and its
    curves. The defaults suit a laptop: the CNN stays as it is, its features are computed once and kept, the LSTM is
    trained. Then, for the last points of CIDEr-D: `--objective cider_d --init-from RUN --lr 1e-4`.

    Args:
        output: Folder for the run; made if missing.
        config: YAML file with settings. Flags override it, it overrides the defaults.
        cache_dir: Keeps features between runs, in its folder `features`. Left out, `~/.cache/lrcn`.
    """
    if print_config:
        _print(settings)
        return
    data, output = _both(data, output, "captioning")
    known = data_set.read(data, seed=settings.seed, need_files=settings.looks_at_pictures)
    _train(settings, known, data, output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)


def _print(settings: TrainingConfig) -> None:
    import yaml

    print(yaml.safe_dump(settings.to_dict(), sort_keys=False, allow_unicode=True), end="")


def _both(data: Path | None, output: Path | None, command: str) -> tuple[Path, Path]:
    if data is None or output is None:
        missing = "a data set" if data is None else "--output DIR"
        raise UsageError(f"train needs {missing}; try: lrcn train {command} --help")
    check_outputs(folders=[("--output", output)])
    require("lightning", extra="train", wanted_by="lrcn train")
    return data, output


def _train(
    settings: RecognitionTrainingConfig | CaptioningTrainingConfig,
    known: RecognitionData | CaptionData,
    data: Path,
    output: Path,
    *,
    resume: bool,
    device: str,
    cache_dir: Path | None,
    quiet: bool,
) -> None:
    from lrcn.plots.charts import save_curves
    from lrcn.training.fit import train

    result = train(settings, known, output=output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)
    try:
        if result.history:
            save_curves(output / "history.csv", output / "curves.png")
    except MissingExtraError as exc:
        remark(f"no curves: {exc}", quiet=quiet)
    if (flags := _flags_to_measure(known, settings)) is not None:
        remark(f"measure it: lrcn evaluate {output} {data}{flags}", quiet=quiet)
    print(result.model_path)


def _flags_to_measure(known: RecognitionData | CaptionData, settings: TrainingConfig) -> str | None:
    """Return the flags with which `lrcn evaluate` finds examples that training did not see; None if there are none."""
    if all(example.path.suffix.lower() == ".txt" for example in known.examples):
        return None  # sentences alone
    splits = {example.split for example in known.examples}
    if "test" in splits:
        return ""
    if "val" in splits and not settings.refit:
        # the seed may have drawn the validation part
        return f" --split val{f' --seed {settings.seed}' if settings.seed else ''}"
    return None
