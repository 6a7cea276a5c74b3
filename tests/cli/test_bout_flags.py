from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.cli import main


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--shortest", "1"], "--shortest is about bouts: give --bouts FOLDER, too"),
        (["--longest-gap", "0"], "--longest-gap is about bouts"),
        (["--plots"], "--plots is about bouts"),
        (["--review", "3"], "--review is about bouts"),
        (["--bouts", "out", "--format", "xlsx"], "xlsx"),
        (["--bouts", "out", "--clip-stride", "2"], "--clip-stride is about windows"),
        (["--bouts", "out", "--threshold", "1.5"], "1.5"),
    ],
)
def test_flags_that_do_not_go_together(
    flags: list[str],
    message: str,
    clip20: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["recognize", str(clip20), *flags]) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
