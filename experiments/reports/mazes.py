"""Mazes as SVG: walls, objects with the shapes and colours of `goalmaze.envs.rendering`, and the agent's path.

The colours of floor, walls and path are those of the page's style sheet; those of objects are the family's.
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
from goalmaze.envs.cells import Bools
from goalmaze.envs.levels import Family
from goalmaze.envs.look import hexadecimal
from goalmaze.envs.rendering import scene_data, shape_mask

Points = NDArray[np.float64]

CELL = 10
"""Units along a side of a cell."""

_SAMPLES = 40
"""Samples along a side of a cell from which the outline of a shape is traced."""

_MAX_ARROWS = 7
_ARROWHEAD = "M-1.7,-2.1L2,0L-1.7,2.1z"


def symbols(shapes: Iterable[str]) -> Markup:
    """Return an invisible drawing that defines each shape once, as `shape-NAME`; `maze` refers to it."""
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
    mask = np.pad(shape_mask(shape, _SAMPLES), 1)
    positions = (np.arange(_SAMPLES + 2) - 0.5) / _SAMPLES * 2 - 1
    # The padding closes outlines that touch the border of the cell.
    lines = cast("list[Points]", contour_generator(positions, positions, mask).lines(0.5))
    return "".join(f"M{' '.join(_corners(line[:-1]))}z" for line in lines)


def _corners(line: Points) -> list[str]:
    """Return the points of a closed line [N, 2] as text, without those on a straight line between their neighbours."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    # The cross product of the two segments at a point is 0 where they lie on one line.
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return [f"{x:.2f},{y:.2f}" for x, y in line[turns]]


def maze(trajectory: Trajectory, b: int, until: int, label: str) -> Markup:
    """Return level b with the agent's path; objects stand where they began.

    Args:
        trajectory: what happened.
        b: the level.
        until: number of steps to draw.
        label: the text alternative.
    """
    levels = trajectory.levels
    scene = scene_data(levels, b, levels.start[b])
    cells = trajectory.agent[: min(until, int(trajectory.steps[b])) + 1, b]
    objects = [
        _object(one["shape"], hexadecimal(tuple(one["colour"])), *_corner(one["cell"], levels.width))
        for one in scene["objects"]
    ]
    return Markup(
        '<svg class="maze" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">'
        '<rect class="floor" width="{w}" height="{h}"/><path class="wall" d="{walls}"/>{objects}{path}</svg>'
    ).format(
        w=levels.width * CELL,
        h=levels.height * CELL,
        label=label,
        walls=maze_walls(levels.walls[b]),
        objects=Markup("").join(objects),
        path=_path([int(cell) for cell in cells], levels.width),
    )


def maze_walls(walls: Bools) -> str:
    """Return the walls bool [H, W] as one SVG path, a rectangle for each run of walls in a row."""
    parts = []
    for row, line in enumerate(walls):
        # With a free cell on either side, every run of walls has a beginning and an end.
        edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]])))
        parts += [
            f"M{begin * CELL} {row * CELL}h{(end - begin) * CELL}v{CELL}h{(begin - end) * CELL}z"
            for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        ]
    return "".join(parts)


def _object(shape: str, colour: str, x: float, y: float) -> Markup:
    return Markup('<use class="object" href="#shape-{}" x="{}" y="{}" width="{}" height="{}" fill="{}"/>').format(
        shape, x, y, CELL, CELL, colour
    )


def _corner(cell: int, width: int) -> tuple[int, int]:
    row, column = divmod(cell, width)
    return column * CELL, row * CELL


def _path(cells: Sequence[int], width: int) -> Markup:
    """Return the path through cells as a line with arrowheads, a ring at its start and a disc at its end."""
    points = [(x + CELL / 2, y + CELL / 2) for x, y in (_corner(cell, width) for cell in cells)]
    # A step against a wall leaves the agent where it is, and adds no point to the line.
    moved = [points[0], *(after for before, after in itertools.pairwise(points) if after != before)]
    line = " ".join(f"{x:g},{y:g}" for x, y in moved)
    (x0, y0), (x1, y1) = moved[0], moved[-1]
    return Markup(
        '<polyline class="path-rim" points="{line}"/><polyline class="path" points="{line}"/>{arrows}'
        '<circle class="start" cx="{x0:g}" cy="{y0:g}" r="2.6"/><circle class="end" cx="{x1:g}" cy="{y1:g}" r="1.7"/>'
    ).format(line=line, arrows=_arrows(moved), x0=x0, y0=y0, x1=x1, y1=y1)


def _arrows(points: Sequence[tuple[float, float]]) -> Markup:
    """Return arrowheads on some segments of a path, evenly spread."""
    steps = len(points) - 1
    count = min(_MAX_ARROWS, (steps + 1) // 2)
    chosen = sorted({round((i + 0.5) * steps / count - 0.5) for i in range(count)}) if count else []
    parts = []
    for i in chosen:
        (x0, y0), (x1, y1) = points[i], points[i + 1]
        angle = round(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
        parts.append(
            Markup('<path class="arrow" d="{}" transform="translate({:g} {:g}) rotate({})"/>').format(
                _ARROWHEAD, (x0 + x1) / 2, (y0 + y1) / 2, angle
            )
        )
    return Markup("").join(parts)


def legend(family: Family, present: Iterable[str]) -> list[tuple[Markup, str]]:
    """Return a picture and a name for every symbol of drawings that hold these object types."""
    present = set(present)
    frame = Markup('<svg class="key" viewBox="0 0 {0} {0}" aria-hidden="true">{1}</svg>')
    path = Markup('<polyline class="path-rim" points="0,5 10,5"/><polyline class="path" points="0,5 10,5"/>{}').format(
        _arrows([(0, 5), (10, 5)])
    )
    marks = [
        (Markup('<circle class="start" cx="5" cy="5" r="2.6"/>'), "start"),
        (path, "path of the agent"),
        (Markup('<circle class="end" cx="5" cy="5" r="1.7"/>'), "end of the drawn path"),
    ]
    marks += [
        (_object(kind.shape, hexadecimal(kind.colour), 0, 0), kind.name)
        for kind in family.object_types
        if kind.name in present
    ]
    return [(frame.format(CELL, mark), name) for mark, name in marks]
