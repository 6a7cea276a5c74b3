"""Tasks are rows of one table: every part that a row names is there, and nothing else asks for a task by name."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import lrcn
from lrcn.errors import UnknownNameError
from lrcn.tasks import TASKS, Lazy, task_named

SOURCE = Path(lrcn.__file__).parent
TASK_CLASSES = {
    f"{task}{kind}"
    for task in ("Recognition", "Captioning")
    for kind in ("TrainingConfig", "Header", "Model", "Recipe", "Config", "Module")
} | {"Recognizer", "Captioner"}


@pytest.mark.parametrize("name", TASKS)
def test_every_part_of_a_row_is_there(name: str) -> None:
    task = task_named(name)
    parts = [value for field in fields(task) if isinstance(value := getattr(task, field.name), Lazy)]
    assert len(parts) >= 7
    assert all(callable(part()) for part in parts)
    assert task.predictor().task == name
    assert task.header.__dataclass_fields__["task"].default == name
    assert task.outputs in task.header.__dataclass_fields__


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'captionning'; did you mean 'captioning'"):
        task_named("captionning")


def branches(tree: ast.AST) -> list[str]:
    """Return the conditions in which a task is asked for by its name, or one of its classes decides between two."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(
            isinstance(part, ast.Constant) and part.value in TASKS for part in (node.left, *node.comparators)
        ):
            found.append(ast.unparse(node))
        if isinstance(node, ast.If | ast.IfExp):
            for call in ast.walk(node.test):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "isinstance":
                    names = {part.id for part in ast.walk(call.args[1]) if isinstance(part, ast.Name)}
                    if names & TASK_CLASSES:
                        found.append(ast.unparse(call))
    return found


def test_a_branch_between_tasks_is_found() -> None:
    for text in (
        "task == 'captioning'",
        "x = 1 if header.task != 'recognition' else 2",
        "task in ('recognition', 'x') or 'captioning' == y",
        "if isinstance(config, CaptioningTrainingConfig | None): pass",
        "match = 1 if not isinstance(x, (int, RecognitionHeader)) else 2",
    ):
        assert branches(ast.parse(text)), text


def test_tasks_are_told_apart_in_one_file_only() -> None:
    allowed = {
        # a captioner takes a network or what runs an exported one: no choice between tasks
        "inference/captioning/predictor.py": ["isinstance(model, CaptioningModel)"],
        # rows of their own for each task are still to come: what a page shows, a server routes, a table holds
        "batch/reading.py": ["isinstance(predictor, Captioner)"] * 3,
        "demo/looking.py": ["isinstance(predictor, Captioner)"],
        "demo/page.py": ["isinstance(predictor, Captioner)"],
        "serving/loading.py": ["isinstance(predictor, Recognizer)"],
    }
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if place != "tasks.py" and (these := branches(ast.parse(path.read_text(encoding="utf-8")))):
            found[place] = these
    assert found == allowed
