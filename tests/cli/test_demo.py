"""What is wrong with the command line is one line, before a server runs; the page itself: tests/demo/test_page.py."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from lrcn.cli import exits, main


def test_a_port_that_is_taken_is_one_line(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", str(tiny_model), "--port", str(port), "--no-browser"]) == exits.ERROR
    told = capsys.readouterr().err
    assert told == (
        f"lrcn: error: 127.0.0.1:{port}: Address already in use; name another port with --port, or another --host\n"
    )


def test_an_address_that_is_not_here_is_one_line(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("192.0.2.7", "no such host", "a" * 300):
        assert main(["demo", str(tiny_model), "--host", host, "--port", "0", "--no-browser"]) == exits.ERROR
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("lrcn: error: ")
        assert line.endswith("name another port with --port, or another --host")


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "demo", str(tmp_path / "gone.safetensors")]) == exits.ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lrcn: error: {tmp_path / 'gone.safetensors'}: no such model file")
    assert main(["demo", str(tmp_path)]) == exits.ERROR
    assert "holds no model" in capsys.readouterr().err


def test_flags_out_of_range_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for port in ("-1", "65536", "http"):
        assert main(["demo", "--port", port]) == exits.USAGE
        assert "--port" in capsys.readouterr().err


def test_without_gradio_the_extra_is_named(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo", str(tiny_model), "--port", "0", "--no-browser"]) == exits.ERROR
    assert capsys.readouterr().err == "lrcn: error: lrcn demo needs: pip install 'lrcn[demo]'\n"


def test_help_says_what_it_does_and_what_it_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--help"]) == exits.OK
    told = " ".join(capsys.readouterr().out.split())
    assert "Open a page in the browser" in told
    assert "make demo" in told
