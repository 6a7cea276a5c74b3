"""The person of a rendered clip: proportions, clothes, and the solids that the body is built from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lrcn_sets.mocap.motion import JOINTS, OFFSETS, Array

Color = tuple[float, float, float]

SKIN_TONES: tuple[Color, ...] = (
    (240, 205, 180),
    (224, 180, 150),
    (198, 150, 118),
    (160, 112, 82),
    (120, 80, 58),
    (82, 54, 40),
)
TROUSER_TONES: tuple[Color, ...] = (
    (28, 28, 32),
    (45, 52, 72),
    (60, 82, 120),
    (95, 120, 155),
    (120, 120, 122),
    (170, 150, 120),
    (110, 88, 66),
    (215, 212, 205),
)
HAIR_TONES: tuple[Color, ...] = (
    (28, 22, 20),
    (60, 42, 30),
    (110, 74, 44),
    (190, 150, 90),
    (150, 150, 150),
    (120, 50, 30),
)


@dataclass(frozen=True)
class Solid:
    """A rounded cone fixed to a joint: a ball at each end and the hull between them, optionally flattened.

    Attributes:
        joint: Index into `JOINTS`.
        start: Centre of the first ball in the joint's frame, metres.
        end: Centre of the second ball.
        start_radius: Radius of the first ball, metres.
        end_radius: Radius of the second.
        flatten: Scale across the axis, roughly front to back and side to side.
        color: Colour from the start, 0 to 255.
        end_color: Colour beyond `color_cut`.
        color_cut: Where the colour changes, as a fraction of the way (above 1: never).
        pattern: Strength of the cloth pattern, 0 to 1.
        hairline: On the head, hair grows where `up - 0.8 front` of the surface direction exceeds it (above 2: nowhere).
    """

    joint: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    start_radius: float
    end_radius: float
    flatten: tuple[float, float]
    color: Color
    end_color: Color
    color_cut: float = 2.0
    pattern: float = 0.0
    hairline: float = 3.0


@dataclass(frozen=True)
class Clothes:
    """Colours that are given instead of drawn; the shirt is then plain."""

    shirt: Color
    trousers: Color


@dataclass(frozen=True)
class Body:
    """One person: joint offsets `(13, 3)`, how much longer the legs are than recorded, and the solids."""

    offsets: Array
    leg_scale: float
    solids: tuple[Solid, ...]


def _random_color(rng: np.random.Generator) -> Color:
    """Draw a cloth colour: mostly muted as clothes are, at times bright, black or white."""
    value, saturation = rng.uniform(25, 245), rng.beta(1.2, 1.6)
    hue = rng.uniform(0, 6)
    wheel = np.clip(np.abs((hue + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    red, green, blue = value * (1 - saturation * (1 - wheel))
    return float(red), float(green), float(blue)


def draw_body(rng: np.random.Generator, clothes: Clothes | None = None) -> Body:
    """Draw proportions and, where they are not given, clothes."""
    height = rng.uniform(0.86, 1.1)
    leg, arm, torso = height * rng.uniform(0.93, 1.07, size=3)
    girth = height * rng.uniform(0.82, 1.3)
    belly = rng.uniform(0.9, 1.2)
    scale = np.full(len(JOINTS), torso)
    for index, joint in enumerate(JOINTS):
        if joint.endswith(("knee", "ankle")):
            scale[index] = leg
        elif joint.endswith("elbow"):
            scale[index] = arm
        elif joint.endswith(("hip", "shoulder")):
            scale[index] = height * rng.uniform(0.92, 1.08)
    scale[3], scale[6] = scale[8], scale[11]  # hips and shoulders are level
    solids = (*_torso(rng, torso, girth, belly), *_limbs(rng, leg, arm, girth))
    return Body(OFFSETS * scale[:, None], float(leg), _dress(rng, solids, clothes))


_Shape = tuple[str, str, tuple[float, float, float], tuple[float, float, float], float, float, tuple[float, float]]


def _torso(rng: np.random.Generator, torso: float, girth: float, belly: float) -> list[_Shape]:
    long_hair = rng.random() < 0.35
    head = rng.uniform(0.95, 1.08)
    shapes: list[_Shape] = [
        ("hips", "root", (0, -0.01, -0.065), (0, -0.01, 0.065), 0.105 * girth, 0.105 * girth, (0.92, 1.0)),
        ("shirt", "root", (0, 0.05, 0), (0.005, 0.22 * torso, 0), 0.112 * girth * belly, 0.115 * girth, (0.84, 1.15)),
        ("shirt", "chest", (0, 0.0, 0), (0, 0.17 * torso, 0), 0.115 * girth, 0.125 * girth, (0.8, 1.25)),
        (
            "shirt",
            "chest",
            (-0.018, 0.225 * torso, -0.135),
            (-0.018, 0.225 * torso, 0.135),
            0.058 * girth,
            0.058 * girth,
            (1.0, 1.1),
        ),
        ("neck", "neck", (-0.01, 0.0, 0), (0.005, 0.1, 0), 0.052, 0.048, (1.0, 1.0)),
        ("head", "neck", (0.022, 0.125, 0), (0.012, 0.19, 0), 0.078 * head, 0.098 * head, (1.0, 0.86)),
        ("hair", "neck", (-0.012, 0.195, 0), (-0.004, 0.212, 0), 0.1 * head, 0.1 * head, (1.0, 0.9)),
    ]
    if long_hair:
        shapes.append(
            ("hair", "neck", (-0.045, 0.2, 0), (-0.08, -0.02, 0), 0.085, rng.uniform(0.04, 0.075), (0.7, 1.1))
        )
    return shapes


def _limbs(rng: np.random.Generator, leg: float, arm: float, girth: float) -> list[_Shape]:
    limb = girth**0.7 * rng.uniform(0.92, 1.1)
    loose = rng.uniform(0.0, 0.022) if rng.random() < 0.5 else 0.0
    foot = leg * rng.uniform(0.95, 1.12)
    shapes: list[_Shape] = []
    for side in ("right", "left"):
        shapes += [
            ("upper_arm", f"{side}_shoulder", (0, 0, 0), (0, -0.27 * arm, 0), 0.054 * limb, 0.043 * limb, (1.0, 1.0)),
            ("forearm", f"{side}_elbow", (0, 0, 0), (0, -0.24 * arm, 0), 0.043 * limb, 0.031 * limb, (1.0, 1.0)),
            ("hand", f"{side}_elbow", (0.004, -0.265 * arm, 0), (0.014, -0.335 * arm, 0), 0.04, 0.032, (1.0, 0.65)),
            ("thigh", f"{side}_hip", (0, 0, 0), (0, -0.41 * leg, 0), 0.088 * limb, 0.057 * limb + loose, (1.0, 0.95)),
            ("shin", f"{side}_knee", (0, 0, 0), (0, -0.4 * leg, 0), 0.058 * limb + loose, 0.04 * limb + loose, (1, 1)),
            ("shoe", f"{side}_ankle", (-0.03, -0.03 * leg, 0), (0.125 * foot, -0.04 * leg, 0), 0.046, 0.032, (1, 1.15)),
        ]
    return shapes


def _dress(rng: np.random.Generator, shapes: tuple[_Shape, ...], clothes: Clothes | None) -> tuple[Solid, ...]:
    skin: Color = SKIN_TONES[rng.integers(len(SKIN_TONES))]
    hair: Color = HAIR_TONES[rng.integers(len(HAIR_TONES))] if rng.random() < 0.85 else _random_color(rng)
    shirt, trousers, shoe = _random_color(rng), _random_color(rng), _random_color(rng)
    if rng.random() < 0.6:
        trousers = TROUSER_TONES[rng.integers(len(TROUSER_TONES))]
    elif rng.random() < 0.25:
        trousers = shirt  # a tracksuit, or a dark suit
    sleeve_arm, sleeve_forearm = ((0.55, -1.0), (2.0, 0.9), (-1.0, -1.0), (2.0, 0.9))[rng.integers(4)]
    short_trousers = rng.random() < 0.3
    trouser_cut = rng.uniform(0.5, 0.95)
    barefoot = rng.random() < 0.1
    patterned = rng.uniform(0.15, 0.5) if rng.random() < 0.5 else 0.05
    bald = rng.random() < 0.1
    hairline = 3.0 if bald else rng.uniform(0.25, 0.6)
    if clothes is not None:  # after all draws, so that everything else stays as it is without them
        shirt, trousers, patterned = clothes.shirt, clothes.trousers, 0.05

    solids = []
    for kind, joint, start, end, start_radius, end_radius, flatten in shapes:
        color, end_color, cut, pattern, line = skin, skin, 2.0, 0.0, 3.0
        if kind == "hair":
            if bald:
                continue
            color = end_color = hair
        elif kind == "head":
            end_color, line = hair, hairline
        elif kind == "hips":
            color = end_color = trousers
        elif kind == "shirt":
            color, pattern = shirt, patterned
        elif kind == "upper_arm":
            color, cut, pattern = shirt, sleeve_arm, patterned
        elif kind == "forearm":
            color, cut, pattern = shirt, sleeve_forearm, patterned
        elif kind == "thigh":
            color, cut, pattern = trousers, trouser_cut if short_trousers else 2.0, 0.05
        elif kind == "shin":
            color, cut, pattern = trousers, -1.0 if short_trousers else 2.0, 0.05
        elif kind == "shoe":
            color = end_color = skin if barefoot else shoe
        index = JOINTS.index(joint)
        # plain floats: a float64 scalar of NumPy would turn the renderer's float32 arrays into float64
        radii, flat = (float(start_radius), float(end_radius)), (float(flatten[0]), float(flatten[1]))
        solids.append(Solid(index, start, end, *radii, flat, color, end_color, float(cut), float(pattern), float(line)))
    return tuple(solids)


def local_axes(solid: Solid) -> tuple[npt.NDArray[np.float64], float]:
    """Return the solid's own axes as columns `(3, 3)` in the joint's frame (y along it) and its length in metres."""
    axis = np.subtract(solid.end, solid.start)
    length = float(np.linalg.norm(axis))
    y = axis / length
    side = np.array([0.0, 0.0, 1.0]) if abs(y[2]) < 0.9 else np.array([0.0, 1.0, 0.0])
    x = np.cross(y, side)
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], axis=-1), length


@dataclass(frozen=True)
class PosedSolids:
    """The solids of a body over time.

    Attributes:
        solids: The solids, S of them.
        start: Centres of the first balls, `(F, S, 3)`.
        end: Centres of the second balls.
        to_local: Maps from the world into each solid's own axes, flattening undone, `(F, S, 3, 3)`.
        lengths: Distance of the two balls, metres.
    """

    solids: tuple[Solid, ...]
    start: Array
    end: Array
    to_local: Array
    lengths: tuple[float, ...]

    @property
    def centers(self) -> Array:
        """Centres of all balls, `(F, 2 S, 3)`."""
        return np.concatenate([self.start, self.end], axis=1)

    @property
    def radii(self) -> Array:
        """Radii of the balls in `centers`, `(2 S,)`."""
        return np.array([s.start_radius for s in self.solids] + [s.end_radius for s in self.solids])


def pose_solids(body: Body, positions: Array, rotations: Array) -> PosedSolids:
    """Attach a body's solids to joints at `positions` `(F, 13, 3)` turned by `rotations` `(F, 13, 3, 3)`."""
    joints = [solid.joint for solid in body.solids]
    turned, placed = rotations[:, joints], positions[:, joints]
    start = placed + np.einsum("fsij,sj->fsi", turned, np.array([solid.start for solid in body.solids]))
    end = placed + np.einsum("fsij,sj->fsi", turned, np.array([solid.end for solid in body.solids]))
    axes, lengths = zip(*(local_axes(solid) for solid in body.solids), strict=True)
    scale = np.array([(1 / solid.flatten[0], 1.0, 1 / solid.flatten[1]) for solid in body.solids])
    to_local = np.einsum("sk,sjk,fsij->fski", scale, np.array(axes), turned)
    return PosedSolids(body.solids, start, end, to_local, lengths)
