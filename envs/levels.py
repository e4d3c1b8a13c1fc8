"""Levels as data: a frozen batch of mazes with their objects, its edits, hashes and validation.

Axes: B levels, H rows, W columns, K object slots. A *cell* is one integer, ``row * W + column``; `ABSENT` (-1)
stands for an object that is not in the level.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.errors import GoalmazeError, unknown

ABSENT = -1

Bools = NDArray[np.bool_]
Cells = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class LevelBatch:
    """A batch of levels: what the mazes are, before any episode starts.

    Attributes:
        walls: bool [B, H, W], True where nothing can stand.
        start: int32 [B], the agent's first cell.
        objects: int32 [B, K], the cell of the object in each slot, or `ABSENT`.
        kinds: the kind of object each of the K slots holds; a kind may own several slots.
    """

    walls: Bools
    start: Cells
    objects: Cells
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        walls = np.ascontiguousarray(self.walls, dtype=np.bool_)
        start = np.ascontiguousarray(self.start, dtype=np.int32)
        objects = np.ascontiguousarray(self.objects, dtype=np.int32)
        if walls.ndim != 3 or start.shape != walls.shape[:1] or objects.shape != (len(walls), len(self.kinds)):
            raise GoalmazeError(
                f"level arrays do not fit: walls {walls.shape} must be [B, H, W], start {start.shape} [B] "
                f"and objects {objects.shape} [B, {len(self.kinds)}]"
            )
        for name, array in (("walls", walls), ("start", start), ("objects", objects)):
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.walls)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LevelBatch)
            and self.kinds == other.kinds
            and np.array_equal(self.walls, other.walls)
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.objects, other.objects)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def height(self) -> int:
        """Rows H of every maze, in cells."""
        return int(self.walls.shape[1])

    @property
    def width(self) -> int:
        """Columns W of every maze, in cells."""
        return int(self.walls.shape[2])

    def slot(self, kind: str, which: int = 0) -> int:
        """Return the index of the `which`-th slot that holds objects of `kind`."""
        slots = [k for k, name in enumerate(self.kinds) if name == kind]
        if not slots:
            raise unknown("object", kind, set(self.kinds))
        if which >= len(slots):
            raise GoalmazeError(f"there are {len(slots)} slots for '{kind}', so no number {which}")
        return slots[which]

    def cells(self, kind: str, which: int = 0) -> Cells:
        """Return int32 [B], the cell of the `which`-th object of `kind` in every level (`ABSENT` where missing)."""
        return self.objects[:, self.slot(kind, which)]

    def present(self) -> list[str]:
        """Return the kinds of object that stand in at least one of the levels."""
        return [
            k
            for k in dict.fromkeys(self.kinds)
            if (self.objects[:, [k == name for name in self.kinds]] != ABSENT).any()
        ]

    def free(self) -> Bools:
        """Return bool [B, H*W], True at every cell without a wall."""
        return ~self.walls.reshape(len(self), self.height * self.width)

    def take(self, rows: ArrayLike) -> LevelBatch:
        """Return the levels at the given rows (indices or a boolean mask)."""
        rows = np.asarray(rows)
        return dataclasses.replace(self, walls=self.walls[rows], start=self.start[rows], objects=self.objects[rows])

    def moved(self, kind: str, cells: ArrayLike, which: int = 0) -> LevelBatch:
        """Return the levels with the `which`-th object of `kind` at `cells` (int [B] or one cell for all).

        Raises:
            GoalmazeError: a cell lies outside the maze or on a wall; the message names the level.
        """
        objects = self.objects.copy()
        objects[:, self.slot(kind, which)] = cells
        return self._checked(objects=objects)

    def removed(self, kind: str) -> LevelBatch:
        """Return the levels without any object of `kind`."""
        slots = [k for k, name in enumerate(self.kinds) if name == kind] or [self.slot(kind)]
        objects = self.objects.copy()
        objects[:, slots] = ABSENT
        return dataclasses.replace(self, objects=objects)

    def started(self, cells: ArrayLike) -> LevelBatch:
        """Return the levels with the agent starting at `cells` (int [B] or one cell for all)."""
        start = self.start.copy()
        start[:] = cells
        return self._checked(start=start)

    def splayed(self, what: str) -> LevelBatch:
        """Return the one level of this batch once for every free cell on which `what` could stand, moved there.

        What a vector field or a heat map is made from.

        Args:
            what: "agent", or a kind of object (its first slot).

        Raises:
            GoalmazeError: the batch holds more than one level, or no such kind.
        """
        if len(self) != 1:
            raise GoalmazeError(f"only one level can be splayed, this batch holds {len(self)}; take([b]) one of them")
        free = self.free()[0].copy()
        others = [k for k, kind in enumerate(self.kinds) if what in ("agent", kind)][what != "agent" :]
        taken = np.append(self.objects[0, others], ABSENT if what == "agent" else self.start[0])
        free[taken[taken != ABSENT]] = False
        cells = np.flatnonzero(free)
        many = self.take(np.zeros(len(cells), np.intp))
        return many.started(cells) if what == "agent" else many.moved(what, cells)

    def _checked(self, **changes: Any) -> LevelBatch:
        levels = dataclasses.replace(self, **changes)
        check_cells(levels)
        return levels

    def hashes(self) -> list[str]:
        """Return one hexadecimal digest per level, equal exactly where walls, start and objects are equal.

        Objects of the same kind are interchangeable, and empty slots do not count: a level keeps its hash in a family
        with room for more.
        """
        names = sorted(set(self.kinds))
        order = [k for name in names for k, kind in enumerate(self.kinds) if kind == name]
        things = np.empty((len(self), len(order), 2), np.int64)
        for name in names:
            slots = [k for k, kind in enumerate(self.kinds) if kind == name]
            places = [i for i, k in enumerate(order) if k in slots]
            things[:, places, 0] = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "little")
            things[:, places, 1] = np.sort(self.objects[:, slots], axis=1)
        standing = things[:, :, 1] != ABSENT
        head = f"{self.height}x{self.width} ".encode()
        packed = np.packbits(self.walls.reshape(len(self), self.height * self.width), axis=1)
        return [
            hashlib.blake2b(
                head + packed[b].tobytes() + self.start[b].tobytes() + things[b, standing[b]].tobytes(), digest_size=16
            ).hexdigest()
            for b in range(len(self))
        ]


def concatenate(batches: Sequence[LevelBatch]) -> LevelBatch:
    """Join batches of one size and one set of slots into one batch."""
    if not batches:
        raise GoalmazeError("no levels to join: give at least one batch")
    first, b = batches[0], 0
    for batch in batches:
        if batch.kinds != first.kinds:
            raise GoalmazeError(
                f"only levels of one family can be joined into a batch: found {' '.join(batch.kinds)} "
                f"beside {' '.join(first.kinds)}"
            )
        if batch.walls.shape[1:] != first.walls.shape[1:]:
            raise GoalmazeError(
                f"level {b} is {batch.height}x{batch.width} where level 0 is {first.height}x{first.width}; "
                "only levels of one size can be joined into a batch"
            )
        b += len(batch)
    return LevelBatch(
        np.concatenate([batch.walls for batch in batches]),
        np.concatenate([batch.start for batch in batches]),
        np.concatenate([batch.objects for batch in batches]),
        first.kinds,
    )


def check_cells(levels: LevelBatch) -> None:
    """Refuse levels that break the rules every family shares; the message names the first bad level.

    The border must be closed; agent and objects must stand inside, on free cells; no object on the agent's start,
    no two of one kind on the same cell.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    check_standing(levels)
    for k, kind in enumerate(levels.kinds):
        cells = levels.objects[:, k]
        on_start = cells == levels.start
        if on_start.any():
            b = int(on_start.argmax())
            raise GoalmazeError(f"level {b}: {kind} {_point(levels, cells[b])} lies on the agent's start; move one")
        for j in range(k):
            same = (levels.objects[:, j] == cells) & (cells != ABSENT)
            if levels.kinds[j] == kind and same.any():
                b = int(same.argmax())
                raise GoalmazeError(f"level {b}: two objects '{kind}' at {_point(levels, cells[b])}; move one")


def _check_border(levels: LevelBatch) -> None:
    walls = levels.walls
    border = np.ones(walls.shape[1:], dtype=np.bool_)
    border[1:-1, 1:-1] = False
    holes = (~walls & border).reshape(len(levels), levels.height * levels.width)
    if holes.any():
        b, cell = (int(i) for i in np.argwhere(holes)[0])
        raise GoalmazeError(f"level {b}: the border is open at {_point(levels, cell)}; put a wall there")


def check_standing(levels: LevelBatch) -> None:
    """Refuse levels on which no episode can be played: an open border, or something in a wall or outside.

    Raises:
        GoalmazeError: for example "level 17: exit (3, 9) lies on a wall".
    """
    _check_border(levels)
    _check_standing(levels, "agent", levels.start, may_be_absent=False)
    for k, kind in enumerate(levels.kinds):
        _check_standing(levels, kind, levels.objects[:, k], may_be_absent=True)


def _check_standing(levels: LevelBatch, what: str, cells: Cells, *, may_be_absent: bool) -> None:
    inside = (cells >= 0) & (cells < levels.height * levels.width)
    fine = inside | (cells == ABSENT) if may_be_absent else inside
    if not fine.all():
        b = int((~fine).argmax())
        raise GoalmazeError(
            f"level {b}: {what} at cell {int(cells[b])} is outside the {levels.height}x{levels.width} maze"
        )
    rows = np.flatnonzero(inside)
    on_wall = ~levels.free()[rows, cells[rows]]
    if on_wall.any():
        b = int(rows[on_wall.argmax()])
        raise GoalmazeError(f"level {b}: {what} {_point(levels, cells[b])} lies on a wall; choose a free cell")


def _point(levels: LevelBatch, cell: int) -> str:
    row, column = divmod(int(cell), levels.width)
    return f"({row}, {column})"
