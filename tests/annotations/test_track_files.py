"""The files are written as their programs document them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrcn.annotations.track_files import read_tracks, track_file
from lrcn.errors import DataError, MediaError

DEEPLABCUT = """scorer,DLC,DLC,DLC,DLC,DLC,DLC
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,10,20,0.9,30,40,0.8
1,12,22,0.9,99,99,0.1
2,12,22,0.2,99,99,0.1
3,,,,30,40,0.7
"""
SEVERAL = """scorer,DLC,DLC,DLC,DLC,DLC,DLC,DLC,DLC,DLC
individuals,anna,anna,anna,ben,ben,ben,single,single,single
bodyparts,nose,nose,nose,nose,nose,nose,corner,corner,corner
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood
0,10,20,0.9,,,,1,1,1
1,12,22,0.9,30,40,0.7,1,1,1
"""
SLEAP = """track,frame_idx,instance.score,nose.x,nose.y,nose.score,tail.x,tail.y,tail.score
anna,0,0.9,10,20,0.9,30,40,0.8
anna,1,0.9,12,22,0.9,,,
ben,1,0.9,30,40,0.7,,,
"""
INSTANCES = """video_path,frame_idx,track,instance_idx,instance_score,nose.x,nose.y,nose.score
v.mp4,0,anna,0,0.95,20,30,0.98
v.mp4,1,anna,0,0.95,12,22,0.98
v.mp4,1,ben,1,0.93,30,40,0.96
"""
POINTS = """video_path,frame_idx,track,instance_idx,instance_score,node,x,y,score
v.mp4,0,anna,0,0.95,nose,10,20,0.98
v.mp4,0,anna,0,0.95,tail,30,40,0.92
v.mp4,1,anna,0,0.95,nose,12,22,0.92
v.mp4,1,ben,1,0.93,nose,30,40,0.96
"""
OURS = """frame,id,x,y,w,h
1,ben,20,30,20,20
1,anna,7,7,10,30
0,anna,15,27,10,6
2,anna,,,,
"""
CENTROIDS = "id;frame;x;y\nanna;0;20;30\nanna;1;12;22\nben;1;30;40\n"
BOTH = {"anna": {0: (20, 30), 1: (12, 22)}, "ben": {1: (30, 40)}}


def write(folder: Path, text: str) -> Path:
    path = folder / "tracks.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEEPLABCUT, {"": {0: (20, 30), 1: (12, 22), 3: (30, 40)}}),
        (SEVERAL, {"anna": {0: (10, 20), 1: (12, 22)}, "ben": {1: (30, 40)}}),
        (SLEAP, BOTH),
        (INSTANCES, BOTH),
        (POINTS, BOTH),
        (OURS, BOTH),
        (CENTROIDS, BOTH),
    ],
)
def test_who_is_where(tmp_path: Path, text: str, expected: dict[str, dict[int, tuple[float, float]]]) -> None:
    tracks = {track.id: track for track in read_tracks(write(tmp_path, text))}
    assert tracks.keys() == expected.keys()
    for name, places in expected.items():
        assert tracks[name].frames.tolist() == list(places)
        np.testing.assert_allclose(tracks[name].centres, list(places.values()))


def test_boxes_have_a_side_and_points_have_none(tmp_path: Path) -> None:
    sides = {track.id: track.side for track in read_tracks(write(tmp_path, OURS))}
    assert sides == {"anna": 30, "ben": 20}
    assert {track.side for track in read_tracks(write(tmp_path, SLEAP))} == {None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", "line 1: expected the columns frame,id,x,y,w,h"),
        ("frame,id,x,y\n", "nobody is seen"),
        ("frame,id,x,y\n0,a,,\n", "nobody is seen"),
        ("frame,id,x,y\n0,a,1,left\n", "line 2: 'left' is no number"),
        ("frame,id,x,y\n-1,a,1,1\n", "line 2: '-1' is no number of a frame"),
        ("frame,id,x,y\n,a,1,1\n", "line 2: '' is no number of a frame"),
        ("frame,id,x,y\n0.5,a,1,1\n", "line 2: '0.5' is no number of a frame"),
        ("frame,id,x,y\n0,a,1,inf\n", "line 2: 'inf' is no number"),
        ("frame,id,x,y\n0,a,1,1\n0,a,2,2\n", "line 3: frame 0 has 'a' twice"),
        ("frame,id,x,y,w,h\n0,a,1,1,0,5\n", "line 2: a box of 0x5 px"),
        (SLEAP.replace("anna", "").replace("ben", ""), "line 4: frame 1 has somebody without a name twice"),
        (SLEAP.replace("tail.y", "tail.z"), "no column 'tail.y'"),
        ("frame_idx,x,y\n0,1,1\n", "no column 'track'"),
        ("track,frame_idx\na,1\n", "no column 'x'"),
        (DEEPLABCUT.replace("coords", "things"), "header rows scorer, bodyparts and coords"),
        (DEEPLABCUT.replace("bodyparts,nose", "bodyparts"), "header rows scorer, bodyparts and coords"),
        (DEEPLABCUT.replace("x,y,likelihood,x", "x,z,likelihood,x"), "needs columns x and y"),
        (DEEPLABCUT + "4,1,2\n", "line 8: 3 cells, and the header has 7"),
        (DEEPLABCUT.replace("0,10", "labeled-data/img0.png,10", 1), "'labeled-data/img0.png' is no number"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as raised:
        read_tracks(write(tmp_path, text))
    assert message in str(raised.value)
    assert "tracks.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_of_a_folder_the_file_of_the_videos_name_counts(tmp_path: Path) -> None:
    path = write(tmp_path, OURS)
    assert track_file(path, Path("any.mp4")) == path
    assert track_file(tmp_path, Path("elsewhere/tracks.mp4")) == path
    with pytest.raises(MediaError, match=r"monday.mp4: its tracks are not there; .*monday.csv is wanted"):
        track_file(tmp_path, Path("monday.mp4"))
