"""A folder of results takes units whole or not at all, of one model and one run at a time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
import pyarrow as pa
import pyarrow.parquet as pq

from lrcn.batch.places import Place
from lrcn.batch.results import ResultFolder
from lrcn.batch.tables import FORMAT, SCHEMAS, Tables, failed
from lrcn.errors import ConfigError

MANIFEST: dict[str, Any] = {
    "format": FORMAT,
    "task": "recognition",
    "model": {"name": "tiny", "sha256": "0" * 64},
    "runtime": "default",
    "tables": ["sources", "segments", "bouts"],
    "labels": ["a", "b"],
}
THEN = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def place(name: str, size: int = 5) -> Place:
    return Place(name, name, size, THEN)


def rows_of(names: Sequence[str], bad: Sequence[str] = ()) -> Tables:
    """A row for each source, and a segment and a bout of those that are done."""
    schemas = SCHEMAS["recognition"]
    done = [name for name in names if name not in bad]
    state = {"status": "done", "bytes": 5, "modified": THEN, "num_segments": 1}
    sources = [{"source": name, **state} for name in done] + [failed(place(name), f"{name}: broken") for name in bad]
    timed = [{"source": name, "start_s": 0.0, "end_s": 1.0, "label": "a"} for name in done]
    rows = {"sources": sources, "segments": timed, "bouts": timed}
    return {name: pa.Table.from_pylist(rows[name], schema=schemas[name]) for name in rows}


def sources_in(folder: Path, table: str) -> list[str]:
    parts = sorted((folder / table).glob("*.parquet"))
    return sorted(name for part in parts for name in pq.read_table(part)["source"].to_pylist())


def test_what_is_put_down_is_known_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with ResultFolder.opened(folder, MANIFEST) as results:
        assert results.known() == {}
        results.add(rows_of(["x", "y"], bad=["y"]))
        results.add(rows_of(["z"]))
    with ResultFolder.opened(folder, MANIFEST) as results:
        known = results.known()
    assert sorted(known) == ["x", "y", "z"]
    assert (known["x"].reason, known["y"].reason) == (None, "y: broken")
    assert known["x"].is_of(place("x"))
    assert not known["x"].is_of(place("x", size=6))
    assert not known["x"].is_of(Place("x", "x", 5, datetime(2026, 1, 2, tzinfo=UTC)))
    assert sources_in(folder, "segments") == sources_in(folder, "bouts") == ["x", "z"]
    assert not list(folder.rglob(".*-*"))  # nothing temporary is left


def test_the_same_unit_twice_is_there_once(tmp_path: Path) -> None:
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        for _ in range(2):
            results.add(rows_of(["x", "y"]))
    assert sources_in(tmp_path, "sources") == sources_in(tmp_path, "segments") == ["x", "y"]


def test_rows_of_a_run_that_was_killed_before_it_named_their_sources_are_removed(tmp_path: Path) -> None:
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        results.add(rows_of(["x"]))
        results.add(rows_of(["y"]))
        part = results.known()["y"].part
    (tmp_path / "sources" / f"{part}.parquet").rename(tmp_path / "sources" / f".{part}-abcdefgh.parquet")
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        assert list(results.known()) == ["x"]
    assert sources_in(tmp_path, "segments") == sources_in(tmp_path, "bouts") == ["x"]
    assert not list(tmp_path.rglob(".*.parquet"))


def test_a_run_that_was_killed_before_its_manifest_was_there_leaves_a_free_folder(tmp_path: Path) -> None:
    (tmp_path / ".batch-abcdefgh.json").write_text("{")
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        assert results.known() == {}


def test_a_model_under_another_name_is_the_same(tmp_path: Path) -> None:
    for name in ("tiny", "renamed"):
        with ResultFolder.opened(tmp_path, {**MANIFEST, "model": {"name": name, "sha256": "0" * 64}}):
            pass


def test_sources_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    write = pq.write_table
    monkeypatch.setattr(
        pq, "write_table", lambda table, path, **more: (written.append(path), write(table, path, **more))
    )
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        results.add(rows_of(["x"]))
        results.forget(results.known(), ["x"])
        results.add(rows_of(["x", "y"]))
        results.forget(results.known(), ["y"])
    assert [Path(path).parent.name for path in written] == ["segments", "bouts", "sources"] * 3


def test_what_is_forgotten_is_gone_from_every_table_and_its_neighbours_are_not(tmp_path: Path) -> None:
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        results.add(rows_of(["x", "y", "z"], bad=["z"]))
        results.add(rows_of(["v", "w"], bad=["w"]))
        results.forget(results.known(), ["z", "y"])
        assert sorted(results.known()) == ["v", "w", "x"]
        assert sources_in(tmp_path, "segments") == ["v", "x"]
        results.forget(results.known(), ["x", "w"])
        assert sources_in(tmp_path, "sources") == sources_in(tmp_path, "bouts") == ["v"]
        assert len(list(tmp_path.rglob("*.parquet"))) == 3  # no empty parts


@pytest.mark.parametrize(
    ("key", "other", "said"),
    [
        (
            "model",
            {"name": "other", "sha256": "1" * 64},
            "the model tiny (sha256 000000000000), now it is the model other",
        ),
        ("runtime", "openvino", "runtime default, now it is runtime openvino"),
        ("tables", ["sources", "segments"], "tables sources, segments, bouts, now it is tables sources, segments;"),
    ],
)
def test_results_of_something_else_are_refused_and_untouched(tmp_path: Path, key: str, other: Any, said: str) -> None:
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        results.add(rows_of(["x"]))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as caught, ResultFolder.opened(tmp_path, {**MANIFEST, key: other}):
        pass
    assert said in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '"x"', json.dumps({**MANIFEST, "model": "x"})])
def test_a_foreign_manifest_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "batch.json").write_text(content)
    with pytest.raises(ConfigError, match="is no manifest"), ResultFolder.opened(tmp_path, MANIFEST):
        pass


def test_a_folder_of_other_things_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds other things"), ResultFolder.opened(tmp_path, MANIFEST):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ConfigError, match="is a file"), ResultFolder.opened(tmp_path / "thesis.tex", MANIFEST):
        pass


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        results.add(rows_of(["x"]))
        (part,) = (tmp_path / "sources").iterdir()
        part.write_bytes(part.read_bytes()[:50])
        with pytest.raises(ConfigError, match=rf"{part}: cannot be read .*delete it"):
            results.known()


def test_two_runs_do_not_write_at_once_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    holder = f"""
import sys, time
from pathlib import Path
from lrcn.batch.results import ResultFolder
with ResultFolder.opened(Path({str(tmp_path)!r}), {MANIFEST!r}):
    print("open", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ConfigError, match="another run writes there"), ResultFolder.opened(tmp_path, MANIFEST):
            pass
        process.kill()
        process.wait()
        with ResultFolder.opened(tmp_path, MANIFEST) as results:
            results.add(rows_of(["x"]))
