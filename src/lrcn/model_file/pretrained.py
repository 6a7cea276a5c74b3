"""A model as a folder in the layout of the Hugging Face Hub: `model.safetensors`, `config.json`, a model card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from lrcn.config import ModelHeader
from lrcn.errors import ModelFileError
from lrcn.model_file.header import header_to_dict
from lrcn.model_file.storage import MODEL_NAME, load, resolve, save
from lrcn.tasks import RECOGNITION, TASKS, H, M, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


def save_pretrained(
    folder: str | Path, header: ModelHeader, state: Mapping[str, Tensor], *, dtype: torch.dtype | None = None
) -> Path:
    """Write `model.safetensors`, `config.json` (its header, to be read by people) and `README.md`, the model card.

    Args:
        folder: Made if it is missing.
        header: As for `save`.
        state: As for `save`.
        dtype: As for `save`.

    Returns:
        The model file.

    Raises:
        ModelFileError: If something cannot be written.
    """
    folder = Path(folder)
    path = folder / MODEL_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        header = replace(header, sha256=save(path, header, state, dtype=dtype))
        config = json.dumps(header_to_dict(header), indent=2, ensure_ascii=False)
        (folder / "config.json").write_text(config + "\n", encoding="utf-8")
        (folder / "README.md").write_text(model_card(header, folder.resolve().name), encoding="utf-8")
    except OSError as exc:
        raise ModelFileError(f"{folder}: cannot be written: {exc.strerror or exc}") from exc
    return path


@overload
def from_pretrained(
    model: str | Path, *, revision: str | None = None, task: Task[H, M], device: str | torch.device = "cpu"
) -> tuple[H, M]: ...


@overload
def from_pretrained(
    model: str | Path,
    *,
    revision: str | None = None,
    task: str = RECOGNITION.name,
    device: str | torch.device = "cpu",
) -> tuple[Any, Any]: ...


def from_pretrained(
    model: str | Path,
    *,
    revision: str | None = None,
    task: Task[Any, Any] | str = RECOGNITION.name,
    device: str | torch.device = "cpu",
) -> tuple[Any, Any]:
    """Return header and network of a local model (see `resolve`) or of a repository on the Hugging Face Hub.

    Args:
        model: A file, a folder, the name of a shipped model, or `owner/name` on the Hub where no such path exists here.
        revision: Branch, tag or commit on the Hub.
        task: As for `load`.
        device: As for `load`.

    Raises:
        ModelFileError: If there is no such model, it cannot be fetched, or it cannot be loaded.
    """
    if _REPO_ID.fullmatch(str(model)) and not Path(model).exists():
        from huggingface_hub import hf_hub_download

        with _hub_errors(f"{model}: not found here, and not fetched from the Hugging Face Hub"):
            model = hf_hub_download(str(model), MODEL_NAME, revision=revision)
    return load(model, task=task, device=device)


def push_to_hub(folder: str | Path, repo_id: str, *, private: bool = False) -> str:
    """Upload a folder that `save_pretrained` wrote, under the account that `hf auth login` set up.

    Args:
        folder: What to upload; nothing but the three files of `save_pretrained` is.
        repo_id: `owner/name`; made if it is missing.
        private: Whether a repository made here is private.

    Returns:
        The repository's address.

    Raises:
        ModelFileError: If the folder holds no model, or the upload fails.
    """
    from huggingface_hub import HfApi

    resolve(folder)
    with _hub_errors(f"{folder}: not uploaded to {repo_id}"):
        api = HfApi()
        address = str(api.create_repo(repo_id, private=private, exist_ok=True))
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=[MODEL_NAME, "config.json", "README.md"])
    return address


def model_card(header: ModelHeader, name: str) -> str:
    """Return the text of the model's `README.md`.

    Args:
        header: Of the model.
        name: Its title, and what the commands in it call its folder.
    """
    config, task = header_to_dict(header), TASKS[header.task]
    front = ["library_name: lrcn", f"pipeline_tag: {task.pipeline}", f"tags: [lrcn, {header.task}]"]
    if isinstance(licence := header.provenance.get("licence"), str):
        front.append(f"license: {json.dumps(licence)}")
    outputs = config[task.outputs]
    return "\n".join(
        [
            "---",
            *front,
            "---",
            f"# {name}",
            "",
            f"A {header.task} model of [lrcn](https://pypi.org/project/lrcn/): "
            "a CNN looks at every frame, an LSTM reads the sequence.",
            "",
            "## Use",
            "```",
            "pip install lrcn",
            f"{task.command} {task.file} --model {name}",
            "```",
            "```python",
            "import lrcn",
            "",
            f"model = lrcn.load({name!r})",
            f'print(model("{task.file}").{task.answer})',
            "```",
            "",
            f"## {task.outputs.capitalize()} ({len(outputs)})",
            ", ".join(f"`{word}`" for word in outputs),
            "",
            "## Network",
            *_fenced(config["model"]),
            "## Pixels it expects",
            "`lrcn` prepares them by itself.",
            *_fenced(config["preprocess"]),
            "## Where it comes from",
            *_fenced(config["provenance"]),
            f"sha256 `{header.sha256}` (of the model file with these digits set to zero)",
            "",
        ]
    )


def _fenced(value: object) -> list[str]:
    return ["```json", json.dumps(value, indent=2, ensure_ascii=False), "```", ""]


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    # its bases, because a refused connection is an error of the HTTP library, which differs between versions
    expected: tuple[type[BaseException], ...] = (OSError, ValueError, *HfHubHTTPError.__bases__)
    try:
        yield
    except expected as exc:
        reason = " ".join(str(exc).split())
        raise ModelFileError(f"{what}: {reason}") from exc
