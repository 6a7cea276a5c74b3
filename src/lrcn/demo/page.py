"""What is on the page, in Gradio's words. `server.py` imports this once Gradio is told to keep to itself."""

from __future__ import annotations

import shutil
import tempfile
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

import gradio as gr

from lrcn.demo.looking import look, told_of
from lrcn.demo.markup import render, style
from lrcn.demo.models import Models
from lrcn.errors import LRCNError, MediaError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.video.read import probe

MOST_WAITING = 32
"""Requests that wait for their turn; one is looked at at a time."""

FILES_KEPT_S = 3600
"""Uploads and results are deleted when they are this old."""

_MOST_LABELS = 14
"""Named in the line about a model."""

_EXAMPLES = {"Video": ("walking.mp4",), "Picture": ("dolphin.jpg", "astronaut.jpg")}
"""Of the package's assets."""

_NOT_UPLOADED = "a file is wanted that was uploaded here"

Upload = dict[str, Any] | None
"""A file as Gradio tells of it."""


def build_page(models: Models, ending: threading.Event) -> gr.Blocks:
    """Return the page on which these models can be tried; what is looked at when `ending` is set is given up."""

    def answer(upload: Upload, name: str, progress: gr.Progress = gr.Progress()) -> tuple[str, gr.File]:  # noqa: B008 - how Gradio is asked for one
        text, written = _answer(models, upload, name, progress, ending)
        return text, gr.File(value=written or None, visible=bool(written))

    def about(name: str) -> tuple[str, gr.Button, gr.Button]:
        text, verb = _about(models, name)
        return text, gr.Button(verb), gr.Button(verb)

    first = models.names[0]
    text, verb = _about(models, first)
    page: gr.Blocks
    with gr.Blocks(title="lrcn demo", analytics_enabled=False, delete_cache=(600, FILES_KEPT_S)) as page:
        gr.HTML(render("head.html"), apply_default_css=False)
        with gr.Row(elem_classes="lrcn-columns"):
            with gr.Column(scale=2, min_width=300):
                model = gr.Dropdown(
                    list(models.names), value=first, label="Model", visible=len(models.names) > 1, filterable=False
                )
                told = gr.HTML(text, apply_default_css=False)
                sources, buttons = [], []
                with gr.Tabs():
                    for kind, examples in _EXAMPLES.items():
                        with gr.Tab(kind):
                            source = _input(kind)
                            buttons.append(gr.Button(verb, variant="primary"))
                            assets = [[str(files("lrcn") / "assets" / name)] for name in examples]
                            gr.Examples(assets, source, label="Or one of ours", api_visibility="private")
                            sources.append(source)
            with gr.Column(scale=3, min_width=300):
                said = gr.HTML(render("empty.html"), apply_default_css=False, elem_id="answer")
                results = gr.File(
                    label="Download", file_count="multiple", interactive=False, visible=False, elem_id="download"
                )
        model.change(about, model, [told, *buttons], api_visibility="private", show_progress="hidden")
        for source, button in zip(sources, buttons, strict=True):
            button.click(
                answer,
                [source, model],
                [said, results],
                preprocess=False,  # or Gradio would decode what was uploaded, in this process
                concurrency_id="looking",
                concurrency_limit=1,
                api_visibility="private",
                show_progress_on=said,
                scroll_to_output=True,  # on a phone it is far below
            )
    for block in page.blocks.values():
        if isinstance(block, gr.components.Component):
            _take_uploads_only(block)
    page.queue(max_size=MOST_WAITING)
    return page


def theme() -> gr.themes.Base:
    """Return the colours and fonts of the page; the fonts are those of the machine that shows it."""
    default = gr.themes.Default(
        primary_hue="blue",
        neutral_hue="slate",
        font=("system-ui", "sans-serif"),
        font_mono=("ui-monospace", "monospace"),
    )
    return default.set(body_text_color_subdued="*neutral_600")  # Gradio's own is too light to read on white


def page_style() -> str:
    """Return the style sheet of what is not Gradio's."""
    return style()


def _input(kind: str) -> gr.Video | gr.Image:
    """Return where a video or a picture is dropped, chosen or recorded."""
    options: dict[str, Any] = {
        "label": kind,
        "buttons": [],
        "elem_classes": "lrcn-input",
        "webcam_options": gr.WebcamOptions(mirror=False),
    }
    source: gr.Video | gr.Image
    if kind == "Video":
        source = gr.Video(sources=["upload", "webcam"], include_audio=False, elem_id="video", **options)
    else:
        source = gr.Image(
            sources=["upload", "webcam", "clipboard"], type="filepath", elem_id="picture", alt_text="", **options
        )
    return source


def _take_uploads_only(block: gr.components.Component) -> None:
    """Refuse what else a hand-made request names in place of an upload, before Gradio copies it to where it serves it.

    Gradio itself would fetch an address, and asks where files lie in those apps alone that it has launched.
    """
    keep = block.async_move_resource_to_block_cache

    async def uploads_only(place: str | Path | None) -> str | None:
        if place is not None and not _was_uploaded(str(place)):
            raise gr.Error(_NOT_UPLOADED, print_exception=False)
        return await keep(place)

    setattr(block, "async_move_resource_to_block_cache", uploads_only)  # noqa: B010 - of this one block


def _was_uploaded(place: str) -> bool:
    """Whether a file lies where uploads and results do."""
    folder = Path(gr.utils.get_upload_folder()).resolve()
    return "://" not in place and Path(place).resolve().is_relative_to(folder)


def _answer(
    models: Models, upload: Upload, name: str, progress: gr.Progress, ending: threading.Event
) -> tuple[str, list[str]]:
    """Return what the page shows of an upload, an answer or what is wrong, and the files to download."""
    if not upload or not upload.get("path"):
        return render("problem.html", message="Choose a video or a picture first."), []
    if not _was_uploaded(upload["path"]):
        return render("problem.html", message=_NOT_UPLOADED), []
    path = Path(upload["path"])
    folder = Path(tempfile.mkdtemp(prefix="answer-", dir=gr.utils.get_upload_folder()))
    try:
        progress(0.0, desc="loading the model")
        predictor = models.load(name)
        duration_s = probe(path).duration_s

        def show(done_s: float) -> None:
            if ending.is_set():  # else the process would wait for it: nothing else stops a thread
                raise MediaError("given up, for the server ends")
            share = min(1.0, done_s / duration_s) if duration_s else 1.0
            progress(share, desc=f"{done_s:.0f} of {duration_s:.0f} s" if duration_s else "looking")

        progress(0.0, desc="looking")
        found = look(predictor, path, folder, on_progress=show)
    except (LRCNError, OSError) as exc:
        shutil.rmtree(folder, ignore_errors=True)
        # of the system's errors: a full disk, or an upload that was deleted meanwhile
        message = str(exc) if isinstance(exc, LRCNError) else f"{path.name}: {exc.strerror or exc}"
        return render("problem.html", message=told_of(path, message)), []
    return found.page, [str(file) for file in found.files]  # which Gradio deletes with its own


def _about(models: Models, name: str) -> tuple[str, str]:
    """Return a line about a model, and what the buttons say."""
    try:
        predictor = models.load(name)
    except LRCNError as exc:
        return render("problem.html", message=str(exc)), "Look"
    if isinstance(predictor, Captioner):
        return render(
            "model.html", about=f"Says in a sentence what it sees, with {len(predictor.vocabulary.words)} words."
        ), "Describe"
    labels = predictor.labels
    more = f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else ""
    return render("model.html", about=f"Knows {', '.join(labels[:_MOST_LABELS])}{more}."), "Recognise"
