from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App
from rich.console import Console, ConsoleDimensions

import lrcn.cli
from lrcn.cli import exits, main
from lrcn.errors import ConfigError

LRCN = [sys.executable, "-m", "lrcn"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LRCN, *arguments], capture_output=True, text=True, check=False)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lrcn.cli import main; code = main(sys.argv[1:]);"
        "heavy = {'torch', 'torchvision', 'lightning', 'numpy', 'av', 'timm', 'pydantic'} & set(sys.modules);"
        "print('SEEN', code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "SEEN 0 []"
    for name, (_, line) in lrcn.cli.COMMANDS.items():
        assert name in done.stdout
        assert line.split()[0] in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *["recognize", "caption", "retrieve", "stream", "serve", "train recognition", "train captioning", "evaluate"],
        *["data check", "data flow", "data extract", "data budget", "data agree", "ablate", "reproduce", "export"],
        *["info", "import-caffe"],
    ],
)
def test_help_of_a_command_explains_every_flag(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # each flag and its text on one line; COLUMNS would come too late, where another test asked for help before
    monkeypatch.setattr(Console, "size", ConsoleDimensions(2000, 50))
    assert main([*command.split(), "--help"]) == 0
    lines = [line.strip("│ *") for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert lines
    for line in lines:
        flag, _, text = line.partition("  ")
        sentence = text.partition("[")[0]
        assert len(sentence.split()) >= 2, f"no help for {flag}"


def test_no_command_module_imports_torch() -> None:
    modules = sorted({path.partition(":")[0] for path, _ in lrcn.cli.COMMANDS.values()})
    code = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recognise"], 'Unknown command "recognise". Did you mean "recognize"?'),
        (["recognize", "a.mp4", "--modle", "m"], "Unknown option: --modle. Did you mean --model?"),
        (["recognize", "a.mp4", "--top-k", "few"], 'Invalid value for --top-k: unable to convert "few" into int.'),
        (["recognize", "a.mp4", "--top-k", "0"], 'Invalid value "0" for --top-k. Must be > 0.'),
        (["recognize", "a.mp4", "--clip-stride", "0"], "--clip-stride. Must be > 0."),
        (["recognize", "a.mp4", "--batch-size", "-1"], "--batch-size. Must be > 0."),
        (["evaluate", "demo", "D", "--flow-model", "m", "--rgb-weight", "1.5"], "--rgb-weight. Must be <= 1."),
        (["caption", "a.png", "--model", "m", "--segment-s", "0"], "--segment-s. Must be > 0."),
        (["ablate", "D", "--output", "x", "--seeds", "0"], "--seeds. Must be > 0."),
        (["recognize"], "name at least one video, folder or glob"),
        (["info"], "MODEL requires an argument"),
        (["info", "a", "b"], "unexpected argument 'b'"),
        (["train", "recognition", "DATA"], "train needs --output DIR"),
        (["train", "recognition", "--output", "x"], "train needs a data set"),
        (["train", "recognition", "D", "--output", "x", "--hiden-size", "3"], "Did you mean --hidden-size?"),
    ],
)
def test_wrong_usage_is_told_in_two_lines_and_exits_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == exits.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lrcn: error: ")
    assert message in captured.err
    assert "--help" in captured.err
    assert len(captured.err.splitlines()) <= 2


def test_settings_that_cannot_be_are_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "recognition", "DATA", "--output", str(tmp_path / "run")]
    assert main([*command, "--lr", "-1"]) == exits.USAGE
    assert capsys.readouterr().err == "lrcn: error: lr must be above 0, got -1.0\n"
    (tmp_path / "c.yaml").write_text("lr: -1\n")
    assert main([*command, "--config", str(tmp_path / "c.yaml")]) == exits.USAGE
    assert not (tmp_path / "run").exists()


def failing_app(error: BaseException) -> App:
    app = App(result_action="return_value")

    @app.default
    def fail() -> int:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("x must be 1"), 1, "lrcn: error: x must be 1\n"),
        (exits.UsageError("a without b"), 2, "lrcn: error: a without b\n"),
        (KeyboardInterrupt(), 130, "lrcn: interrupted\n"),
        (PermissionError(13, "Permission denied", "/etc/x.csv"), 1, "lrcn: error: /etc/x.csv: Permission denied\n"),
    ],
)
def test_errors_become_one_line_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lrcn.cli, "make_app", lambda: failing_app(error))
    assert main([]) == code
    assert capsys.readouterr().err == said


def test_bug_shows_its_traceback_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lrcn.cli, "make_app", lambda: failing_app(ZeroDivisionError("oops")))
    assert main([]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert "ZeroDivisionError: oops" in lines
    assert "please report it" in lines[-1]


def test_device_out_of_memory_names_the_flag_that_helps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    monkeypatch.setattr(lrcn.cli, "make_app", lambda: failing_app(OutOfMemoryError("CUDA ...")))
    assert main([]) == 1
    assert "--batch-size" in capsys.readouterr().err


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, version("lrcn"))


def test_reader_that_goes_away_is_no_error(tiny_model: Path) -> None:
    with subprocess.Popen([*LRCN, "info", str(tiny_model)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == exits.BROKEN_PIPE


def test_reader_that_goes_away_from_a_table_is_no_error(tiny_model: Path, clip20: Path) -> None:
    command = [*LRCN, "recognize", str(clip20), "--model", str(tiny_model), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == exits.BROKEN_PIPE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_under_the_output_is_one_line(tiny_model: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*LRCN, "info", str(tiny_model)], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == exits.ERROR
    assert done.stderr.splitlines()[0] == "lrcn: error: no space left where the output goes"
    assert "Traceback" not in done.stderr


def test_a_closed_output_is_no_bug(tiny_model: Path, clip20: Path) -> None:
    for words in (f'info "{tiny_model}"', f'recognize "{clip20}" --model "{tiny_model}" --quiet'):
        command = f'"{LRCN[0]}" {" ".join(LRCN[1:])} {words} >&-'
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT")
@pytest.mark.parametrize(
    ("signal_number", "said"), [(signal.SIGINT, "lrcn: interrupted\n"), (signal.SIGTERM, ""), (signal.SIGHUP, "")]
)
def test_a_signal_ends_it_in_order_and_leaves_no_table(
    tiny_model: Path, clip20: Path, tmp_path: Path, signal_number: int, said: str
) -> None:
    table = tmp_path / "out.csv"
    many = tmp_path / "many"
    many.mkdir()
    for i in range(300):
        (many / f"{i}.avi").symlink_to(clip20)
    command = [*LRCN, "recognize", str(many), "--model", str(tiny_model), "--csv", str(table), "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a shell's background job has none
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it is at work
        process.send_signal(signal_number)
        process.stdout.read()
        assert process.stderr.read() == said
    assert process.returncode == 128 + signal_number
    assert list(tmp_path.iterdir()) == [many]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_json_keeps_every_letter_on_any_terminal(encoding: str, tmp_path: Path) -> None:
    script = "from lrcn.cli.terminal import print_json; print_json({'label': 'h\\u00fcpfen \\u8df3 \\ud800'})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=True,
    )
    assert json.loads(done.stdout.decode(encoding)) == {"label": "h\u00fcpfen \u8df3 \ud800"}
