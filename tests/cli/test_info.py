from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lrcn.cli import main
from lrcn.graphs.exported import ExportedModel
from lrcn.model_file.header import header_to_dict
from lrcn.model_file.storage import inspect


def test_json_is_the_whole_header(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tiny_model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == header_to_dict(inspect(tiny_model))


def test_text_names_every_field(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tiny_model)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"file: {tiny_model}"
    for line in ("  hidden_size: 8", "  clip_length: 4", "    name: caffenet", "  licence: test", "  2: jump"):
        assert line in lines
    assert f"sha256: {inspect(tiny_model).sha256}" in lines


def test_info_needs_no_torch(tiny_model: Path) -> None:
    code = "import sys; from lrcn.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code, "info", str(tiny_model)], text=True)
    assert printed.splitlines()[-1] == "False"


def test_damaged_file_is_one_line(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(tiny_model.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    assert main(["info", str(damaged)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"lrcn: error: {damaged}: damaged")
    assert len(error.splitlines()) == 1


def test_an_exported_folder_says_what_it_holds(tiny_model: Path, exported: dict[str, ExportedModel]) -> None:
    folder = exported["onnx"].folder
    code = "import sys; from lrcn.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    printed = subprocess.check_output([sys.executable, "-c", code, "info", str(folder)], text=True).splitlines()
    assert printed[0] == f"folder: {folder}"
    for line in ("  format: onnx", "  precision: fp32", "  2: jump", f"sha256: {inspect(tiny_model).sha256}"):
        assert line in printed
    assert any(line.startswith("    backbone.onnx: ") for line in printed)
    assert printed[-1] == "False"
