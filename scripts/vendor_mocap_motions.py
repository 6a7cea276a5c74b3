"""Pack the humanoid recordings of the PyPI package pybullet into `src/lrcn_sets/assets/mocap_motions.json.xz`.

    python scripts/vendor_mocap_motions.py PYBULLET_DATA_DIR

`PYBULLET_DATA_DIR` is the folder `pybullet_data` inside the unpacked wheel of pybullet 3.2.7. Numbers are rounded to
1e-4 (a tenth of a millimetre, 0.01 degrees), far below what a pixel shows.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src/lrcn_sets/assets/mocap_motions.json.xz"
PREFIX = "humanoid3d_"


def pack(motions_dir: Path) -> bytes:
    """Return the xz bytes of `{name: {"wrap": bool, "step_s": float, "frames": [[43 numbers], ...]}}`."""
    packed = {}
    for path in sorted(motions_dir.glob(f"{PREFIX}*.txt")):
        motion = json.loads(path.read_text())
        packed[path.stem.removeprefix(PREFIX)] = {
            "wrap": motion["Loop"] == "wrap",
            "step_s": round(motion["Frames"][0][0], 6),
            "frames": [[round(value, 4) for value in row[1:]] for row in motion["Frames"]],
        }
    text = json.dumps(packed, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    TARGET.write_bytes(pack(Path(sys.argv[1]) / "data/motions"))
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
