"""Names written beside their curves where there is room, in a legend otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import AbstractPathEffect
    from matplotlib.text import Text

#: Offsets in points and alignments tried around a point, best first: (dx, dy, horizontal, vertical).
_PLACES = (
    (5, 0, "left", "center"),
    (0, 5, "center", "bottom"),
    (0, -5, "center", "top"),
    (5, 4, "left", "bottom"),
    (5, -4, "left", "top"),
    (-5, 4, "right", "bottom"),
    (-5, -4, "right", "top"),
    (-5, 0, "right", "center"),
)


@dataclass(frozen=True)
class Name:
    """A curve to be named: its drawn line, the text and its colour; full: its text in a legend, if other."""

    line: Line2D
    text: str
    colour: str
    full: str = ""


def place(axes: Axes, names: Sequence[Name], obstacles: Sequence[Line2D | Text] = ()) -> bool:
    """Write each name beside its line, over nothing else; draw none and return False when one has no room."""
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    crowd = _joined([*(_dense(name.line) for name in names), *(_covered(one) for one in obstacles)])
    taken: list[np.ndarray] = []
    placed: list[Text] = []
    for name in sorted(names, key=lambda one: -len(one.text)):
        text = _fit(axes, name, crowd, taken)
        if text is None:
            for one in placed:
                one.remove()
            return False
        placed.append(text)
    # The layout must not move again to make room for what was just fitted into it.
    for one in placed:
        one.set_in_layout(False)
    return True


def is_free(legend: Legend, lines: Sequence[Line2D], obstacles: Sequence[Line2D | Text] = ()) -> bool:
    """Whether a drawn legend covers none of the lines and obstacles."""
    import numpy as np

    legend.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]
    low, high = np.asarray(legend.get_window_extent().get_points())
    points = _joined([*(_dense(line) for line in lines), *(_covered(one) for one in obstacles)])
    return not ((points >= low) & (points <= high)).all(axis=1).any()


def halo() -> list[AbstractPathEffect]:
    """A white rim that keeps text legible on a grid line."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.6, foreground="white")]


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """All points (n, 2), none for no parts."""
    import numpy as np

    return np.concatenate([*parts, np.empty((0, 2))])


def _fit(axes: Axes, name: Name, crowd: np.ndarray, taken: list[np.ndarray]) -> Text | None:
    """The name at the first free place: at the curve's ends first, then along it."""
    import numpy as np

    n = len(np.asarray(name.line.get_xdata()))
    points = list(dict.fromkeys([n - 1, 0, *range(n - 2, 0, -1)]))
    frame = np.asarray(axes.get_window_extent().get_points())
    for index in points:
        for dx, dy, horizontal, vertical in _PLACES:
            text = axes.annotate(
                name.text,
                (np.asarray(name.line.get_xdata())[index], np.asarray(name.line.get_ydata())[index]),
                (dx, dy),
                textcoords="offset points",
                color=name.colour,
                ha=horizontal,
                va=vertical,
                fontsize=7,
                path_effects=halo(),
            )
            box = np.asarray(text.get_window_extent().get_points()) + np.array([[-1, -1], [1, 1]])
            inside = (box[0] >= frame[0]).all() and (box[1] <= frame[1]).all()
            over = ((crowd >= box[0]) & (crowd <= box[1])).all(axis=1).any()
            hits = any((box[0] < other[1]).all() and (other[0] < box[1]).all() for other in taken)
            if inside and not over and not hits:
                taken.append(box)
                return text
            text.remove()
    return None


def _dense(line: Line2D) -> np.ndarray:
    """Display points (n, 2) along a line, at most 2 pixels apart."""
    import numpy as np

    corners = line.get_transform().transform(np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float))
    parts = [corners]
    for first, second in pairwise(corners):
        steps = max(int(np.hypot(*(second - first)) / 2), 1)
        parts.append(first + (second - first) * np.linspace(0, 1, steps + 1)[:, None])
    return np.concatenate(parts)


def _covered(thing: Line2D | Text) -> np.ndarray:
    """Display points that another line or text covers."""
    import numpy as np
    from matplotlib.text import Text

    if not isinstance(thing, Text):
        return _dense(thing)
    (left, low), (right, high) = thing.get_window_extent().get_points()
    across, up = np.meshgrid(np.arange(left, right + 3, 3), np.arange(low, high + 3, 3))
    return np.column_stack([across.ravel(), up.ravel()])
