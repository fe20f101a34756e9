"""Composition: one picture with its truth, from (data set, split, index) alone."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from icm_bench.mini import noise, shapes, street
from icm_bench.mini.noise import Dice, Mask
from icm_bench.mini.shapes import OBJECTS, Kind, Place, Sprite
from icm_bench.mini.street import Canvas, View

DATASETS = ("imagenet", "coco", "cityscapes")
SPLITS = ("val", "train")
VOID = 0
LEAST_VISIBLE = 0.25  # a smaller visible share of an object is never left in a picture


@dataclass(frozen=True)
class Truth:
    """An object: class (index in OBJECTS), its visible part (h, w), and whether it stands for a crowd."""

    kind: int
    mask: Mask
    crowd: bool = False


@dataclass(frozen=True)
class Scene:
    """`pixels` (h, w, 3) sRGB or (h, w) grey; `label` (h, w) Cityscapes label ids; `objects` far to near."""

    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    objects: list[Truth]


@dataclass
class Crowded:
    """Objects placed so far: class, crowd flag and full pixel count by owner number."""

    canvas: Canvas
    kinds: dict[int, int] = field(default_factory=dict)
    crowd: set[int] = field(default_factory=set)
    full: dict[int, int] = field(default_factory=dict)

    def add(self, sprite: Sprite, label: int, owner: int) -> bool:
        """Paint unless it would be cut off or hide an earlier object by more than LEAST_VISIBLE allows."""
        box, mask, _ = self.canvas.crop(sprite)
        whole = int(np.count_nonzero(sprite.mask))
        if owner and np.count_nonzero(mask) < 0.5 * whole:
            return False
        hidden = self.canvas.owner[box][mask]
        for other in np.unique(hidden[(hidden > 0) & (hidden != owner)]).tolist():
            left = np.count_nonzero(self.canvas.owner == other) - np.count_nonzero(hidden == other)
            if left < max(LEAST_VISIBLE * self.full[other], 40):
                return False
        self.canvas.paint(sprite, label, owner)
        if owner:
            self.full[owner] = self.full.get(owner, 0) + whole
        return True

    def truths(self) -> list[Truth]:
        owner = self.canvas.owner
        return [Truth(kind, owner == n, n in self.crowd) for n, kind in self.kinds.items() if n in self.full]


def scene(dataset: str, split: str, index: int) -> Scene:
    """Picture `index` of a data set's split; it depends on nothing else."""
    dice = Dice(DATASETS.index(dataset), SPLITS.index(split), index)
    return {"imagenet": _portrait, "coco": _crossing, "cityscapes": _drive}[dataset](dice, index)


def _portrait(dice: Dice, index: int) -> Scene:
    """ImageNet: one large object of class index mod 10 among bushes and poles."""
    height, width = dice.whole(96, 160), dice.whole(96, 160)
    horizon, vanish = height * dice.uniform(0.25, 0.6), width * dice.uniform(-0.2, 1.2)
    view = View(horizon, vanish, width * dice.uniform(0.05, 0.3))
    place = Crowded(street.backdrop(dice, (height, width), view))
    _clutter(dice, place, view, (0.05, 0.5))
    kind = OBJECTS[index % len(OBJECTS)]
    tall = min(height * dice.uniform(0.42, 0.82), width * 0.9 / kind.aspect[1])
    foot = min(height * dice.uniform(0.72, 1.0), height + 0.08 * tall)
    spot = Place(width * dice.uniform(0.36, 0.64), max(foot, tall + 2.0), tall, 10)
    place.kinds[1] = index % len(OBJECTS)
    _stand(dice, place, (kind, spot), 1)
    _clutter(dice, place, view, (0.7, 1.25))
    pixels = _expose(dice, place.canvas)
    if index % 25 == 7:
        pixels = pixels[..., 1].copy()
    return Scene(pixels, place.canvas.label, place.truths())


def _crossing(dice: Dice, index: int) -> Scene:
    """COCO: up to seven objects, now and then a crowd; every 29th picture has none."""
    height, width = dice.whole(128, 256), dice.whole(128, 256)
    horizon, vanish = height * dice.uniform(0.2, 0.5), width * dice.uniform(-0.1, 1.1)
    view = View(horizon, vanish, width * dice.uniform(0.04, 0.25))
    place = Crowded(street.backdrop(dice, (height, width), view))
    _clutter(dice, place, view, (0.05, 0.5))
    count = 0 if index % 29 == 3 else dice.whole(1, 7)
    if count and dice.chance(0.12):
        _gathering(dice, place, view)
    sizes = sorted(dice.uniform(0.0, 1.0) for _ in range(count))
    for number, size in enumerate(sizes, start=1):
        kind = dice.pick(OBJECTS)
        tall = min(22.0 + 170.0 * size * size, height * 0.85, width * 0.9 / kind.aspect[0])
        tall = max(tall, 44.0 * size) / (1.3 if kind.outline is shapes.car else 1.0)
        low = max(view.horizon + 6.0, tall + 1.0)
        foot = min(low + (height - low) * (0.6 * size + dice.uniform(0.0, 0.4)), height + 0.1 * tall)
        place.kinds[number] = OBJECTS.index(kind)
        _stand(dice, place, (kind, Place(width * dice.uniform(0.06, 0.94), foot, tall)), number)
    _clutter(dice, place, view, (0.7, 1.25))
    return Scene(_expose(dice, place.canvas), place.canvas.label, place.truths())


def _gathering(dice: Dice, place: Crowded, view: View) -> None:
    """A cluster of small objects of one class that counts as one crowd region."""
    number, kind = 100, dice.whole(0, len(OBJECTS) - 1)
    height, width = place.canvas.shape
    x, top = width * dice.uniform(0.2, 0.8), view.horizon + 22.0
    foot = top + (height - top) * dice.uniform(0.0, 0.4)
    place.kinds[number] = kind
    place.crowd.add(number)
    for step in range(dice.whole(6, 12)):
        spot = Place(x + dice.uniform(-30.0, 30.0), foot + 1.5 * step, dice.uniform(16.0, 26.0))
        _stand(dice, place, (OBJECTS[kind], spot), number)


def _stand(dice: Dice, place: Crowded, what: tuple[Kind, Place], owner: int) -> None:
    """Put one object with its shadow on the ground."""
    kind, spot = what
    before = place.canvas.rgb.copy()
    place.canvas.shadow(spot.x, spot.foot, 0.6 * spot.height * max(kind.aspect[0], 0.6))
    if not place.add(shapes.draw(dice, kind, spot), street.CAR, owner):
        place.canvas.rgb[:] = before


def _clutter(dice: Dice, place: Crowded, view: View, depth: tuple[float, float]) -> None:
    """Up to three bushes and poles of no class between two depths (0 horizon, 1 lower edge)."""
    height, width = place.canvas.shape
    for _ in range(dice.whole(0, 3 if depth[0] < 0.5 else 1)):
        x, tall = width * dice.uniform(0.0, 1.0), height * dice.uniform(0.12, 0.4)
        foot = view.horizon + (height - view.horizon) * dice.uniform(*depth)
        if dice.chance(0.5):
            place.add(shapes.bush(dice, Place(x, foot, tall)), street.VEGETATION, 0)
        else:
            pole = Place(x, foot, tall * 2.2, 1)
            place.add(shapes.draw(dice, shapes.STREET_POLE, pole), street.POLE, 0)


def _drive(dice: Dice, index: int) -> Scene:
    """Cityscapes: a street with traffic, drawn far to near; some borders and the bonnet are void."""
    height, width = dice.whole(144, 256), dice.whole(144, 256)
    horizon, vanish = height * dice.uniform(0.3, 0.5), width * dice.uniform(0.2, 0.8)
    view = View(horizon, vanish, width * dice.uniform(0.03, 0.12))
    canvas = street.backdrop(dice, (height, width), view)
    people = ((shapes.STREET_CAR, street.CAR, 0.8), (shapes.STREET_TRUCK, street.TRUCK, 1.2),
              (shapes.STREET_PERSON, street.PERSON, 1.15), (shapes.STREET_SIGN, street.SIGN, 1.5),
              (shapes.STREET_POLE, street.POLE, 2.6))
    for near in sorted(dice.uniform(0.08, 0.62) for _ in range(dice.whole(5, 11))):
        kind, label, tall = people[dice.pick((0, 0, 1, 1, 2, 2, 3, 3, 4))]
        size = (height - view.horizon) * near
        spot = Place(width * dice.uniform(0.0, 1.0), view.horizon + size, max(size * tall, 16.0), 2)
        canvas.shadow(spot.x, spot.foot, 0.5 * spot.height * max(kind.aspect[0], 0.4))
        sprite = shapes.draw(dice, kind, spot)
        if dice.chance(0.4):
            _void_border(canvas, sprite)
        canvas.paint(sprite, label)
    if index % 3 == 0:
        _bonnet(dice, canvas)
    return Scene(_expose(dice, canvas), canvas.label, [])


def _void_border(canvas: Canvas, sprite: Sprite) -> None:
    """Mark the pixels next to an object as void; the object itself is painted afterwards."""
    thick = np.pad(sprite.mask, 1)
    for axis in (0, 1):
        thick = thick | np.roll(thick, 1, axis) | np.roll(thick, -1, axis)
    border = Sprite(sprite.top - 1, sprite.left - 1, thick, np.zeros((*thick.shape, 3)))
    box, mask, _ = canvas.crop(border)
    canvas.label[box][mask] = VOID


def _bonnet(dice: Dice, canvas: Canvas) -> None:
    height, width = canvas.shape
    u = (np.arange(width)[None, :] - width / 2.0) / (0.55 * width)
    mask = np.arange(height)[:, None] > height * (1.0 - dice.uniform(0.05, 0.11) * (1.0 - u * u))
    canvas.rgb[mask] = dice.colour(40.0, 110.0, 15.0)
    canvas.label[mask] = street.EGO


def _expose(dice: Dice, canvas: Canvas) -> NDArray[np.uint8]:
    """Light, lens and sensor: uneven light, slight blur, noise, rounding to (h, w, 3) uint8."""
    height, width = shape = canvas.shape
    y, x = np.arange(height)[:, None] / height - 0.5, np.arange(width)[None, :] / width - 0.5
    light = dice.uniform(0.95, 1.25) + dice.uniform(-0.25, 0.25) * x + dice.uniform(-0.2, 0.2) * y
    light = light + dice.uniform(0.05, 0.2) * noise.octaves(dice, shape, dice.uniform(50.0, 120.0), 12.0)
    seen = noise.soften(canvas.rgb * light[..., None], dice.uniform(0.1, 0.45))
    sigma = dice.uniform(1.0, 3.0)
    seen = seen + (sigma * noise.grain(dice, shape))[..., None]
    seen = seen + (0.5 * sigma) * np.stack([noise.grain(dice, shape) for _ in range(3)], axis=-1)
    return np.floor(np.clip(seen, 0.0, 255.0) + 0.5).astype(np.uint8)
