from __future__ import annotations

import csv
import errno
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrcn import files
from lrcn.errors import ConfigError, Notice
from lrcn.files import cache_folder, replacing, replacing_folder, replacing_table, sweep_cache, write_json


def test_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.csv"
    with replacing(target) as unfinished:
        unfinished.write_text("a,b\n")
        assert not target.exists()
        assert unfinished.suffix == ".csv"  # writers that go by the suffix still work
    assert target.read_text() == "a,b\n"
    assert [p.name for p in target.parent.iterdir()] == ["table.csv"]


def test_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("old")

    def interrupted() -> None:
        with replacing(target) as unfinished:
            unfinished.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_file_is_as_readable_as_any_other(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    with replacing(tmp_path / "ours"):
        pass
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_folder_in_the_way_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path):
        pytest.fail("the work was done first")
    assert caught.value.filename == str(tmp_path)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}-*")) == []


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    name = "\u754c" * 80 + ".txt"  # 244 bytes
    with replacing(tmp_path / name) as unfinished:
        unfinished.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"
    with replacing_folder(tmp_path / name[:-4]) as unfinished:
        (unfinished / "a").touch()
    assert (tmp_path / name[:-4] / "a").exists()


def test_a_table_keeps_names_that_are_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    with replacing_table(tmp_path / "t.csv") as file:
        csv.writer(file).writerow([name, "a dog"])
    assert (tmp_path / "t.csv").read_bytes() == b"caf\xe9.jpg,a dog\r\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, None])
def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None) -> None:
    def fail() -> None:
        with replacing(tmp_path / "a.npy"):
            raise OSError(number, "No space left on device") if number else OSError("128 requested and 20 written")

    with pytest.raises(OSError, match=r"left|requested") as caught:
        fail()
    assert caught.value.filename is None  # there is space here: it was written to something else
    monkeypatch.setattr(files, "_LITTLE", 2**60)
    with pytest.raises(OSError, match=r"left|requested") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "a.npy")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


_SIGNALLED = """
import linecache, os, signal, sys
from pathlib import Path
from lrcn.files import replacing, replacing_folder

def end(number, frame):
    raise SystemExit(143)

class Alarm:
    # sends the signal at the n-th line that the interpreter goes through in lrcn.files
    def __init__(self, number):
        self.left = number
    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith("files.py"):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event != "line" or "rmtree(beside" in line or "unlink(missing_ok" in line:
            return self  # it is gone, or is being removed
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        return self

signal.signal(signal.SIGTERM, end)
for writer, name in ((replacing, "a.csv"), (replacing_folder, "graphs")):
    for number in range(1, 40):
        folder = Path(sys.argv[1]) / f"{name}{number}"
        folder.mkdir()
        sys.settrace(Alarm(number))
        try:
            with writer(folder / name) as part:
                (part / "b" if part.is_dir() else part).write_text("all of it")
        except SystemExit:
            pass
        sys.settrace(None)
        left = [path.name for path in folder.iterdir() if path.name != name]
        whole = [path.read_text() for path in (folder / name, folder / name / "b") if path.is_file()]
        print(name, number, left, whole)
"""


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM")
def test_a_signal_at_any_moment_leaves_nothing_half_written(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _SIGNALLED, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 78, done.stderr
    assert {line.split(" ", 2)[2] for line in lines} == {"[] []", "[] ['all of it']"}


_LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from lrcn.files import replacing, replacing_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for writer, name in ((replacing, "a.npy"), (replacing, "a.pt"), (replacing_folder, "graphs")):
    target = Path(sys.argv[1]) / name
    try:
        with writer(target) as part:
            if name == "a.npy":
                with part.open("wb") as file:
                    np.save(file, np.zeros(9000))
            elif name == "a.pt":
                raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 80704 vs 80592")
            else:
                (part / "b.bin").write_bytes(bytes(9000))
    except OSError as exc:
        print(exc.errno, exc.filename == str(target))
"""


@pytest.mark.skipif(os.name == "nt", reason="no limits")
def test_a_limit_on_files_is_told_with_the_file_whatever_the_library_says(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{errno.EFBIG} True"] * 3, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no named pipes")
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replacing_table(pipe) as file:
        file.write("a,b\n")
    assert os.read(reader, 100) == b"a,b\n"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_disk_is_told_with_the_folder_whatever_the_library_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with replacing_folder(tmp_path / "graphs"):
            raise RuntimeError("Check 'bin_file.good()' failed")

    with pytest.raises(RuntimeError, match="bin_file"):
        fail()
    monkeypatch.setattr(files, "_LITTLE", 2**60)
    with pytest.raises(OSError, match="left") as caught:
        fail()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "graphs"))
    with pytest.raises(ConfigError, match="past the limit"), replacing_folder(tmp_path / "graphs"):
        raise ConfigError("errors past the limit")  # that is known
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_other_scripts_and_escapes_what_is_no_utf_8(tmp_path: Path) -> None:
    value = {"label": "走る", "file": os.fsdecode(b"caf\xe9.jpg")}
    write_json(tmp_path / "a.json", value, indent=1)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "走る" in text
    assert json.loads(text) == value


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="everything may be written here")
def test_a_home_that_cannot_be_written_is_replaced_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    _check_fallback(home, tmp_path, monkeypatch)


def test_a_home_that_is_a_file_is_replaced_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").touch()
    _check_fallback(tmp_path / "home", tmp_path, monkeypatch)


def _check_fallback(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.warns(Notice, match=r"cannot be written: features are kept in .*--cache-dir or XDG_CACHE_HOME"):
        folder = cache_folder("features")
    assert folder.parent.parent == tmp_path
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_cache_of_another_user_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"lrcn-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError, match="another user's: choose a folder with --cache-dir"):
        cache_folder("features")


_REPLACE_OFTEN = """
import sys
from pathlib import Path
from lrcn.files import replacing_folder
for number in range(60):
    with replacing_folder(Path(sys.argv[1])) as folder:
        for name in "abc":
            (folder / name).write_text(f"{sys.argv[2]} {number}")
"""


def test_several_processes_may_replace_one_folder_and_it_is_always_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with replacing_folder(target) as folder:
        for name in "abc":
            (folder / name).write_text("first")
    writers = [
        subprocess.Popen([sys.executable, "-c", _REPLACE_OFTEN, str(target), str(number)], stderr=subprocess.PIPE)
        for number in range(3)
    ]
    looks = 0
    while any(writer.poll() is None for writer in writers):
        held = os.open(target, os.O_RDONLY)  # never FileNotFoundError
        try:
            assert len(os.listdir(held)) in (0, 3)  # whole, or on its way out
        finally:
            os.close(held)
        looks += 1
    assert looks > 10
    assert [writer.wait() for writer in writers] == [0, 0, 0], [
        writer.stderr.read() for writer in writers if writer.stderr
    ]
    assert len({(target / name).read_text() for name in "abc"}) == 1
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old = time.time() - 2 * 86_400
    for name, age in ((".model-abcdefgh", old), (".model-ijklmnop", time.time()), (".models-abcdefgh", old)):
        (tmp_path / name / "new").mkdir(parents=True)
        os.utime(tmp_path / name, (age, age))
    for name, age in ((".t-abcdefgh.csv", old), (".t-ijklmnop.csv", time.time()), (".t-abcdefgh.txt", old)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (age, age))
    with replacing_folder(tmp_path / "model"):
        pass
    with replacing(tmp_path / "t.csv"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".model-ijklmnop",
        ".models-abcdefgh",
        ".t-abcdefgh.txt",
        ".t-ijklmnop.csv",
        "model",
        "t.csv",
    ]


def test_a_folder_is_replaced_where_the_system_cannot_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    for text in ("first", "second"):
        with replacing_folder(tmp_path / "model") as folder:
            (folder / "a").write_text(text)
    assert (tmp_path / "model" / "a").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_leftovers_of_a_cache_go_whatever_is_written_next(tmp_path: Path) -> None:
    """Their entries may be there by now, and are not written again."""
    old = time.time() - 2 * 86_400
    for name in (".key-0z3dwjm4.npy", ".key-0z3dwjm5.npy", "key.npy", ".keys-of-mine.npy"):
        (tmp_path / name).touch()
    (tmp_path / ".graphs-aff6iogh" / "old").mkdir(parents=True)
    for path in tmp_path.iterdir():
        os.utime(path, (old, old))
    (tmp_path / ".key-0z3dwjm5.npy").touch()  # may be written at this moment
    sweep_cache(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".key-0z3dwjm5.npy", ".keys-of-mine.npy", "key.npy"]
    sweep_cache(tmp_path / "nowhere")
