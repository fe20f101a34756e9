"""Random numbers, value noise and fine patterns from operations that are exact on every processor.

Only + - * / sqrt floor, comparisons and integers are used on arrays: IEEE 754 fixes their results to the last
bit, whereas sin, exp, pow, FFT and dot products may differ between processors and library versions.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Shape = tuple[int, int]  # (height, width) in pixels
Pattern = Callable[[Array, Array], Array]
T = TypeVar("T")

TURN = 256  # angle steps in a full turn
_COS = [round(math.cos(2 * math.pi * k / TURN) * 1024) / 1024 for k in range(TURN)]


def cos_sin(steps: int) -> tuple[float, float]:
    """Cosine and sine of `steps` / 256 of a turn, rounded to 1/1024 so that every libm gives the same."""
    return _COS[steps % TURN], _COS[(steps - TURN // 4) % TURN]


class Dice:
    """A picture's random numbers, without `Generator.uniform`, whose arithmetic a compiler may fuse."""

    def __init__(self, *entropy: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.rng.random())

    def whole(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return float(self.rng.random()) < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[self.whole(0, len(options) - 1)]

    def colour(self, low: float, high: float, chroma: float) -> Array:
        """An RGB colour, (3,): a grey level from `low` to `high`, each channel moved by up to `chroma`."""
        grey = self.uniform(low, high)
        return np.array([grey + self.uniform(-chroma, chroma) for _ in range(3)])


def value_noise(dice: Dice, shape: Shape, cell: tuple[float, float]) -> Array:
    """Smooth random values in -1..1, (h, w), from a lattice of `cell` = (height, width) pixels."""
    sides = []
    for length, step in zip(shape, cell, strict=True):
        place = (np.arange(length) + step * dice.uniform(0.0, 1.0)) / step
        whole = np.floor(place)
        part = place - whole
        sides.append((whole.astype(np.intp), part * part * (3.0 - 2.0 * part)))
    (y, ty), (x, tx) = sides
    lattice = dice.rng.random((int(y[-1]) + 2, int(x[-1]) + 2)) * 2.0 - 1.0
    rows = lattice[y] * (1.0 - ty)[:, None] + lattice[y + 1] * ty[:, None]
    return rows[:, x] * (1.0 - tx) + rows[:, x + 1] * tx


def octaves(dice: Dice, shape: Shape, longest: float, shortest: float = 2.0) -> Array:
    """Noise with a natural spectrum, (h, w), about -1..1: each octave has 0.6 of the longer's amplitude."""
    total = np.zeros(shape)
    cell, amplitude = longest, 0.5
    while cell >= shortest:
        total += amplitude * value_noise(dice, shape, (cell, cell))
        cell, amplitude = cell / 2.0, amplitude * 0.6
    return total


def grain(dice: Dice, shape: Shape) -> Array:
    """Nearly Gaussian noise of unit deviation, (h, w): a sum of three uniforms."""
    draws = dice.rng.random((3, *shape))
    return (draws[0] + draws[1] + draws[2] - 1.5) * 2.0


def soften(picture: Array, amount: float) -> Array:
    """(h, w, 3) mixed with its 3 x 3 binomial blur; `amount` 0 keeps it, 1 replaces it."""
    for axis in (0, 1):
        size = picture.shape[axis]
        before = picture.take(np.maximum(np.arange(size) - 1, 0), axis)
        after = picture.take(np.minimum(np.arange(size) + 1, size - 1), axis)
        picture = picture + amount * (0.25 * (before + after) - 0.5 * picture)
    return picture


def fraction(x: Array) -> Array:
    return x - np.floor(x)


def wave(x: Array) -> Array:
    """A clipped triangle wave of period 1, -1..1: sharper than a sine, softer than a square."""
    return np.clip(7.2 * np.abs(fraction(x) - 0.5) - 1.8, -1.0, 1.0)


def stripes(x: Array, y: Array) -> Array:
    return wave(y) + 0.0 * x


def ribs(x: Array, y: Array) -> Array:
    return wave(x) + 0.0 * y


def checks(x: Array, y: Array) -> Array:
    return wave(x * 0.75) * wave(y * 0.75)


def hatch(x: Array, y: Array) -> Array:
    return wave((x + y) * 0.75)


def mesh(x: Array, y: Array) -> Array:
    return np.maximum(wave((x + y) * 0.6), wave((x - y) * 0.6)) * 1.2 - 0.4


def dots(x: Array, y: Array) -> Array:
    u, v = fraction(x * 0.8) - 0.5, fraction(y * 0.8) - 0.5
    return np.clip(2.2 - 14.0 * (u * u + v * v), -0.7, 1.3)


def rings(x: Array, y: Array) -> Array:
    return wave(np.sqrt(x * x + y * y))


def bricks(x: Array, y: Array) -> Array:
    row = np.floor(y * 0.8)
    joint = np.maximum(wave(y * 0.8), wave(x * 0.4 + 0.5 * (row - 2.0 * np.floor(row / 2.0))) * 2.0 - 1.0)
    return np.clip(joint, -0.6, 1.0)
