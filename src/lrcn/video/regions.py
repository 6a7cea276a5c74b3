"""Which part of the picture is looked at, before it is resized: what is outside might as well not be there."""

from __future__ import annotations

from lrcn.bouts import Region
from lrcn.errors import MediaError
from lrcn.video.resize import Frames


def check_region(region: Region, height: int, width: int) -> None:
    """Make sure that a region lies in the picture.

    Raises:
        MediaError: If not, or if it has no pixel.
    """
    left, top, own_width, own_height = region
    if min(left, top) < 0 or min(own_width, own_height) < 1 or left + own_width > width or top + own_height > height:
        raise MediaError(
            f"the region of interest {','.join(map(str, region))} (left, top, width, height in px) does not lie in its "
            f"picture of {width}x{height} px; name one that does"
        )


def cut_region(frames: Frames, region: Region) -> Frames:
    """Return the region of frames `(N, H, W, 3)`, a view `(N, height, width, 3)` of them.

    Raises:
        MediaError: If it does not lie in the picture.
    """
    check_region(region, *frames.shape[1:3])
    left, top, width, height = region
    return frames[:, top : top + height, left : left + width]
