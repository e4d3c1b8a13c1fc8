"""Drawing observations: compiled functions copy cells that were drawn in advance, and only where something changed.

Axes: B environments, C planes, H rows, W columns, K object slots, T = K + 1 figures: the objects in slot order, then
the agent. Object types that look alike on the planes look alike in pictures; what shows on no plane is not drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs import look
from goalmaze.envs.engine.state import WALL, WALL_PLANE
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.levels import Family
from goalmaze.envs.objects import ObjectType
from goalmaze.envs.rendering import AGENT_SHAPE, LAMP_CELL, shape_mask

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int32]

OPAQUE = 255
UNDRAWN = 2
"""The entry of `Memory.walls` for a square that was never drawn."""


class Memory(NamedTuple):
    """What an array of pictures shows at present, so that only the changes are drawn.

    Attributes:
        walls: uint8 [B, H*W], 1 for a wall, `UNDRAWN` at first.
        cells: int32 [B, T], the cell on which each figure shows, `ABSENT` where it does not.
    """

    walls: Bytes
    cells: Integers

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.walls.nbytes + self.cells.nbytes


class Sprites(NamedTuple):
    """Cells drawn in advance. Their sides differ by at most a pixel, so there are S <= 2 sizes along each axis.

    Attributes:
        edges: int32 [size + 1], the pixel at which each row, or column, of cells begins, and the end of the last.
        sizes: int32 [size], which of the sizes each row, or column, has.
        kinds_of_size: S.
        side: h, the largest size.
        tiles: uint8 [S, S, 2, T + 1, h, h*3], flattened; floor and wall, each empty and with one figure on it.
        covers: uint8 [S, S, T, h, h*3], flattened; opacity of each figure, 255 where it hides what lies below.
        colours: uint8 [T, h*3], flattened; the colours of the figures.
        places: int32 [T], `HIDDEN`, `WHERE_IT_STANDS` or `IN_CORNER`.
        visible_steps: int32 [T], number of first observations in which each figure shows; 0 for all.
    """

    edges: Integers
    sizes: Integers
    kinds_of_size: int
    side: int
    tiles: Bytes
    covers: Bytes
    colours: Bytes
    places: Integers
    visible_steps: Integers


HIDDEN, WHERE_IT_STANDS, IN_CORNER = range(3)
"""Where a figure shows in pictures: nowhere, on its cell, or as a lamp at `LAMP_CELL`."""


class LinesOfSight(NamedTuple):
    """The N squares within the agent's radius r, and the squares on the line of sight to each.

    Attributes:
        squares: int32 [N, 2], offset of each square from the agent: rows down and columns to the right.
        lengths: int32 [N], number of steps on the line between the agent and the square.
        lines: int32 [N, r, 2], offsets in cells of the two squares nearest to each step of the line; they are equal
            unless the line runs exactly between two squares.
    """

    squares: Integers
    lengths: Integers
    lines: Integers


def _appearance(family: Family, kind: ObjectType) -> ObjectType | None:
    """Return the object type whose sprite is drawn for `kind`; None where it shows on no plane.

    It is the first type that looks the same on the planes, so that pictures show no more than planes do.
    """

    def shows(one: ObjectType) -> tuple[frozenset[str], int, bool]:
        return frozenset(one.shows_on), family.values().get(one.name, 1), one.fills

    if not kind.shows_on or family.values().get(kind.name, 1) == 0:
        return None
    return next(one for one in family.object_types if shows(one) == shows(kind))


def make_sights(radius: int, columns: int) -> LinesOfSight:
    """Return the squares at most `radius` cells away along each axis, in a maze with `columns` columns."""
    squares = np.indices((2 * radius + 1, 2 * radius + 1)).reshape(2, -1).T - radius
    lengths = np.maximum(np.abs(squares).max(axis=1) - 1, 0)
    # The t-th step of the line to a square at offset d, in n steps, is at t * d / n. It is rounded in integers, once
    # half up and once half down: the two differ exactly where the line runs between two squares.
    steps = (lengths + 1)[:, None, None]
    twice = 2 * np.arange(1, radius + 1)[:, None] * squares[:, None, :]
    both = [(twice + steps) // (2 * steps), -((steps - twice) // (2 * steps))]
    lines = np.stack([point[..., 0] * columns + point[..., 1] for point in both], axis=-1)
    return LinesOfSight(squares.astype(np.int32), lengths.astype(np.int32), lines.astype(np.int32))


def make_sprites(family: Family, edges: Integers) -> Sprites:
    """Return the cells of a family, drawn in advance in the sizes that `edges` int32 [size + 1] gives."""
    object_types = {kind.name: _appearance(family, kind) for kind in family.object_types}
    looks = [object_types[name] for name in family.slots]
    shapes = [AGENT_SHAPE if kind is None else kind.shape for kind in looks] + [AGENT_SHAPE]
    colours = np.array([look.AGENT if kind is None else kind.colour for kind in looks] + [look.AGENT], np.uint8)
    lengths = np.diff(edges)
    sizes, which = np.unique(lengths, return_inverse=True)
    largest = int(sizes[-1])
    covers = np.zeros((len(sizes), len(sizes), len(shapes), largest, largest, 3), np.uint8)
    for i, height in enumerate(sizes):
        for j, width in enumerate(sizes):
            for figure, shape in enumerate(shapes):
                cover = np.rint(shape_mask(shape, int(height), int(width)) * OPAQUE)
                covers[i, j, figure, :height, :width] = cover[..., None]
    grounds = np.array([look.FLOOR, look.WALL], np.uint8)[:, None, None, None]
    empty = np.broadcast_to(grounds, (*covers.shape[:2], 2, 1, *covers.shape[3:]))
    with_figure = _blend(grounds, covers[:, :, None], colours[:, None, None])
    tiles = np.concatenate([empty, with_figure], axis=3)
    return Sprites(
        edges=edges,
        sizes=which.astype(np.int32),
        kinds_of_size=len(sizes),
        side=largest,
        tiles=tiles.reshape(-1),
        covers=covers.reshape(-1),
        colours=np.tile(colours, largest).reshape(-1),
        places=np.array([_place(kind) for kind in looks] + [WHERE_IT_STANDS], np.int32),
        visible_steps=np.array([family.visible_steps_by_type[name] for name in family.slots] + [0], np.int32),
    )


def _place(kind: ObjectType | None) -> int:
    if kind is None:
        return HIDDEN
    return IN_CORNER if kind.fills else WHERE_IT_STANDS


def _blend(below: Bytes, cover: Bytes, colour: Bytes) -> Bytes:
    # Products of two bytes need more than 8 bits. Half of the divisor is added first, so that the division rounds.
    wide = [part.astype(np.uint32) for part in (below, cover, colour)]
    return np.asarray((wide[0] * (OPAQUE - wide[1]) + wide[2] * wide[1] + OPAQUE // 2) // OPAQUE, np.uint8)


@compiled
def _paste(
    source: np.ndarray, at: int, line: int, target: np.ndarray, to: int, target_line: int, height: int, length: int
) -> None:
    """Copy a rectangle of `height` lines of `length` bytes between two flattened arrays.

    `at` and `to` are the indices where it begins, `line` and `target_line` the distances between its lines.
    """
    # Unsigned indices: numba then leaves out the code for negative ones, and the loop becomes a copy of whole words.
    here, there = np.uintp(at), np.uintp(to)
    for _ in range(height):
        for j in range(np.uintp(length)):
            target[there + j] = source[here + j]
        here += np.uintp(line)
        there += np.uintp(target_line)


@compiled
def crop(planes: np.ndarray, width: int, agent: np.ndarray, rows: np.ndarray, radius: int, out: np.ndarray) -> None:
    """Draw the planes around each agent into `out` uint8 [B, C, 2r+1, 2r+1], from `planes` uint8 [B, C, H*W]."""
    count, cells = planes.shape[1:]
    side = 2 * radius + 1
    source, target = planes.reshape(-1), out.reshape(-1)
    for b in rows:
        row, column = agent[b] // width, agent[b] % width
        top, left = max(row - radius, 0), max(column - radius, 0)
        bottom, right = min(row + radius + 1, cells // width), min(column + radius + 1, width)
        skipped = (top - row + radius) * side + left - column + radius
        for plane in range(count):
            # First the outside of the maze, wall and nothing else, then the part of the maze that is in reach over it.
            begin = (b * count + plane) * side * side
            for i in range(np.uintp(begin), np.uintp(begin + side * side)):
                target[i] = plane == WALL_PLANE
            at = (b * count + plane) * cells + top * width + left
            _paste(source, at, width, target, begin + skipped, side, bottom - top, right - left)


@compiled
def reveal_all(
    planes: np.ndarray,
    width: int,
    agent: np.ndarray,
    objects: np.ndarray,
    steps: np.ndarray,
    held_steps: np.ndarray,
    sights: LinesOfSight,
    rows: np.ndarray,
    out: np.ndarray,
) -> None:
    """Draw the visible part of `planes` into `out` uint8 [B, C+1, H*W]; the last plane marks the visible squares.

    Args:
        planes: uint8 [B, C, H*W], the whole maze.
        width: columns W.
        agent: int32 [B].
        objects: int32 [B, K].
        steps: int32 [B], steps taken.
        held_steps: int32 [K], number of first observations in which the item of slot k shows on cell k while the agent
            holds it.
        sights: the squares within the radius.
        rows: int64 [b], the episodes to draw.
        out: changed in place; squares that are not visible become 0.
    """
    height, length, flat = planes.shape[2] // width, out.shape[1] * out.shape[2], out.reshape(-1)
    for b in rows:
        for i in range(np.uintp(b * length), np.uintp((b + 1) * length)):
            flat[i] = 0
        at = agent[b]
        row, column = at // width, at % width
        for i in range(sights.squares.shape[0]):
            to_row, to_column = row + sights.squares[i, 0], column + sights.squares[i, 1]
            if 0 <= to_row < height and 0 <= to_column < width:
                clear = True
                for j in range(sights.lengths[i]):
                    # A step between two squares is blocked only where both are walls, so that sight is symmetric.
                    first, second = sights.lines[i, j, 0], sights.lines[i, j, 1]
                    clear &= (planes[b, WALL_PLANE, at + first] & planes[b, WALL_PLANE, at + second]) == 0
                if clear:
                    _reveal(planes, b, to_row * width + to_column, out)
        for k in range(held_steps.shape[0]):
            if steps[b] < held_steps[k] and objects[b, k] == k:
                _reveal(planes, b, k, out)


@compiled
def _reveal(planes: np.ndarray, b: int, cell: int, out: np.ndarray) -> None:
    for plane in range(planes.shape[1]):
        out[b, plane, cell] = planes[b, plane, cell]
    out[b, planes.shape[1], cell] = 1


@compiled
def refresh(
    squares: np.ndarray,
    objects: np.ndarray,
    agent: np.ndarray,
    steps: np.ndarray,
    sprites: Sprites,
    rows: np.ndarray,
    memory: Memory,
    out: np.ndarray,
) -> None:
    """Draw the cells that differ from what `memory` says is drawn, and update `memory`.

    Args:
        squares: uint8 [B, H*W], see `State`.
        objects: int32 [B, K].
        agent: int32 [B].
        steps: int32 [B], steps taken.
        sprites: the cells drawn in advance.
        rows: int64 [b], the episodes to draw.
        memory: of `out`.
        out: uint8 [B * h * w*3].
    """
    columns, figures = sprites.sizes.shape[0], memory.cells.shape[1]
    line, area = 3 * int(sprites.edges[columns]), 3 * sprites.side**2
    # Every square may change, and every figure may leave one cell and enter another.
    stale = np.empty(squares.shape[1] + 2 * figures, np.int32)
    for b in rows:
        count = _note_changes(squares, objects, agent, steps, sprites, b, memory, stale)
        for i in range(count):
            cell = stale[i]
            if cell < 0:
                continue
            row, column = cell // columns, cell % columns
            top, left = sprites.edges[row], 3 * sprites.edges[column]
            height, length = sprites.edges[row + 1] - top, 3 * sprites.edges[column + 1] - left
            size = sprites.sizes[row] * sprites.kinds_of_size + sprites.sizes[column]
            to = (b * sprites.edges[columns] + top) * line + left
            # The ground with the lowest figure is one copy. Only further figures, which are rare, are blended.
            lowest = _next_figure(memory.cells, b, cell, 0)
            tile = (2 * size + (squares[b, cell] & WALL)) * (figures + 1) + (0 if lowest == figures else lowest + 1)
            _paste(sprites.tiles, tile * area, 3 * sprites.side, out, to, line, height, length)
            above = _next_figure(memory.cells, b, cell, lowest + 1)
            while above < figures:
                cover = (size * figures + above) * area
                _lay_over(
                    sprites.covers, cover, sprites.colours, above, 3 * sprites.side, out, to, line, height, length
                )
                above = _next_figure(memory.cells, b, cell, above + 1)


@compiled
def _next_figure(cells: np.ndarray, b: int, cell: int, first: int) -> int:
    """Return the first figure from `first` on that shows on a cell, T where there is none."""
    for figure in range(first, cells.shape[1]):
        if cells[b, figure] == cell:
            return figure
    return int(cells.shape[1])


@compiled
def _lay_over(
    covers: np.ndarray,
    at: int,
    colours: np.ndarray,
    figure: int,
    across: int,
    out: np.ndarray,
    to: int,
    line: int,
    height: int,
    length: int,
) -> None:
    """Blend a figure's colour into a cell; its cover begins at `at`, in lines of `across` bytes; else as `_paste`."""
    for i in range(height):
        for j in range(length):
            # The arithmetic of `_blend`, so that a figure looks the same on a tile and over another figure.
            hidden = np.int32(covers[at + i * across + j])
            mixed = (
                np.int32(out[to + i * line + j]) * (OPAQUE - hidden) + np.int32(colours[figure * across + j]) * hidden
            )
            out[to + i * line + j] = np.uint8((mixed + OPAQUE // 2) // OPAQUE)


@compiled
def _note_changes(
    squares: np.ndarray,
    objects: np.ndarray,
    agent: np.ndarray,
    steps: np.ndarray,
    sprites: Sprites,
    b: int,
    memory: Memory,
    stale: np.ndarray,
) -> int:
    """Update the memory and fill `stale` with the cells to draw, some of them `ABSENT`; return their number."""
    count, slots = 0, objects.shape[1]
    for figure in range(slots + 1):
        cell = agent[b] if figure == slots else objects[b, figure]
        if sprites.places[figure] == IN_CORNER and cell >= 0:
            cell = LAMP_CELL
        if 0 < sprites.visible_steps[figure] <= steps[b]:
            cell = -1
        if sprites.places[figure] != HIDDEN and cell != memory.cells[b, figure]:
            stale[count], stale[count + 1] = memory.cells[b, figure], cell
            memory.cells[b, figure] = cell
            count += 2
    # Walls change only with a new level. One pass without branches, which is vectorised, tells whether any did.
    differ = np.uint8(0)
    for cell in range(squares.shape[1]):
        differ = np.uint8(differ | np.uint8((squares[b, cell] & WALL) ^ memory.walls[b, cell]))
    if differ:
        for cell in range(squares.shape[1]):
            wall = squares[b, cell] & WALL
            if wall != memory.walls[b, cell]:
                memory.walls[b, cell] = wall
                stale[count] = cell
                count += 1
    return count
