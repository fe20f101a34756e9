"""The backdrop: sky, house fronts, greenery and ground strips of a street in perspective, with labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icm_bench.mini import noise
from icm_bench.mini.noise import Array, Dice, Mask, Shape
from icm_bench.mini.shapes import Sprite, leaves

# Cityscapes label ids
EGO, ROAD, SIDEWALK, BUILDING, POLE, SIGN = 1, 7, 8, 11, 17, 20
VEGETATION, TERRAIN, SKY, PERSON, CAR, TRUCK = 21, 22, 23, 24, 26, 27


@dataclass
class Canvas:
    """A picture in the making: `rgb` (h, w, 3) in 0..255, label ids and object numbers (`owner`), (h, w)."""

    rgb: Array
    label: NDArray[np.uint8]
    owner: NDArray[np.int32]

    @property
    def shape(self) -> Shape:
        return self.label.shape[0], self.label.shape[1]

    def crop(self, sprite: Sprite) -> tuple[tuple[slice, slice], Mask, Array]:
        """The part of the picture that `sprite` covers, and the sprite's mask and colours there."""
        height, width = self.shape
        top, left = max(sprite.top, 0), max(sprite.left, 0)
        bottom = max(min(sprite.top + sprite.mask.shape[0], height), top)
        right = max(min(sprite.left + sprite.mask.shape[1], width), left)
        inner = np.s_[top - sprite.top : bottom - sprite.top, left - sprite.left : right - sprite.left]
        return np.s_[top:bottom, left:right], sprite.mask[inner], sprite.rgb[inner]

    def paint(self, sprite: Sprite, label: int, owner: int = 0) -> None:
        box, mask, rgb = self.crop(sprite)
        self.rgb[box][mask] = rgb[mask]
        self.label[box][mask] = label
        self.owner[box][mask] = owner

    def shadow(self, x: float, foot: float, width: float) -> None:
        """Darken the ground softly around the foot of an object."""
        reach = 0.35 * width + 3.0
        top, bottom = max(int(foot - reach), 0), max(int(foot + reach), 0)
        left, right = max(int(x - width), 0), max(int(x + width), 0)
        rows = np.arange(top, bottom)[: max(self.shape[0] - top, 0), None]
        columns = np.arange(left, right)[None, : max(self.shape[1] - left, 0)]
        v, u = (rows - foot) / reach, (columns - x) / width
        dark = 1.0 - 0.5 * np.clip(1.0 - u * u - v * v, 0.0, 1.0)
        self.rgb[top : top + dark.shape[0], left : left + dark.shape[1]] *= dark[..., None]


@dataclass(frozen=True)
class View:
    """The camera: horizon row, vanishing column, and half the width of the street's far end, in pixels."""

    horizon: float
    vanish: float
    end: float


def backdrop(dice: Dice, shape: Shape, view: View) -> Canvas:
    """An empty street seen from `view`."""
    canvas = Canvas(sky(dice, shape), np.full(shape, SKY, np.uint8), np.zeros(shape, np.int32))
    houses = {-1: dice.uniform(2.6, 5.5), 1: dice.uniform(2.6, 5.5)}  # in camera heights
    _far_end(dice, canvas, view)
    for side, distance in houses.items():
        _fronts(dice, canvas, view, (side, distance))
    for side, distance in houses.items():
        _ground(dice, canvas, view, (side, distance))
    return canvas


def sky(dice: Dice, shape: Shape) -> Array:
    """A vertical gradient with clouds, (h, w, 3)."""
    top, bottom = dice.colour(110.0, 200.0, 12.0), dice.colour(165.0, 230.0, 10.0)
    blue = np.array([-22.0, 0.0, 24.0]) * dice.uniform(0.0, 1.0)
    t = (np.arange(shape[0]) / shape[0])[:, None, None]
    clouds = noise.octaves(dice, shape, dice.uniform(40.0, 90.0), 4.0) * dice.uniform(15.0, 60.0)
    return (top + blue) * (1.0 - t) + bottom * t + np.maximum(clouds, -12.0)[..., None]


def _far_end(dice: Dice, canvas: Canvas, view: View) -> None:
    """What closes the street at the vanishing point: open sky, houses or trees."""
    left, right = max(int(view.vanish - view.end), 0), max(int(view.vanish + view.end) + 1, 0)
    width = min(right, canvas.shape[1]) - left
    if width <= 0 or dice.chance(0.3):
        return
    rows = int(view.end * dice.uniform(0.3, 1.2)) + 2
    top = max(int(view.horizon) - rows, 0)
    size = (int(view.horizon + view.end) + 2 - top, width)
    box = np.s_[top : top + size[0], left : left + width]
    trees = dice.chance(0.5)
    colours = leaves(dice, size) if trees else _plaster(dice, size)
    canvas.rgb[box], canvas.label[box] = colours[: canvas.shape[0] - top], VEGETATION if trees else BUILDING


def _fronts(dice: Dice, canvas: Canvas, view: View, house_line: tuple[int, float]) -> None:
    """House fronts, trees and gaps along one side; each is a range of columns."""
    side, distance = house_line
    near = view.end
    while near < 3.0 * canvas.shape[1]:
        far, near = near, near * dice.uniform(1.35, 2.1) + 4.0
        first, last = sorted((view.vanish + side * far, view.vanish + side * near))
        left, right = max(int(np.floor(first)), 0), min(int(np.floor(last)), canvas.shape[1])
        kind, rise = dice.whole(0, 9), dice.uniform(0.5, 1.5)
        if kind == 9 or right <= left:  # a gap that shows the sky
            continue
        across = np.abs(np.arange(left, right) + 0.5 - view.vanish)[None, :]
        down = np.arange(canvas.shape[0])[:, None] - view.horizon
        size = (canvas.shape[0], right - left)
        if kind < 6:
            area = down > -rise * across
            colours = _front(dice, down / across, 40.0 / across, _plaster(dice, size))
        else:
            area = down > -0.6 * rise * (across + 12.0 * noise.octaves(dice, size, 20.0, 4.0))
            colours = leaves(dice, size)
        area &= down <= across / distance
        canvas.rgb[:, left:right][area] = colours[area]
        canvas.label[:, left:right][area] = BUILDING if kind < 6 else VEGETATION


def _plaster(dice: Dice, shape: Shape) -> Array:
    """Wall colour, (h, w, 3): fine bricks or ribs over slow stains."""
    period = dice.uniform(3.6, 6.0)
    y, x = np.arange(shape[0])[:, None] / period, np.arange(shape[1])[None, :] / period
    fine = dice.pick((noise.bricks, noise.bricks, noise.stripes))(x, y) * dice.uniform(7.0, 16.0)
    stains = 12.0 * noise.octaves(dice, shape, 40.0, 3.0)
    return dice.colour(70.0, 180.0, 26.0) + (fine + stains)[..., None]


def _front(dice: Dice, up: Array, along: Array, wall: Array) -> Array:
    """A wall with a grid of windows in perspective; `up`, `along` are coordinates on the wall."""
    storeys, columns = dice.uniform(3.5, 6.0), dice.uniform(2.0, 5.0)
    v, u = noise.fraction(up * storeys), noise.fraction(along * columns)
    window = (np.abs(v - 0.5) < dice.uniform(0.2, 0.32)) & (np.abs(u - 0.5) < dice.uniform(0.18, 0.32))
    pane = dice.colour(40.0, 90.0, 14.0) if dice.chance(0.75) else dice.colour(170.0, 215.0, 14.0)
    return np.where(window[..., None], pane + 30.0 * (v - 0.5)[..., None], wall)


def _ground(dice: Dice, canvas: Canvas, view: View, house_line: tuple[int, float]) -> None:
    """Road, pavement and grass strips on one side of the vanishing point, up to the house line."""
    side, distance = house_line
    split = min(max(int(view.vanish), 0), canvas.shape[1])
    columns = slice(0, split) if side < 0 else slice(split, canvas.shape[1])
    top = min(int(view.horizon) + 1, canvas.shape[0] - 1)
    across = np.abs(np.arange(canvas.shape[1])[columns] + 0.5 - view.vanish)[None, :]
    down = np.arange(top, canvas.shape[0])[:, None] + 0.5 - view.horizon
    size = (down.shape[0], across.shape[1])
    if size[1] == 0:
        return
    ratio = across / down  # distance from the middle of the street in camera heights
    inside = np.maximum(across, view.end) < distance * down
    edges = (dice.uniform(0.5, 1.7), dice.uniform(1.8, distance))
    strips = dice.pick(((ROAD, SIDEWALK, TERRAIN), (ROAD, TERRAIN, SIDEWALK), (ROAD, SIDEWALK, SIDEWALK),
                        (TERRAIN, ROAD, SIDEWALK), (SIDEWALK, TERRAIN, TERRAIN), (ROAD, ROAD, TERRAIN)))
    labels = np.where(ratio < edges[0], strips[0], np.where(ratio < edges[1], strips[1], strips[2]))
    rgb, label = canvas.rgb[top:, columns], canvas.label[top:, columns]
    for kind in sorted(set(strips)):
        area = inside & (labels == kind)
        rgb[area] = _surface(dice, kind, ratio, 60.0 / (down + 3.0))[area]
        label[area] = kind
    kerb = inside & (np.abs(ratio - edges[0]) < 0.05)
    rgb[kerb] = rgb[kerb] * 0.8 + 8.0


def _surface(dice: Dice, kind: int, ratio: Array, depth: Array) -> Array:
    """A ground strip, (h, w, 3): alike in colour, told apart by grain, paving or blades of grass."""
    size = (ratio.shape[0], ratio.shape[1])
    colour = dice.colour(75.0, 165.0, 12.0)
    slow = 11.0 * noise.octaves(dice, size, 48.0, 3.0)
    if kind == ROAD:
        fine = noise.grain(dice, size) * dice.uniform(3.0, 6.0)
        dash = (np.abs(ratio - 0.15) < 0.07) & (noise.fraction(depth) < 0.5)
        fine = np.where(dash, fine + 45.0, fine)
    elif kind == SIDEWALK:
        period = dice.uniform(3.2, 5.5)
        y, x = np.arange(size[0])[:, None] / period, np.arange(size[1])[None, :] / period
        fine = dice.pick((noise.checks, noise.dots, noise.mesh))(x, y) * dice.uniform(7.0, 15.0)
        fine = fine - 16.0 * ((noise.fraction(ratio * 2.5) < 0.08) | (noise.fraction(depth * 1.5) < 0.1))
    else:
        fine = noise.value_noise(dice, size, (5.0, 1.4)) * dice.uniform(14.0, 26.0)
        colour = colour + np.array([-6.0, 8.0, -16.0]) * dice.uniform(-0.2, 1.3)
    return colour + (fine + slow)[..., None]
