"""What the pages of docs/ take for granted, small: clips, recordings with annotations, pictures, models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.conftest import MakeClip, textured_frames
from tests.photo_sets import write_photos

import lrcn
from lrcn import model_file
from lrcn.bouts import Annotations, Bout, Recording

_BOUTS = (Bout("groom", 2.0, 4.5, "mouse 1"), Bout("rear", 6.0, 8.0, "mouse 1"), Bout("groom", 9.0, 11.0, "mouse 1"))
_SHADES = {"groom": (120, 0, 0), "rear": (0, 0, 120)}
"""What is shown tints the picture, so that it can be learnt."""


def write_inputs(folder: Path, make_clip: MakeClip, tiny_model: Path) -> Path:
    """Fill a folder with all that pages name, but for runs."""

    def video(path: str, frames: np.ndarray) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        make_clip(folder / path, frames, 10, codec="libx264", pix_fmt="yuv420p")

    for number, label in enumerate(("walk", "jump")):
        for i in range(6):
            video(f"clips/{label}/{label}_{i}.mp4", textured_frames(12, 48, 64, 10 * number + i))
        video(f"unseen/{label}/0.mp4", textured_frames(12, 48, 64, 10 * number + 8))
        video(f"listed/{label}.mp4", textured_frames(12, 48, 64, 10 * number + 9))
    (folder / "listed" / "list.txt").write_text("walk.mp4 walk train\njump.mp4 jump train\n")
    for place in ("holiday.mp4", "video.mp4", "recording.mp4", "theirs/0.mp4"):
        video(place, textured_frames(20, 48, 64, 30))
    video("film.mp4", textured_frames(60, 48, 64, 31))
    video("tuesday.mp4", textured_frames(20, 400, 640, 32))
    video("cage.mp4", textured_frames(20, 240, 320, 33))
    _write_tracks(folder)
    _write_recordings(folder, video)
    photos = write_photos(folder / "photos")
    (folder / "holiday.jpg").write_bytes((photos / "3.jpg").read_bytes())
    (folder / "sentences.txt").write_text("a dog above a boat\na boat to the left of a beach\n")
    header, network = lrcn.from_pretrained(tiny_model)
    for run, labels in (("mine", ("walk", "wave", "jump")), ("old", ("groom", "rear", "background"))):
        (folder / "runs" / run).mkdir(parents=True)
        model_file.save(
            folder / "runs" / run / "model.safetensors", replace(header, labels=labels), network.state_dict()
        )
    return folder


def _write_recordings(folder: Path, video: object) -> None:
    """Write videos of twelve seconds with three bouts each, where the pages look for them."""
    assert callable(video)
    recordings = []
    for number in range(3):
        frames = textured_frames(120, 48, 64, 40 + number) // 2
        for bout in _BOUTS:
            frames[int(10 * bout.start_s) : int(10 * bout.end_s)] += np.uint8(_SHADES[bout.label])
        name = f"{number}.mp4"
        for place in ("videos", "set/recordings"):
            video(f"{place}/{name}", frames)
        split = ("train", "val", "test")[number]
        recordings.append(Recording(name, folder / "videos" / name, _BOUTS, ((0.0, 12.0),), 12.0, 10.0, split=split))
        video(f"videos/match{number + 1}.mp4", frames // 2)
    video("recordings/0.mp4", frames)
    video("monday.mp4", frames)
    for file in ("annotations.csv", "annotations.boris", "project.boris", "anna.boris", "ben.boris", "monday.boris"):
        lrcn.write_annotations(Annotations(file, tuple(recordings), ("groom", "rear")), folder / file)
    for file in ("monday.csv", "tuesday.boris"):
        lrcn.write_annotations(Annotations(file, tuple(recordings[:1]), ("groom", "rear")), folder / file)
    in_set = tuple(replace(one, path=folder / "set" / "recordings" / one.name) for one in recordings)
    lrcn.write_annotations(Annotations("set", in_set, ("groom", "rear")), folder / "set" / "annotations.csv")


def _write_tracks(folder: Path) -> None:
    rows = [f"{frame},{name},{10 * who + frame},20,60,60" for who, name in enumerate("ab") for frame in range(20)]
    (folder / "cage.csv").write_text("\n".join(["frame,id,x,y,w,h", *rows]) + "\n")
    (folder / "tracks").mkdir()
    rows = [f"{frame},a,10,10,30,30" for frame in range(120)]
    (folder / "tracks" / "0.csv").write_text("\n".join(["frame,id,x,y,w,h", *rows]) + "\n")
    for number, label in enumerate(("walk", "jump")):
        for i in range(5):
            _write_pose(folder / "pose-clips" / label / f"{i}.csv", 60, 10 * number + i)
    for i in range(3):
        _write_pose(folder / "poses" / f"{i}.csv", 360, 20 + i)
    head = ["scorer,net,net,net", "bodyparts,nose,nose,nose", "coords,x,y,likelihood"]
    rows = [f"{frame},{100 + frame},90,0.9" for frame in range(20)]
    (folder / "cageDLC.csv").write_text("\n".join([*head, *rows]) + "\n")


def _write_pose(path: Path, num_rows: int, seed: int) -> None:
    """Write a table of a nose's places, 30 rows a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = np.random.default_rng(seed).normal(size=(num_rows, 2)).cumsum(axis=0)
    np.savetxt(path, places, fmt="%.3f", delimiter=",", header="nose.x,nose.y", comments="")


def camera() -> Iterator[tuple[np.ndarray, float]]:
    """Give the frames of a camera of the page, for three seconds."""
    for number, frame in enumerate(textured_frames(30, 48, 64)):
        yield frame, number / 10
