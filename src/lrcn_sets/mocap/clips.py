"""What each clip of MocapActions-14 shows: the 14 actions, and every clip as a function of split, class and number."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np

from lrcn.errors import lookup
from lrcn_sets.mocap.body import Clothes, PosedSolids, draw_body, pose_solids
from lrcn_sets.mocap.camera import SECTOR_DEG, CameraPath, draw_camera
from lrcn_sets.mocap.motion import Array, Recording, cut, forward_kinematics, interpolate, load_recordings, repeat
from lrcn_sets.mocap.render import Frames, render_clip
from lrcn_sets.mocap.scene import Scene, draw_scene

FPS = 10
NUM_FRAMES = 24
SPLIT_SECTORS = {"train": (0, 2, 4, 6, 7, 8, 10, 11), "val": (3,), "test": (1, 5, 9)}
"""Camera sectors of each split; sector n spans 30 n to 30 (n + 1) degrees from the recording's forward direction."""


@dataclass(frozen=True)
class Take:
    """The part of a recording that shows an action.

    Attributes:
        recording: Name of the recording.
        start_s: Where the action starts in it.
        end_s: Where it ends.
        speed: Playing speed around which clips vary; 1 is real time.
        blend_s: Over how long the end of a round passes into the start of the next; 0: the action happens once.
    """

    recording: str
    start_s: float
    end_s: float
    speed: float = 1.0
    blend_s: float = 0.15


@dataclass(frozen=True)
class Action:
    """A class.

    Attributes:
        takes: What its clips are cut from.
        reverse_of: The class whose clips, of the same numbers, its own are when played backwards.
        train_weight: Training clips, as a multiple of what a class has.
    """

    takes: tuple[Take, ...]
    reverse_of: str | None = None
    train_weight: int = 1


_GET_UP = (Take("getup_faceup", 0.1, 3.4, 1.3, 0.0), Take("getup_facedown", 0.25, 2.9, 1.05, 0.0))
_WALK = (Take("walk", 0.0, 1.2666),)
ACTIONS: dict[str, Action] = {
    "backflip": Action((Take("backflip", 0.12, 1.65),)),
    "cartwheel": Action((Take("cartwheel", 0.3, 2.35, 1.2, 0.25),)),
    "crawl": Action((Take("crawl", 0.0, 2.93, 1.1, 0.3),)),
    "dance": Action((Take("dance_b", 0.0, 2.53),)),
    "get_up": Action(_GET_UP),
    "jump": Action((Take("jump", 0.25, 1.55),)),
    "kick": Action((Take("kick", 0.2, 1.3, 1.0, 0.3), Take("spinkick", 0.0, 1.28, 1.0, 0.25))),
    "lie_down": Action(_GET_UP, reverse_of="get_up"),
    "punch": Action((Take("punch", 0.3, 2.13, 1.15, 0.25),)),
    "roll": Action((Take("roll", 0.0, 2.0, 1.15),)),
    "run": Action((Take("run", 0.0, 0.8, 1.0, 0.1),)),
    "spin": Action((Take("spin", 0.6, 3.0, 1.4, 0.3),)),
    # seen from the front or from behind, nothing but a small face says which of the two it is
    "walk": Action(_WALK, train_weight=3),
    "walk_backwards": Action(_WALK, reverse_of="walk", train_weight=3),
}
"""The 14 classes, in the order of their labels."""


@dataclass(frozen=True)
class ClipSpec:
    """What one clip shows; everything else about it is drawn from `seed`.

    Attributes:
        action: Class name.
        take: The recording and the part of it.
        speed: Playing speed, 1 is real time.
        phase: Where in the action the clip starts, 0 to 1.
        azimuth_deg: Camera direction seen from above, from the recording's forward direction towards its right side.
        elevation_deg: How steeply the camera looks down.
        mirrored: Whether all frames are flipped left to right; the azimuth is that before the flip.
        reversed: Whether the frames are played backwards.
        seed: Of body, place, camera and grain.
        clothes: Colours of shirt and trousers; None to draw them.
    """

    action: str
    take: Take
    speed: float
    phase: float
    azimuth_deg: float
    elevation_deg: float
    mirrored: bool
    reversed: bool
    seed: int
    clothes: Clothes | None = None

    @property
    def sector(self) -> int:
        """Camera sector, 0 to 11."""
        return int(self.azimuth_deg // SECTOR_DEG) % 12


def clip_spec(split: str, label: str, index: int, *, series: str = "", clothes: Clothes | None = None) -> ClipSpec:
    """Return what clip number `index` of a class shows.

    Args:
        split: Decides the camera sectors.
        label: Class name.
        index: From 0.
        series: Clips of another series are others, under the same numbers.
        clothes: Colours of shirt and trousers; None to draw them.

    Raises:
        UnknownNameError: If the split or the class does not exist.
    """
    sectors, action = lookup(SPLIT_SECTORS, split, kind="split"), lookup(ACTIONS, label, kind="class")
    # the clips of a pair share body, place and camera: nothing but the order of frames tells them apart
    scene = f"{series}{split}/{action.reverse_of or label}/{index}"
    seed = int.from_bytes(hashlib.sha256(scene.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    take = action.takes[rng.integers(len(action.takes))]
    jitter = rng.uniform(0.85, 1.2) if take.blend_s else rng.uniform(0.88, 1.06)
    # every class sees the sectors of its split equally often
    azimuth = SECTOR_DEG * (sectors[index % len(sectors)] + 0.5) + rng.uniform(-8, 8)
    return ClipSpec(
        action=label,
        take=take,
        speed=float(take.speed * jitter),
        phase=float(rng.random()),
        azimuth_deg=float(azimuth),
        elevation_deg=float(2 + 30 * rng.random() ** 1.7),
        mirrored=bool(rng.random() < 0.5),
        reversed=action.reverse_of is not None,
        seed=int(rng.integers(2**63)),
        clothes=clothes,
    )


def clip_motion(spec: ClipSpec) -> tuple[Array, Array]:
    """Return root positions `(24, 3)` and joint rotations `(24, 13, 4)` of a clip, before mirroring and reversing."""
    part = _part(spec.take)
    times_s = np.arange(NUM_FRAMES) / FPS * spec.speed
    if spec.take.blend_s:
        return repeat(part, times_s + spec.phase * part.duration_s, blend_s=spec.take.blend_s)
    slack_s = part.duration_s - times_s[-1]
    return interpolate(part, times_s + spec.phase * max(slack_s, 0) + 0.5 * min(slack_s, 0))


@functools.cache
def _part(take: Take) -> Recording:
    recording = load_recordings()[take.recording]
    return cut(recording, take.start_s, min(take.end_s, recording.duration_s))


def stage(spec: ClipSpec) -> tuple[PosedSolids, CameraPath, Scene]:
    """Return the body over time, the camera and the place of a clip, before mirroring and reversing."""
    rng = np.random.default_rng(spec.seed)
    root, rotations = clip_motion(spec)
    body = draw_body(rng, spec.clothes)
    root = root * body.leg_scale
    posed = pose_solids(body, *forward_kinematics(root, rotations, body.offsets))
    # Other proportions than recorded would sink or float: the lowest moments of the clip touch the floor.
    root[:, 1] -= np.percentile((posed.centers[..., 1] - posed.radii).min(axis=1), 15)
    posed = pose_solids(body, *forward_kinematics(root, rotations, body.offsets))
    camera = draw_camera(
        rng, posed.centers, posed.radii, azimuth_deg=spec.azimuth_deg, elevation_deg=spec.elevation_deg, fps=FPS
    )
    return posed, camera, draw_scene(rng, root, camera.position)


def render(spec: ClipSpec, size_px: int) -> Frames:
    """Render a clip: RGB frames `(24, size_px, size_px, 3)`, uint8, 10 a second."""
    frames = render_clip(*stage(spec), size_px, np.random.default_rng([spec.seed, 1]))
    if spec.mirrored:
        frames = frames[:, :, ::-1]
    return np.ascontiguousarray(frames[::-1] if spec.reversed else frames)
