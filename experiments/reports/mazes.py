"""Mazes as SVG: walls, objects in the one look of `goalmaze.envs.rendering`, and the way an agent took.

Colours of floor, walls and way are left to the page's style sheet; those of objects are the family's.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from contourpy import contour_generator
from markupsafe import Markup
from numpy.typing import NDArray

from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.cells import ABSENT, Bools
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.objects import ObjectType
from goalmaze.envs.rendering import LAMP_CELL, shape_mask

Points = NDArray[np.float64]

CELL = 10
"""Units along a side of a cell."""

_FINE = 40
"""Samples along a side of a cell from which the outline of a shape is found."""

_ARROWS = 7
"""Most arrowheads on a way."""

_HEAD = "M-1.7,-2.1L2,0L-1.7,2.1z"


def symbols(shapes: Iterable[str]) -> Markup:
    """Return an invisible drawing that defines each shape once, as `shape-NAME`, for `maze` to refer to."""
    parts = [
        Markup('<symbol id="shape-{}" viewBox="-1 -1 2 2" overflow="visible"><path d="{}"/></symbol>').format(
            shape, outline(shape)
        )
        for shape in sorted(set(shapes))
    ]
    return Markup('<svg class="symbols" width="0" height="0" aria-hidden="true"><defs>{}</defs></svg>').format(
        Markup("").join(parts)
    )


@functools.cache
def outline(shape: str) -> str:
    """Return the outline of a shape as an SVG path, in a cell that reaches from -1 to 1."""
    edged = np.pad(shape_mask(shape, _FINE), 1)
    places = (np.arange(_FINE + 2) - 0.5) / _FINE * 2 - 1
    lines = cast("list[Points]", contour_generator(places, places, edged).lines(0.5))
    return "".join(f"M{' '.join(_points(line[:-1]))}z" for line in lines)


def _points(line: Points) -> list[str]:
    """Return the corners of a closed line [N, 2], without those that lie between their neighbours."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return [f"{x:.2f},{y:.2f}" for x, y in line[turns]]


def maze(trajectory: Trajectory, b: int, until: int, label: str) -> Markup:
    """Return level b with the way the agent took up to step `until`; objects stand where they began.

    Args:
        trajectory: what happened.
        b: which of its levels.
        family: whose kinds give colours and shapes.
        until: how many steps to draw.
        label: what is to be seen, for those who do not see it.
    """
    levels = trajectory.levels
    cells = trajectory.agent[: min(until, int(trajectory.steps[b])) + 1, b]
    return Markup(
        '<svg class="maze" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<rect class="floor" width="{w}" height="{h}"/><path class="wall" d="{walls}"/>{things}{way}</svg>'
    ).format(
        w=levels.width * CELL,
        h=levels.height * CELL,
        label=label,
        walls=_walls(levels.walls[b]),
        things=_things(levels, b),
        way=_way([int(cell) for cell in cells], levels.width),
    )


def _walls(walls: Bools) -> str:
    """Return the walls bool [H, W] as one path, a rectangle for each run of walls in a row."""
    parts = []
    for row, line in enumerate(walls):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]])))
        parts += [
            f"M{begin * CELL} {row * CELL}h{(end - begin) * CELL}v{CELL}h{(begin - end) * CELL}z"
            for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]
    return "".join(parts)


def _things(levels: LevelBatch, b: int) -> Markup:
    family = levels.family
    object_types = {kind.name: kind for kind in family.object_types}
    places = [(object_types[name], int(cell)) for name, cell in zip(levels.slots, levels.objects[b], strict=True)]
    return Markup("").join(
        _thing(kind, *_corner(LAMP_CELL if kind.fills else cell, levels.width))
        for kind, cell in places
        if cell != ABSENT
    )


def _thing(kind: ObjectType, x: float, y: float) -> Markup:
    return Markup('<use class="thing" href="#shape-{}" x="{}" y="{}" width="{}" height="{}" fill="{}"/>').format(
        kind.shape, x, y, CELL, CELL, "#{:02x}{:02x}{:02x}".format(*kind.colour)
    )


def _corner(cell: int, width: int) -> tuple[int, int]:
    row, column = divmod(cell, width)
    return column * CELL, row * CELL


def _way(cells: Sequence[int], width: int) -> Markup:
    """Return a way as a line with arrowheads, a ring where it begins and a disc where it ends."""
    points = [(x + CELL / 2, y + CELL / 2) for x, y in (_corner(cell, width) for cell in cells)]
    moved = [points[0], *(after for before, after in itertools.pairwise(points) if after != before)]
    line = " ".join(f"{x:g},{y:g}" for x, y in moved)
    (x0, y0), (x1, y1) = moved[0], moved[-1]
    return Markup(
        '<polyline class="way-rim" points="{line}"/><polyline class="way" points="{line}"/>{arrows}'
        '<circle class="begin" cx="{x0:g}" cy="{y0:g}" r="2.6"/><circle class="end" cx="{x1:g}" cy="{y1:g}" r="1.7"/>'
    ).format(line=line, arrows=_arrows(moved), x0=x0, y0=y0, x1=x1, y1=y1)


def _arrows(moved: Sequence[tuple[float, float]]) -> Markup:
    """Return arrowheads on some steps of a way, evenly spread."""
    steps = len(moved) - 1
    count = min(_ARROWS, (steps + 1) // 2)
    chosen = sorted({round((i + 0.5) * steps / count - 0.5) for i in range(count)}) if count else []
    parts = []
    for i in chosen:
        (x0, y0), (x1, y1) = moved[i], moved[i + 1]
        turn = round(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
        parts.append(
            Markup('<path class="arrow" d="{}" transform="translate({:g} {:g}) rotate({})"/>').format(
                _HEAD, (x0 + x1) / 2, (y0 + y1) / 2, turn
            )
        )
    return Markup("").join(parts)


def legend(family: Family, present: Iterable[str]) -> list[tuple[Markup, str]]:
    """Return a picture and a name for every mark in drawings in which these kinds are present."""
    there = set(present)
    frame = Markup('<svg class="key" viewBox="0 0 {0} {0}" aria-hidden="true">{1}</svg>')
    way = Markup('<polyline class="way-rim" points="0,5 10,5"/><polyline class="way" points="0,5 10,5"/>{}').format(
        _arrows([(0, 5), (10, 5)])
    )
    marks = [
        (Markup('<circle class="begin" cx="5" cy="5" r="2.6"/>'), "start"),
        (way, "way of the agent"),
        (Markup('<circle class="end" cx="5" cy="5" r="1.7"/>'), "where the drawn way ends"),
    ]
    marks += [(_thing(kind, 0, 0), kind.name) for kind in family.object_types if kind.name in there]
    return [(frame.format(CELL, mark), name) for mark, name in marks]
