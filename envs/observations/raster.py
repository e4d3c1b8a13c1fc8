"""Drawing observations: ready-drawn cells put together by compiled functions, redrawn only where something changed.

Axes: B environments, C planes, H, W, K object slots, T = K + 1 things: the objects in slot order, then the agent. Kinds
that show alike on the planes look alike in colours too, and what shows on no plane is not drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.engine.state import WALL, WALL_PLANE
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.levels import Family
from goalmaze.envs.objects import ObjectType
from goalmaze.envs.rendering import AGENT_COLOUR, AGENT_SHAPE, FLOOR_COLOUR, LAMP_CELL, WALL_COLOUR, shape_mask

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int32]

OPAQUE = 255
UNDRAWN = 2
"""Stands for a square of `Memory.walls` that was never drawn."""


class Memory(NamedTuple):
    """What an array of observations shows at present, so that only what changed is drawn.

    Attributes:
        walls: uint8 [B, H*W], 1 for a wall, `UNDRAWN` at first.
        cells: int32 [B, T], where each thing shows, `ABSENT` where nowhere.
    """

    walls: Bytes
    cells: Integers

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.walls.nbytes + self.cells.nbytes


class Sprites(NamedTuple):
    """Ready-drawn cells. Their sides differ by at most a pixel, so there are S <= 2 sizes along each axis.

    Attributes:
        edges: int32 [size + 1], the pixel at which each row, or column, of cells begins, and the end of the last.
        sizes: int32 [size], which of the sizes each row, or column, has.
        kinds_of_size: S.
        side: h, the largest size.
        tiles: uint8 [S, S, 2, T + 1, h, h*3] as one line; floor and wall, each bare and with one thing on it.
        covers: uint8 [S, S, T, h, h*3] as one line; how much of what lies below a thing hides.
        colours: uint8 [T, h*3] as one line; the things' colours.
        places: int32 [T], `HIDDEN`, `WHERE_IT_STANDS` or `IN_CORNER`.
    """

    edges: Integers
    sizes: Integers
    kinds_of_size: int
    side: int
    tiles: Bytes
    covers: Bytes
    colours: Bytes
    places: Integers


HIDDEN, WHERE_IT_STANDS, IN_CORNER = range(3)
"""Where a thing shows in pictures: nowhere, on its cell, or as a lamp at `LAMP_CELL`."""


class LinesOfSight(NamedTuple):
    """The N squares an agent could see from where it stands, and what lies before each.

    Attributes:
        squares: int32 [N, 2], rows down and columns to the right.
        lengths: int32 [N], steps of the way before the square.
        ways: int32 [N, r, 2], the two squares, as distances in cells, next to each step; mostly the same.
    """

    squares: Integers
    lengths: Integers
    ways: Integers


def _appearance(family: Family, kind: ObjectType) -> ObjectType | None:
    """Return whose sprite stands for `kind`: the first that shows alike on the planes, or None where it never shows."""

    def shows(one: ObjectType) -> tuple[frozenset[str], int, bool]:
        return frozenset(one.shows_on), family.values().get(one.name, 1), one.fills

    if not kind.shows_on or family.values().get(kind.name, 1) == 0:
        return None
    return next(one for one in family.object_types if shows(one) == shows(kind))


def make_sights(radius: int, columns: int) -> LinesOfSight:
    """Return the squares at most `radius` away along each axis, in a maze with that many columns."""
    squares = np.indices((2 * radius + 1, 2 * radius + 1)).reshape(2, -1).T - radius
    lengths = np.maximum(np.abs(squares).max(axis=1) - 1, 0)
    steps = (lengths + 1)[:, None, None]
    twice = 2 * np.arange(1, radius + 1)[:, None] * squares[:, None, :]
    both = [(twice + steps) // (2 * steps), -((steps - twice) // (2 * steps))]
    ways = np.stack([point[..., 0] * columns + point[..., 1] for point in both], axis=-1)
    return LinesOfSight(squares.astype(np.int32), lengths.astype(np.int32), ways.astype(np.int32))


def make_sprites(family: Family, edges: Integers) -> Sprites:
    """Return the cells of a family, each as large as `edges` int32 [size + 1] say."""
    object_types = {kind.name: _appearance(family, kind) for kind in family.object_types}
    looks = [object_types[name] for name in family.slots]
    shapes = [AGENT_SHAPE if kind is None else kind.shape for kind in looks] + [AGENT_SHAPE]
    colours = np.array([AGENT_COLOUR if kind is None else kind.colour for kind in looks] + [AGENT_COLOUR], np.uint8)
    lengths = np.diff(edges)
    sizes, which = np.unique(lengths, return_inverse=True)
    largest = int(sizes[-1])
    covers = np.zeros((len(sizes), len(sizes), len(shapes), largest, largest, 3), np.uint8)
    for i, height in enumerate(sizes):
        for j, width in enumerate(sizes):
            for thing, shape in enumerate(shapes):
                cover = np.rint(shape_mask(shape, int(height), int(width)) * OPAQUE)
                covers[i, j, thing, :height, :width] = cover[..., None]
    grounds = np.array([FLOOR_COLOUR, WALL_COLOUR], np.uint8)[:, None, None, None]
    bare = np.broadcast_to(grounds, (*covers.shape[:2], 2, 1, *covers.shape[3:]))
    topped = _blend(grounds, covers[:, :, None], colours[:, None, None])
    tiles = np.concatenate([bare, topped], axis=3)
    return Sprites(
        edges=edges,
        sizes=which.astype(np.int32),
        kinds_of_size=len(sizes),
        side=largest,
        tiles=tiles.reshape(-1),
        covers=covers.reshape(-1),
        colours=np.tile(colours, largest).reshape(-1),
        places=np.array([_place(kind) for kind in looks] + [WHERE_IT_STANDS], np.int32),
    )


def _place(kind: ObjectType | None) -> int:
    if kind is None:
        return HIDDEN
    return IN_CORNER if kind.fills else WHERE_IT_STANDS


def _blend(below: Bytes, cover: Bytes, colour: Bytes) -> Bytes:
    wide = [part.astype(np.uint32) for part in (below, cover, colour)]
    return np.asarray((wide[0] * (OPAQUE - wide[1]) + wide[2] * wide[1] + OPAQUE // 2) // OPAQUE, np.uint8)


@compiled
def _paste(
    source: np.ndarray, at: int, line: int, target: np.ndarray, to: int, target_line: int, height: int, length: int
) -> None:
    """Copy a rectangle between arrays seen as flat: where it begins in each, how far apart its lines are, its sides."""
    here, there = np.uintp(at), np.uintp(to)
    for _ in range(height):
        for j in range(np.uintp(length)):
            target[there + j] = source[here + j]
        here += np.uintp(line)
        there += np.uintp(target_line)


@compiled
def crop(planes: np.ndarray, width: int, agent: np.ndarray, rows: np.ndarray, radius: int, out: np.ndarray) -> None:
    """Draw into `out` uint8 [B, C, 2r+1, 2r+1] from `planes` uint8 [B, C, H*W]."""
    count, cells = planes.shape[1:]
    side = 2 * radius + 1
    source, target = planes.reshape(-1), out.reshape(-1)
    for b in rows:
        row, column = agent[b] // width, agent[b] % width
        top, left = max(row - radius, 0), max(column - radius, 0)
        bottom, right = min(row + radius + 1, cells // width), min(column + radius + 1, width)
        skipped = (top - row + radius) * side + left - column + radius
        for plane in range(count):
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
    gives: np.ndarray,
    sights: LinesOfSight,
    rows: np.ndarray,
    out: np.ndarray,
) -> None:
    """Draw into `out` uint8 [B, C+1, H*W] what agents see of `planes` uint8 [B, C, H*W] and that they see it.

    Args:
        planes: all there is.
        width: columns W.
        agent: int32 [B].
        objects: int32 [B, K].
        gives: bool [K], whether a slot's object is an item that shows on cell k while the agent holds it.
        sights: the squares an agent could see.
        rows: int64 [b], the episodes to draw.
        out: all other squares become 0.
    """
    height, seen, flat = planes.shape[2] // width, out.shape[1] * out.shape[2], out.reshape(-1)
    for b in rows:
        for i in range(np.uintp(b * seen), np.uintp((b + 1) * seen)):
            flat[i] = 0
        at = agent[b]
        row, column = at // width, at % width
        for i in range(sights.squares.shape[0]):
            to_row, to_column = row + sights.squares[i, 0], column + sights.squares[i, 1]
            if 0 <= to_row < height and 0 <= to_column < width:
                clear = True
                for j in range(sights.lengths[i]):
                    first, second = sights.ways[i, j, 0], sights.ways[i, j, 1]
                    clear &= (planes[b, WALL_PLANE, at + first] & planes[b, WALL_PLANE, at + second]) == 0
                if clear:
                    _reveal(planes, b, to_row * width + to_column, out)
        for k in range(gives.shape[0]):
            if gives[k] and objects[b, k] == k:
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
    sprites: Sprites,
    rows: np.ndarray,
    memory: Memory,
    out: np.ndarray,
) -> None:
    """Draw the cells whose wall or things are not those drawn, and note what is drawn now.

    Args:
        squares: uint8 [B, H*W], see `State`.
        objects: int32 [B, K].
        agent: int32 [B].
        sprites: ready-drawn cells.
        rows: int64 [b], the episodes to draw.
        memory: of `out`.
        out: uint8 [B * h * w*3].
    """
    columns, things = sprites.sizes.shape[0], memory.cells.shape[1]
    line, area = 3 * int(sprites.edges[columns]), 3 * sprites.side**2
    stale = np.empty(squares.shape[1] + 2 * things, np.int32)
    for b in rows:
        count = _note_changes(squares, objects, agent, sprites.places, b, memory, stale)
        for i in range(count):
            cell = stale[i]
            if cell < 0:
                continue
            row, column = cell // columns, cell % columns
            top, left = sprites.edges[row], 3 * sprites.edges[column]
            height, length = sprites.edges[row + 1] - top, 3 * sprites.edges[column + 1] - left
            size = sprites.sizes[row] * sprites.kinds_of_size + sprites.sizes[column]
            to = (b * sprites.edges[columns] + top) * line + left
            lowest = _next_thing(memory.cells, b, cell, 0)
            tile = (2 * size + (squares[b, cell] & WALL)) * (things + 1) + (0 if lowest == things else lowest + 1)
            _paste(sprites.tiles, tile * area, 3 * sprites.side, out, to, line, height, length)
            above = _next_thing(memory.cells, b, cell, lowest + 1)
            while above < things:
                cover = (size * things + above) * area
                _lay_over(
                    sprites.covers, cover, sprites.colours, above, 3 * sprites.side, out, to, line, height, length
                )
                above = _next_thing(memory.cells, b, cell, above + 1)


@compiled
def _next_thing(cells: np.ndarray, b: int, cell: int, first: int) -> int:
    """Return the first thing from `first` on that shows at a cell, T where there is none."""
    for thing in range(first, cells.shape[1]):
        if cells[b, thing] == cell:
            return thing
    return int(cells.shape[1])


@compiled
def _lay_over(
    covers: np.ndarray,
    at: int,
    colours: np.ndarray,
    thing: int,
    across: int,
    out: np.ndarray,
    to: int,
    line: int,
    height: int,
    length: int,
) -> None:
    """Blend a thing's colour into a cell; where its cover begins, how long its lines are, and as `_paste`."""
    for i in range(height):
        for j in range(length):
            hidden = np.int32(covers[at + i * across + j])
            mixed = (
                np.int32(out[to + i * line + j]) * (OPAQUE - hidden) + np.int32(colours[thing * across + j]) * hidden
            )
            out[to + i * line + j] = np.uint8((mixed + OPAQUE // 2) // OPAQUE)


@compiled
def _note_changes(
    squares: np.ndarray,
    objects: np.ndarray,
    agent: np.ndarray,
    places: np.ndarray,
    b: int,
    memory: Memory,
    stale: np.ndarray,
) -> int:
    """Bring the memory up to date and put the cells to draw, `ABSENT` among them, into `stale`; return their number."""
    count, slots = 0, objects.shape[1]
    for thing in range(slots + 1):
        cell = agent[b] if thing == slots else objects[b, thing]
        if places[thing] == IN_CORNER and cell >= 0:
            cell = LAMP_CELL
        if places[thing] != HIDDEN and cell != memory.cells[b, thing]:
            stale[count], stale[count + 1] = memory.cells[b, thing], cell
            memory.cells[b, thing] = cell
            count += 2
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
