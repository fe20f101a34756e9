"""The objects of the mini world: an outline, untextured trim, and a fine pattern over shaded, dirty paint."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from icm_bench.mini import noise
from icm_bench.mini.noise import Array, Dice, Mask, Pattern

Outline = Callable[[Array, Array], tuple[Mask, Mask]]


@dataclass(frozen=True)
class Kind:
    """A class of object: `outline(u, v)` gives (body, trim) for u, v in -1..1; `aspect` is width / height."""

    name: str
    outline: Outline
    pattern: Pattern
    aspect: tuple[float, float]


@dataclass(frozen=True)
class Sprite:
    """A drawn object: `mask` (h, w) and `rgb` (h, w, 3), top left corner at (`top`, `left`) of a picture."""

    top: int
    left: int
    mask: Mask
    rgb: Array


@dataclass(frozen=True)
class Place:
    """Where an object stands: centre `x`, `foot`, `height` in pixels, and the most it leans (1/256 turns)."""

    x: float
    foot: float
    height: float
    lean: int = 6


def crate(u: Array, v: Array) -> tuple[Mask, Mask]:
    body = (np.abs(u) <= 1.0) & (np.abs(v) <= 1.0)
    return body, body & (np.maximum(np.abs(u), np.abs(v)) > 0.9)


def barrel(u: Array, v: Array) -> tuple[Mask, Mask]:
    body = (np.abs(u) <= 1.0 - 0.28 * v * v) & (np.abs(v) <= 1.0 - 0.12 * u * u)
    return body, body & (np.abs(np.abs(v) - 0.62) < 0.05)


def cone(u: Array, v: Array) -> tuple[Mask, Mask]:
    body = (np.abs(u) <= np.where(v > 0.8, 1.0, 0.45 + 0.36 * v)) & (np.abs(v) <= 1.0)
    return body, body & (v > 0.86)


def sign(u: Array, v: Array) -> tuple[Mask, Mask]:
    disc = u * u + (v + 0.4) * (v + 0.4) * 2.77
    pole = (np.abs(u) < 0.11) & (v > 0.1) & (v <= 1.0)
    return (disc <= 1.0) | pole, (disc <= 1.0) & (disc > 0.8) | pole & (disc > 1.0)


def car(u: Array, v: Array) -> tuple[Mask, Mask]:
    wheels = (np.abs(u) - 0.6) * (np.abs(u) - 0.6) * 4.0 + (v - 0.72) * (v - 0.72) < 0.08
    hull = (v > -0.2) & (v < 0.75) & (np.abs(u) < 1.0 - 0.06 * (v - 0.2) * (v - 0.2))
    cabin = (v >= -1.0) & (v <= -0.2) & (np.abs(u + 0.08) < 0.72 + 0.3 * v)
    glass = (v > -0.84) & (v < -0.28) & (np.abs(u + 0.08) < 0.66 + 0.3 * v) & (np.abs(u + 0.08) > 0.05)
    return hull | cabin | wheels, glass | wheels


def truck(u: Array, v: Array) -> tuple[Mask, Mask]:
    wheels = (np.abs(u) - 0.62) * (np.abs(u) - 0.62) * 3.0 + (v - 0.8) * (v - 0.8) < 0.045
    hold = (v >= -1.0) & (v < 0.8) & (u < 0.5) & (u > -1.0)
    cabin = (v > -0.5) & (v < 0.8) & (u >= 0.54) & (u < 1.0)
    return hold | cabin | wheels, wheels | cabin & (v < 0.0) & (u > 0.66)


def person(u: Array, v: Array) -> tuple[Mask, Mask]:
    head = u * u * 0.2 + (v + 0.82) * (v + 0.82) < 0.034
    torso = (np.abs(v + 0.27) < 0.39) & (np.abs(u) < 0.8 - 0.25 * v)
    legs = (v >= 0.1) & (v <= 1.0) & (np.abs(u) < 0.68) & (np.abs(u) > 0.2 * v)
    return head | torso | legs, head | legs & (v > 0.9)


def post(u: Array, v: Array) -> tuple[Mask, Mask]:
    body = (np.abs(u) <= 1.0) & (np.abs(v) <= 1.0)
    return body, body & (v < -0.94)


OBJECTS = (
    Kind("striped_crate", crate, noise.stripes, (0.8, 1.3)),
    Kind("checked_crate", crate, noise.checks, (0.8, 1.3)),
    Kind("dotted_barrel", barrel, noise.dots, (0.6, 0.85)),
    Kind("hatched_barrel", barrel, noise.hatch, (0.6, 0.85)),
    Kind("striped_cone", cone, noise.stripes, (0.65, 0.95)),
    Kind("dotted_cone", cone, noise.dots, (0.65, 0.95)),
    Kind("ringed_sign", sign, noise.rings, (0.52, 0.66)),
    Kind("meshed_sign", sign, noise.mesh, (0.52, 0.66)),
    Kind("ribbed_car", car, noise.ribs, (1.5, 2.0)),
    Kind("checked_car", car, noise.checks, (1.5, 2.0)),
)
STREET_CAR = Kind("car", car, noise.hatch, (1.5, 2.0))
STREET_TRUCK = Kind("truck", truck, noise.ribs, (1.3, 1.7))
STREET_PERSON = Kind("person", person, noise.stripes, (0.3, 0.38))
STREET_SIGN = Kind("traffic sign", sign, noise.mesh, (0.5, 0.7))
STREET_POLE = Kind("pole", post, noise.ribs, (0.05, 0.08))


def draw(dice: Dice, kind: Kind, place: Place) -> Sprite:
    """An object at `place`: random paint, contrast, shading, dirt and a pattern of 3.2 to 5 pixels."""
    half_h = place.height / 2.0
    half_w = max(half_h * dice.uniform(*kind.aspect), 1.6)
    cos, sin = noise.cos_sin(dice.whole(-place.lean, place.lean))
    reach = int(max(half_w, half_h) * 1.25) + 2
    centre_x, centre_y = int(np.floor(place.x)), int(np.floor(place.foot - half_h))
    y = np.arange(-reach, reach + 1, dtype=np.float64)[:, None]
    x = np.arange(-reach, reach + 1, dtype=np.float64)[None, :]
    along, down = x * cos + y * sin, y * cos - x * sin
    body, trim = kind.outline(along / half_w, down / half_h)
    rows, columns = np.flatnonzero(body.any(1)), np.flatnonzero(body.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    along, down = along[box], down[box]
    if kind.outline is sign:  # rings and meshes are centred on the disc
        down = down + 0.4 * half_h
    rgb = _paint(dice, kind.pattern, along, down) * _shade(dice, along / half_w, down / half_h)[..., None]
    rgb = np.where(trim[box][..., None], dice.colour(35.0, 80.0, 12.0) + 0.12 * rgb, rgb)
    return Sprite(centre_y - reach + int(rows[0]), centre_x - reach + int(columns[0]), body[box], rgb)


def _paint(dice: Dice, pattern: Pattern, along: Array, down: Array) -> Array:
    period = dice.uniform(3.2, 5.0)
    contrast = dice.uniform(6.0, 13.0) * (1.0 if dice.chance(0.5) else -1.0)
    dirt = 7.0 * noise.octaves(dice, (along.shape[0], along.shape[1]), 24.0, 2.5)
    lines = contrast * pattern(along / period, down / period) + dirt
    return dice.colour(75.0, 185.0, 42.0) + lines[..., None] * (1.0 + dice.colour(0.0, 0.0, 0.15))


def _shade(dice: Dice, u: Array, v: Array) -> Array:
    return 1.0 + dice.uniform(-0.14, 0.14) * u - dice.uniform(0.0, 0.14) * u * u - dice.uniform(0.0, 0.12) * v


def bush(dice: Dice, place: Place) -> Sprite:
    """A round bush or tree crown with a ragged outline and leaf texture."""
    half_h = place.height / 2.0
    half_w = half_h * dice.uniform(0.8, 1.4)
    shape = (2 * int(half_h * 1.2) + 3, 2 * int(half_w * 1.2) + 3)
    y = (np.arange(shape[0]) - shape[0] // 2)[:, None] / half_h
    x = (np.arange(shape[1]) - shape[1] // 2)[None, :] / half_w
    mask = x * x + y * y + 0.4 * noise.octaves(dice, shape, half_h, 3.0) < 0.85
    top, left = int(place.foot - half_h) - shape[0] // 2, int(place.x) - shape[1] // 2
    return Sprite(top, left, mask, leaves(dice, shape) * (1.0 - 0.2 * y - 0.1 * x)[..., None])


def leaves(dice: Dice, shape: noise.Shape) -> Array:
    """Leaf texture, (h, w, 3): blotches of a few pixels over slower ones, mostly but not always green."""
    colour = dice.colour(60.0, 120.0, 14.0) + np.array([-12.0, 16.0, -18.0]) * dice.uniform(-0.3, 1.2)
    fine = noise.value_noise(dice, shape, (2.6, 2.6)) * dice.uniform(16.0, 30.0)
    return colour + (fine + 26.0 * noise.octaves(dice, shape, 32.0, 4.0))[..., None]
