"""The command line of the sets, and that lrcn itself does not know them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lrcn_sets.cli import main

COMMANDS = ["mocap-actions", "mocap-captions", "behaviour", "emoji-scenes", "stamp-scenes", "facts"]


def test_the_package_runs_as_a_program_without_torch() -> None:
    code = (
        "import sys, runpy, atexit; sys.argv = ['lrcn_sets', '--help'];"
        "atexit.register(lambda: print('SEEN', sorted({'torch', 'numpy', 'av', 'PIL'} & set(sys.modules))));"
        "runpy.run_module('lrcn_sets', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: python -m lrcn_sets COMMAND")
    assert done.stdout.splitlines()[-1] == "SEEN []"
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_explains_every_flag(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "600")  # each flag and its text on one line
    assert main([command, "--help"]) == 0
    lines = [line.strip("│ *") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert lines
    for line in lines:
        flag, _, text = line.partition("  ")
        assert len(text.partition("[")[0].split()) >= 2, f"no help for {flag}"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mocap-action", "x"], 2, 'Did you mean "mocap-actions"?'),
        (["mocap-actions"], 2, "FOLDER requires an argument"),
        (["mocap-actions", "x", "--workers", "0"], 2, "--workers. Must be > 0."),
        (["facts", "x"], 2, "try: python -m lrcn_sets facts --help"),
        (["behaviour", "x", "--minutes", "0.1"], 1, "minutes must be 0.5 to 60, got 0.1"),
        (["mocap-actions", "x", "--size-px", "33"], 1, "size_px must be an even number from 32, got 33"),
    ],
)
def test_what_is_wrong_is_told_with_the_exit_code(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([str(tmp_path / "x") if word == "x" else word for word in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lrcn: error: ")
    assert message in captured.err
    assert len(captured.err.splitlines()) <= 2
    assert not (tmp_path / "x").exists()


def test_lrcn_imports_no_set(clip20: Path, tiny_model: Path) -> None:
    code = (
        "import sys; from lrcn.cli import main; "
        "code = main(sys.argv[1:]); print(code, [name for name in sys.modules if name.startswith('lrcn_sets')])"
    )
    command = ["recognize", str(clip20), "--model", str(tiny_model), "--quiet"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
