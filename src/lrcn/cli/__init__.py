"""The command line: a table of commands, and the one place where errors become lines and exit codes.

Exit codes: 0 all went well, 1 error, 2 wrong usage, 3 some inputs failed and the others are done, 130 interrupted.
Results go to stdout, progress and errors to stderr. No command imports torch before it needs it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import partial

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from lrcn.cli import exits
from lrcn.cli.numbers import join_numbers, split_numbers
from lrcn.errors import ConfigError, LRCNError, Notice, brief
from lrcn.files import NO_ROOM

COMMANDS = {
    "recognize": ("lrcn.cli.recognize:recognize", "Say what happens in videos, and when."),
    "caption": ("lrcn.cli.caption:caption", "Say in a sentence what pictures and videos show."),
    "retrieve": ("lrcn.cli.retrieve:retrieve", "Find the pictures that fit a sentence, or the other way round."),
    "batch": ("lrcn.cli.batch:batch", "Look at very many videos or pictures, with many processes or machines."),
    "stream": ("lrcn.cli.stream:stream", "Say what cameras show, as it happens."),
    "demo": ("lrcn.cli.demo:demo", "Open a page in the browser to try models on: videos, pictures, the camera."),
    "serve": ("lrcn.cli.serve:serve", "Answer over HTTP: uploads, and streams of frames."),
    "train": ("lrcn.cli.train:app", "Train a model on your own videos."),
    "evaluate": ("lrcn.cli.evaluate:evaluate", "Measure how good a model is on a data set."),
    "explain": ("lrcn.cli.explain:explain", "Show which places in a video speak for a label."),
    "data": ("lrcn.cli.data:app", "Check data sets, and compute their flow and features."),
    "ablate": ("lrcn.cli.ablate:app", "Find out whether the order of frames matters for your classes."),
    "reproduce": ("lrcn.cli.reproduce:reproduce", "Fill in the paper's table on UCF-101, HMDB-51 or the like."),
    "import-caffe": ("lrcn.cli.import_caffe:import_caffe", "Turn a net of the LRCN release into a model file."),
    "export": ("lrcn.cli.export:export", "Write a model as graphs that run without torch."),
    "info": ("lrcn.cli.info:info", "Print everything a model file says about itself."),
}
"""Command -> where it lives, and its line in `lrcn --help` (known without importing it)."""


def _version() -> str:
    from importlib.metadata import version

    return version("lrcn")


def empty_app(name: str, help: str) -> App:
    """Return a command line without commands that leaves errors and exit codes to `run`."""
    return App(
        name=name,
        help=help,
        help_epilogue="Exit codes: 0 done, 1 error, 2 wrong usage, 3 some inputs failed and the others are done.",
        version=_version,
        config=split_numbers,
        default_parameter=Parameter(negative_iterable=()),
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )


def make_app() -> App:
    """Return the command line as cyclopts sees it."""
    app = empty_app(
        "lrcn",
        "Recognise actions in video, describe what is seen: a CNN looks at every frame, an LSTM reads or writes.",
    )
    for name, (import_path, line) in COMMANDS.items():
        app.command(import_path, name=name, help=line)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of `lrcn` and return its exit code."""
    return run(make_app(), argv)


def run(app: App, argv: Sequence[str] | None = None) -> int:
    """Run one command of a command line and return its exit code; errors become lines.

    Args:
        app: From `empty_app`, with commands that return an exit code or nothing.
        argv: What follows the program's name; None for that of this process.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what users should know is printed by us; -W or PYTHONWARNINGS shows the rest
        warnings.simplefilter("default", Notice)
        warnings.formatwarning = lambda message, *rest, **more: brief(f"lrcn: warning: {message}") + "\n"
    if sys.stdout is None:  # closed by the shell: `lrcn ... >&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the program ends
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a label in another script must not stop a run on an old terminal
    _end_in_order()
    try:
        code = _run(app, list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:
        # `lrcn ... | head`: nobody reads on. Python would complain when it flushes at exit, so give it a sink.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    return code


def _end_in_order() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does: nothing half-written is left."""

    def end(signum: int, frame: object) -> None:
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        return
    for number in (getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP, and so do we
            signal.signal(number, end)


def _run(app: App, arguments: list[str]) -> int:
    try:
        code = _command(app, arguments)()
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print("lrcn: interrupted", file=sys.stderr)
        return exits.INTERRUPTED
    except exits.UsageError as exc:
        return exits.fail(str(exc), exits.USAGE)
    except LRCNError as exc:
        return exits.fail(str(exc), exits.ERROR)
    except CycloptsError as exc:
        return exits.fail(f"{_usage_message(exc)}\n{_help_hint(app, exc)}", exits.USAGE)
    except ModuleNotFoundError as exc:
        if exc.name != "torch":
            return _report_bug()
        return exits.fail(
            "this needs torch, which is not installed (pip install lrcn brings it); without it only folders that "
            "lrcn export wrote can be used: --model DIR",
            exits.ERROR,
        )
    except OSError as exc:
        if exc.errno in NO_ROOM and exc.filename is None:
            return exits.fail("no space left where the output goes", exits.ERROR)
        if exc.filename is None:
            return _report_bug()
        return exits.fail(f"{exc.filename}: {exc.strerror}", exits.ERROR)
    except Exception as exc:
        if type(exc).__name__ == "OutOfMemoryError":  # of torch, which need not be imported here
            return exits.fail("the device ran out of memory; try a smaller --batch-size or --device cpu", exits.ERROR)
        return _report_bug()
    return code if isinstance(code, int) else exits.OK


def _command(app: App, arguments: list[str]) -> Callable[[], object]:
    """Return the command with its flags, ready to run."""
    try:
        command, bound, _ = app.parse_args(join_numbers(arguments))
    except ConfigError as exc:  # from settings made of flags, or of the file that --config names
        raise exits.UsageError(str(exc)) from exc
    return partial(command, *bound.args, **bound.kwargs)


def _usage_message(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return brief(f"unexpected argument {error.unused_tokens[0]!r}")
    return brief(" ".join(str(error).split()))


def _help_hint(app: App, error: CycloptsError) -> str:
    return f"try: {' '.join([*app.name, *(error.command_chain or ())])} --help"


def _report_bug() -> int:
    traceback.print_exc()
    print(
        f"lrcn: this is a bug in lrcn {_version()}; please report it with the lines above and the command you ran",
        file=sys.stderr,
    )
    return exits.ERROR
