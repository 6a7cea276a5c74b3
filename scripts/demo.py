"""`make demo`: recognise the action in the real video that ships in the package, with the model that ships in it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import lrcn
from lrcn.cli import main as run_lrcn

OUTPUT = Path("demo-output")


def main() -> int:
    """Print the timeline, write a labelled video and the result as JSON, and say where they are."""
    with as_file(files("lrcn") / "assets" / "walking.mp4") as video:
        print(f"$ lrcn recognize {video.name} --save-video {OUTPUT}\n", flush=True)
        code = run_lrcn(["recognize", str(video), "--save-video", str(OUTPUT), "--top-k", "3"])
        if code != 0:
            return code
        result = lrcn.load("demo")(str(video))
    path = OUTPUT / "walking.json"
    path.write_text(result.to_json() + "\n", encoding="utf-8")
    print(f"result as JSON: {path}")
    print("a picture in a sentence: lrcn caption src/lrcn/assets/dolphin.jpg --model emoji")
    print("your own videos: lrcn recognize VIDEO ...  |  train on your own classes: lrcn train recognition --help")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
