"""A model file in, what uses it out, whatever task it was made for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn import model_file
from lrcn.config import CaptioningHeader
from lrcn.devices import choose_device
from lrcn.errors import ConfigError
from lrcn.graphs.exported import exported_task, is_exported, read_exported
from lrcn.graphs.sessions import GraphEncoder, choose_engine
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.predictor import load as load_recognizer
from lrcn.model_file.shipped import DEMO
from lrcn.model_file.storage import MODEL_NAME
from lrcn.video.views import CENTER_VIEW, View

if TYPE_CHECKING:
    from lrcn.inference.captioning.predictor import Captioner


def load(
    model: str | Path = DEMO,
    *,
    device: str = "auto",
    runtime: str | None = None,
    batch_size: int = 64,
    views: Sequence[View] = (CENTER_VIEW,),
    cache_dir: Path | None = None,
) -> Recognizer | Captioner:
    """Return a recognizer or a captioner, ready to be called.

    Args:
        model: A model file, a folder that `lrcn train` or `lrcn export` wrote, or `demo`: the model that ships in this
            package.
        device: `auto` (the GPU if there is one), or a torch device such as `cpu` or `cuda:1`.
        runtime: `torch`, `torch-bf16`, `onnxruntime`, `openvino`, `openvino-bf16`, or `auto`: the fastest of them that
            is installed and says what torch says. None is `torch` for a model file, and for an exported folder the
            runtime that it was made for. Of a captioning model file it runs the CNN; torch reads the features.
        batch_size: Frames that go through the CNN at once; lower it if memory runs out.
        views: Crops of each frame whose probabilities are averaged; of recognition models only.
        cache_dir: Where graphs made of model files are kept; None for the user's cache folder.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign or of a newer schema.
        ConfigError: If there is no such device, or the runtime cannot run this model, or a captioning model is
            given views.
        MissingExtraError: If the runtime is not installed.
    """
    if task_of(model) == "recognition":
        return load_recognizer(
            model, device=device, runtime=runtime, batch_size=batch_size, views=views, cache_dir=cache_dir
        )
    if tuple(views) != (CENTER_VIEW,):
        raise ConfigError("a captioning model looks at the centre crop: views are for recognition")
    return load_captioner(model, device=device, runtime=runtime, batch_size=batch_size, cache_dir=cache_dir)


def task_of(model: str | Path) -> str:
    """Return what a model file, or a folder that `lrcn export` wrote, was made for: `recognition` or `captioning`.

    Raises:
        ModelFileError: If it is missing, damaged, foreign or of a newer schema.
    """
    return exported_task(model) if is_exported(model) else model_file.inspect(model).task


def load_captioner(
    model: str | Path,
    *,
    device: str = "auto",
    runtime: str | None = None,
    batch_size: int = 64,
    cache_dir: Path | None = None,
) -> Captioner:
    """Return a captioner; arguments and errors as for `load`.

    Raises:
        TaskMismatchError: If the model was made for another task.
    """
    from lrcn.inference.captioning.predictor import Captioner

    if is_exported(model):
        return _open_exported_captioner(model, device=device, runtime=runtime, batch_size=batch_size)
    path = model_file.resolve(model)
    target = choose_device(device)
    header, network = model_file.load(path, task="captioning", device=target)
    trained = header.provenance.get("config")
    if isinstance(trained, dict) and trained.get("objective") == "sentences":
        raise ConfigError(
            f"{path}: a language model, which has looked at no picture; train on captions with --init-from {model}"
        )
    name = path.parent.resolve().name if path.name == MODEL_NAME else path.stem
    encoder = None
    if runtime is not None:
        from lrcn.features import default_cache_dir
        from lrcn.inference.runtimes import open_caption_runtime

        kept = cache_dir or default_cache_dir().parent / "runtimes"
        encoder = open_caption_runtime(runtime, header, network, device=str(target), cache_dir=kept)
    return Captioner(header, network, runtime=encoder, name=name, device=target, batch_size=batch_size)


def _open_exported_captioner(folder: str | Path, *, device: str, runtime: str | None, batch_size: int) -> Captioner:
    from lrcn.inference.captioning.graph_runtime import GraphCaptionDecoder
    from lrcn.inference.captioning.predictor import Captioner

    exported = read_exported(folder, task="captioning")
    assert isinstance(exported.header, CaptioningHeader)
    engine, bf16 = choose_engine(exported, runtime, device)
    has_backbone = exported.header.preprocess is not None
    encoder = GraphEncoder(exported, engine=engine, bf16=bf16) if has_backbone else None
    decoder = GraphCaptionDecoder(exported, engine=engine)
    name = Path(folder).resolve().name
    return Captioner(exported.header, decoder, runtime=encoder, name=name, batch_size=batch_size)
