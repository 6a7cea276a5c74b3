"""The files are written as their programs document them, and read again here by hand."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lrcn.annotations.vector_files import read_vectors
from lrcn.config import VectorConfig
from lrcn.errors import MediaError

DEEPLABCUT = """scorer,DLC,DLC,DLC,DLC,DLC,DLC
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,10,20,0.9,30,40,0.8
1,12,22,0.9,99,99,0.1
2,,,,30.5,40,0.7
"""
SEVERAL = """scorer,DLC,DLC,DLC,DLC,DLC,DLC
individuals,anna,anna,anna,ben,ben,ben
bodyparts,nose,nose,nose,nose,nose,nose
coords,x,y,likelihood,x,y,likelihood
0,10,20,0.9,,,
1,12,22,0.9,30,40,0.7
"""
SLEAP = """track,frame_idx,instance.score,nose.x,nose.y,nose.score
anna,0,0.9,10,20,0.9
anna,2,0.8,12,22,0.8
ben,1,0.7,30,40,0.6
ben,2,0.6,31,,0.5
"""
INSTANCES = """video_path,frame_idx,track,instance_idx,instance_score,nose.x,nose.y
v.mp4,0,,0,0.95,20,30
v.mp4,1,,0,0.95,12,22
"""
TABLE = "time_s,left,right\n0,1,-2\n0.5,,3\n1.25,nan,4\n"
PANDAS = ",left,right\n0,1,-2\n1,2.5,3\n3,3,4\n"
nan = np.nan
AT_10 = VectorConfig(fps=10.0)


def write(folder: Path, text: str, name: str = "track.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "names", "values", "times_s", "end_s"),
    [
        (
            DEEPLABCUT,
            ("nose.x", "nose.y", "nose.likelihood", "tail.x", "tail.y", "tail.likelihood"),
            [[10, 20, 0.9, 30, 40, 0.8], [12, 22, 0.9, nan, nan, 0.1], [nan, nan, nan, 30.5, 40, 0.7]],
            [0, 0.1, 0.2],
            0.3,
        ),
        (
            SEVERAL,
            tuple(f"{who}.nose.{what}" for who in ("anna", "ben") for what in ("x", "y", "likelihood")),
            [[10, 20, 0.9, nan, nan, nan], [12, 22, 0.9, 30, 40, 0.7]],
            [0, 0.1],
            0.2,
        ),
        (
            SLEAP,
            tuple(
                f"{who}.{what}"
                for who in ("anna", "ben")
                for what in ("instance.score", "nose.x", "nose.y", "nose.score")
            ),
            [
                [0.9, 10, 20, 0.9, nan, nan, nan, nan],
                [nan, nan, nan, nan, 0.7, 30, 40, 0.6],
                [0.8, 12, 22, 0.8, 0.6, 31, nan, 0.5],
            ],
            [0, 0.1, 0.2],
            0.3,
        ),
        (INSTANCES, ("instance_score", "nose.x", "nose.y"), [[0.95, 20, 30], [0.95, 12, 22]], [0, 0.1], 0.2),
        (TABLE, ("left", "right"), [[1, -2], [nan, 3], [nan, 4]], [0, 0.5, 1.25], 1.25 + 0.625),
        (PANDAS, ("left", "right"), [[1, -2], [2.5, 3], [3, 4]], [0, 0.1, 0.3], 0.3 + 0.15),
        (TABLE.replace("time_s", "frame").replace("0.5", "5").replace("1.25", "6"), ("left", "right"),
         [[1, -2], [nan, 3], [nan, 4]], [0, 0.5, 0.6], 0.6 + 0.3),
        ("a;b\n1;2\n3;4\n", ("a", "b"), [[1, 2], [3, 4]], [0, 0.1], 0.2),
    ],
    ids=["deeplabcut", "several", "sleap", "instances", "table", "pandas", "frames", "no-clock"],
)  # fmt: skip
def test_every_kind_of_table_says_what_stands_in_it(
    tmp_path: Path, text: str, names: tuple[str, ...], values: list[list[float]], times_s: list[float], end_s: float
) -> None:
    found = read_vectors(write(tmp_path, text), AT_10)
    assert found.names == names
    np.testing.assert_allclose(found.values, values, rtol=1e-6)
    np.testing.assert_allclose(found.times_s, times_s)
    assert found.end_s == pytest.approx(end_s)


def test_a_file_of_deeplabcut_agrees_with_a_reading_by_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts, length = ("nose", "left ear", "tail"), 200
    numbers = rng.uniform(0, 640, (length, len(parts), 3)).round(4)
    numbers[..., 2] = rng.uniform(0, 1, (length, len(parts))).round(4)
    lines = [
        ["scorer", *["DLC_resnet50_mice"] * 9],
        ["bodyparts", *(part for part in parts for _ in "xyl")],
        ["coords", *["x", "y", "likelihood"] * 3],
        *([str(frame), *map(str, row.ravel())] for frame, row in enumerate(numbers)),
    ]
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    found = read_vectors(write(tmp_path, text.getvalue()), VectorConfig(fps=25.0))
    for number, part in enumerate(parts):
        sure = numbers[:, number, 2] >= 0.6
        for place, what in enumerate(("x", "y")):
            column = found.values[:, found.names.index(f"{part}.{what}")]
            np.testing.assert_allclose(column[sure], numbers[sure, number, place], rtol=1e-6)
            assert np.isnan(column[~sure]).all()
        likelihood = found.values[:, found.names.index(f"{part}.likelihood")]
        np.testing.assert_allclose(likelihood, numbers[:, number, 2], rtol=1e-6)
    np.testing.assert_allclose(found.times_s, np.arange(length) / 25)


@pytest.mark.parametrize("clock", ["fps", "times_s", "model"])
def test_tensors_are_read_with_their_clock(tmp_path: Path, clock: str) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
    times_s = np.array([0.0, 0.25, 0.5, 1.0])
    more = {"fps": {"fps": np.array(4.0)}, "times_s": {"times_s": times_s}, "model": {}}[clock]
    save_file({"vectors": values, **more}, tmp_path / "a.safetensors")
    found = read_vectors(tmp_path / "a.safetensors", AT_10)
    np.testing.assert_array_equal(found.values, values.astype(np.float32))
    expected = {"fps": np.arange(4) / 4, "times_s": times_s, "model": np.arange(4) / 10}[clock]
    np.testing.assert_allclose(found.times_s, expected)
    assert found.names == ("0", "1", "2")


def test_values_are_found_by_name_wherever_they_stand(tmp_path: Path) -> None:
    path = write(tmp_path, "frame,b,extra,a\n0,2,9,1\n1,4,9,3\n")
    found = read_vectors(path, VectorConfig(names=("a", "b"), fps=1.0))
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4]])
    with pytest.raises(MediaError, match=r"has no value 'nose', which the model reads; it has 3, the first 'b'"):
        read_vectors(path, VectorConfig(names=("a", "nose"), fps=1.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n", "no values in it"),
        ("frame\n0\n1\n", "no values in it"),
        ("1,2\n3,4\n", "line 1: expected the names of the columns"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, and the header has 2"),
        ("a,b\n1,two\n", "line 2: 'two' is no number"),
        ("a,b\n1,inf\n", "line 2: holds a number that is infinite"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("a,,b\n1,2,3\n", "a column has no name"),
        ("frame,a\n0,1\n0.5,2\n", "line 3: 0.5 is no number of a frame"),
        ("frame,a\n0,1\n2,2\n1,3\n", "line 4: frame does not rise"),
        ("frame,a\n,1\n", "line 2: nan is no number of a frame"),
        ("time_s,a\n-1,1\n", "line 2: time_s must count from the start"),
        ("time_s,a\n1764500000,1\n", "line 2: time_s must count from the start"),
        (SLEAP.replace("ben,2", "ben,1"), "line 5: frame 1 has track 'ben' twice"),
        (INSTANCES.replace("v.mp4,1", "v.mp4,0"), "line 3: frame 0 has somebody without a track twice"),
        ("frame_idx,track,node,x,y\n0,a,nose,1,2\n", "a table of single points"),
        ("scorer,a\nbodyparts,b\n0,1\n", "header rows scorer, bodyparts and coords are wanted"),
        (DEEPLABCUT + "3,1,2\n", "line 7: 3 cells, and the header has 7"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MediaError, match=message) as raised:
        read_vectors(write(tmp_path, text), AT_10)
    assert "track.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"features": np.zeros((2, 3))}, "no tensor 'vectors'"),
        ({"vectors": np.zeros(3)}, r"'vectors' is \(3,\)"),
        ({"vectors": np.zeros((0, 3))}, "no values in it"),
        ({"vectors": np.zeros((2, 3)), "times_s": np.zeros(3)}, r"'times_s' is \(3,\) for 2 vectors"),
        ({"vectors": np.zeros((2, 3)), "times_s": np.zeros(2)}, "row 1: times_s does not rise"),
        ({"vectors": np.zeros((2, 3)), "fps": np.zeros(1)}, "'fps' is"),
        ({"vectors": np.full((2, 3), np.inf)}, "infinite"),
    ],
)
def test_tensors_that_make_no_sense_are_one_line(tmp_path: Path, tensors: dict[str, np.ndarray], message: str) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(MediaError, match=message):
        read_vectors(tmp_path / "a.safetensors", AT_10)


def test_files_that_tell_no_times_are_refused_unless_their_rate_is_known(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"tells no times; add a column time_s, or .* --vector-fps"):
        read_vectors(write(tmp_path, DEEPLABCUT), VectorConfig())
    assert len(read_vectors(write(tmp_path, TABLE), VectorConfig()).values) == 3


def test_what_is_no_file_of_vectors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"mouse.mp4: no file of ready vectors \(.csv, .safetensors\)"):
        read_vectors(tmp_path / "mouse.mp4", AT_10)
    with pytest.raises(MediaError, match="cannot be read"):
        read_vectors(tmp_path / "gone.csv", AT_10)
    with pytest.raises(MediaError, match="cannot be read"):
        read_vectors(tmp_path / "gone.safetensors", AT_10)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(MediaError, match=r"no \.safetensors file, or damaged"):
        read_vectors(tmp_path / "bad.safetensors", AT_10)
