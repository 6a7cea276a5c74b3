"""`lrcn train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

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
from lrcn.training.run_folder import SEARCH_FOLDER

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
_Search = Annotated[
    bool,
    Parameter(
        negative="",
        show_default=False,
        help="Try several recipes on your clips first (heads, layers, lengths of a clip), by holding out whole sources "
        "(people, places) in turn; then train the best on all training and validation clips. `search.csv` in "
        "`--output` holds all scores. The nested estimate among them is what to expect on new sources. Takes 15 "
        "trainings a recipe, on the same features.",
    ),
]
_Minutes = Annotated[
    float | None,
    Parameter(
        show_default=False,
        validator=Number(gt=0),
        help="With `--search`: begin no further training after this time, and choose among the recipes that are "
        "through. Features count; the last training comes on top. Left out, all recipes are tried.",
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
    search: _Search = False,
    minutes: _Minutes = None,
    resume: _Resume = False,
    print_config: _PrintConfig = False,
    device: Device = "auto",
    cache_dir: Path | None = None,
    quiet: Quiet = False,
    data_set: DataSet = DATA_SET,
    settings: _RecognitionSettings = _RECOGNITION,
) -> None:
    """Train a model that recognises the classes of a data set of videos.

    The folder of the run then holds `model.safetensors`, the settings, the history and its curves.
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
    search = search or (resume and (output / SEARCH_FOLDER).is_dir())
    if minutes is not None and not search:
        raise UsageError("--minutes is the time of a search; add --search")
    data_set.check_stream(settings.stream)
    known = data_set.read(data, seed=settings.seed, vectors=settings.vectors)
    # `lrcn evaluate` must divide recordings as they were divided here
    again = f"{data}{data_set.said(seed=settings.seed)}" if known.recordings else str(data)
    if search:
        _search(settings, known, again, output, minutes, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)
    else:
        _train(settings, known, again, output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)


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
    _train(settings, known, str(data), output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)


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
    data: str,
    output: Path,
    *,
    resume: bool,
    device: str,
    cache_dir: Path | None,
    quiet: bool,
) -> None:
    from lrcn.training.fit import train

    result = train(settings, known, output=output, resume=resume, device=device, cache_dir=cache_dir, quiet=quiet)
    if result.history:
        _draw_curves(output, quiet=quiet)
    if (flags := _flags_to_measure(known, settings)) is not None:
        remark(f"measure it: lrcn evaluate {output} {data}{flags}", quiet=quiet)
    print(result.model_path)


def _search(
    settings: RecognitionTrainingConfig,
    known: RecognitionData,
    data: str,
    output: Path,
    minutes: float | None,
    *,
    resume: bool,
    device: str,
    cache_dir: Path | None,
    quiet: bool,
) -> None:
    from lrcn.experiments.search import SEARCH_TABLE, search

    report = search(
        settings,
        known,
        output=output,
        minutes=minutes,
        resume=resume,
        device=device,
        cache_dir=cache_dir,
        quiet=quiet,
    )
    _draw_curves(output, quiet=quiet)
    remark(f"all scores: {output / SEARCH_TABLE}", quiet=quiet)
    if any(example.split == "test" for example in known.examples):
        remark(f"measure it: lrcn evaluate {output} {data}", quiet=quiet)
    print(report.model_path)


def _draw_curves(output: Path, *, quiet: bool) -> None:
    from lrcn.plots.charts import save_curves

    try:
        save_curves(output / "history.csv", output / "curves.png")
    except MissingExtraError as exc:
        remark(f"no curves: {exc}", quiet=quiet)


def _flags_to_measure(known: RecognitionData | CaptionData, settings: TrainingConfig) -> str | None:
    """Return the flags with which `lrcn evaluate` finds examples that training did not see; None if there are none."""
    if all(example.path.suffix.lower() == ".txt" for example in known.examples):
        return None  # sentences alone
    splits = {example.split for example in known.examples}
    if "test" in splits:
        return ""
    if "val" in splits and not settings.refit:
        # the seed may have drawn the validation part
        is_said = getattr(known, "recordings", ()) or not settings.seed
        return f" --split val{'' if is_said else f' --seed {settings.seed}'}"
    return None
