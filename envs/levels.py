"""Families and their levels as data: the rules of a maze problem, and a frozen batch of mazes with their objects.

A family declares its levels as data; compiled kernels generate and run them, so a new family is one short file. A level
batch refers to its family and a family makes level batches, so both classes are in this module.

Axes: B levels, H rows, W columns, K object slots. A *cell* is one integer, ``row * W + column``; `ABSENT` (-1) is the
cell of an object that is not in the level.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engine.level_generation import LevelDistribution, generate_many
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.family_arrays import placement_arrays, rule_table
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.level_checks import check_cells, check_standing, level_indices
from goalmaze.envs.level_hashes import level_hashes
from goalmaze.envs.mazes.carving import ALGORITHMS
from goalmaze.envs.objects import AGENT, ObjectType, Placement
from goalmaze.envs.optimal_returns import best_returns
from goalmaze.envs.ranges import MAX_SIZE, MIN_SIZE
from goalmaze.envs.visibility import MAX_VISIBLE_STEPS, VISIBILITY, visible_steps_by_type, without_unused_visibility

TRAINING, FITTING, EVALUATION = "training", "fitting", "evaluation"
SPLITS = (TRAINING, FITTING, EVALUATION)
"""Levels of different splits are drawn independently. The same level can occur in several, above all in small mazes;
`goalmaze leakage` counts how often."""

NO_SHIFT = "none"
"""The name of the training distribution where a shift is expected."""

MAX_SEED, MAX_SLOTS = 2**63 - 1, 64


@dataclasses.dataclass(frozen=True, eq=False)
class LevelBatch:
    """A batch of levels: mazes with objects and the agent's start, before any episode.

    Attributes:
        walls: bool [B, H, W], True at walls.
        start: int32 [B], the agent's first cell.
        objects: int32 [B, K], the cell of the object in each slot, or `ABSENT`.
        family: the family whose rules hold in these levels; its `slots` name the object type in each of the K slots.

    Example:
        >>> import goalmaze as gm
        >>> levels = gm.family("GreenExit", size=7).levels(seed=0, count=4)
        >>> levels.walls.shape, len(levels), levels.family.goal
        ((4, 7, 7), 4, 'exit')
    """

    walls: Bools
    start: Cells
    objects: Cells
    family: Family

    def __post_init__(self) -> None:
        walls = np.ascontiguousarray(self.walls, dtype=np.bool_)
        start = np.ascontiguousarray(self.start, dtype=np.int32)
        objects = np.ascontiguousarray(self.objects, dtype=np.int32)
        if walls.ndim != 3 or start.shape != walls.shape[:1] or objects.shape != (len(walls), len(self.slots)):
            raise GoalmazeError(
                f"level arrays do not fit: walls {walls.shape} must be [B, H, W], start {start.shape} [B] "
                f"and objects {objects.shape} [B, {len(self.slots)}]"
            )
        for name, array in (("walls", walls), ("start", start), ("objects", objects)):
            # A view, so that the caller's own array stays writeable.
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        return len(self.walls)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LevelBatch)
            and self.slots == other.slots
            and np.array_equal(self.walls, other.walls)
            and np.array_equal(self.start, other.start)
            and np.array_equal(self.objects, other.objects)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def slots(self) -> tuple[str, ...]:
        """The object type in each of the K slots; one type may own several slots."""
        return self.family.slots

    @property
    def height(self) -> int:
        """Rows H of every maze, in cells."""
        return int(self.walls.shape[1])

    @property
    def width(self) -> int:
        """Columns W of every maze, in cells."""
        return int(self.walls.shape[2])

    def slot(self, kind: str, which: int = 0) -> int:
        """Return the index of the `which`-th slot that holds objects of type `kind`."""
        slots = [k for k, name in enumerate(self.slots) if name == kind]
        if not slots:
            raise unknown("object", kind, set(self.slots))
        if which >= len(slots):
            raise GoalmazeError(f"there are {len(slots)} slots for '{kind}', so no number {which}")
        return slots[which]

    def cells(self, kind: str, which: int = 0) -> Cells:
        """Return int32 [B], the cell of the `which`-th object of `kind` in every level (`ABSENT` where missing)."""
        return self.objects[:, self.slot(kind, which)]

    def present(self) -> list[str]:
        """Return the object types that occur in at least one of the levels."""
        there = {kind for kind, cells in zip(self.slots, self.objects.T, strict=True) if (cells != ABSENT).any()}
        return [kind for kind in dict.fromkeys(self.slots) if kind in there]

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
        return dataclasses.replace(self, objects=objects).check()

    def removed(self, kind: str) -> LevelBatch:
        """Return the levels without any object of `kind`."""
        slots = [k for k, name in enumerate(self.slots) if name == kind] or [self.slot(kind)]
        objects = self.objects.copy()
        objects[:, slots] = ABSENT
        return dataclasses.replace(self, objects=objects)

    def without_goal_and_cue(self) -> LevelBatch:
        """Return the levels without their goal and their cue."""
        return self.removed(self.family.goal).removed(self.family.cue)

    def with_goal_and_cue_at(self, cells: ArrayLike) -> LevelBatch:
        """Return the levels with goal and cue both at `cells` (int [B] or one cell for all).

        Raises:
            GoalmazeError: a cell lies outside the maze or on a wall; the message names the level.
        """
        return self.moved(self.family.goal, cells).moved(self.family.cue, cells)

    def started(self, cells: ArrayLike) -> LevelBatch:
        """Return the levels with the agent starting at `cells` (int [B] or one cell for all)."""
        start = self.start.copy()
        start[:] = cells
        return dataclasses.replace(self, start=start).check()

    def splayed(self, what: str) -> LevelBatch:
        """Return the one level of this batch once for every free cell, with `what` there: for fields and heat maps.

        Args:
            what: "agent", which is put on each cell without a visible object, or an object type (its first slot).

        Raises:
            GoalmazeError: the batch holds more than one level, or no such object type.
        """
        if len(self) != 1:
            raise GoalmazeError(f"only one level can be splayed, this batch holds {len(self)}; take([b]) one of them")
        free = self.free()[0].copy()
        if what == AGENT:
            # A place that shows on no plane, such as the corner that is the cue of some families, blocks no agent.
            hidden = {one.name for one in self.family.object_types if not one.shows_on}
            occupied = self.objects[0, [kind not in hidden for kind in self.slots]]
        else:
            # Objects of different types may share a cell, but none with the agent. The first slot is the moved one.
            others = [k for k, kind in enumerate(self.slots) if kind == what][1:]
            occupied = np.append(self.objects[0, others], self.start[0])
        free[occupied[occupied != ABSENT]] = False
        cells = np.flatnonzero(free)
        many = self.take(np.zeros(len(cells), np.intp))
        if what != AGENT:
            return many.moved(what, cells)
        # Such a place is absent from the level in which the agent starts on it: no level has both on one cell.
        objects = np.where(many.objects == cells[:, None], ABSENT, many.objects).astype(np.int32)
        return dataclasses.replace(many, objects=objects).started(cells)

    def check(self) -> Self:
        """Return these levels if they follow the rules that every family shares.

        The border must be closed; agent and objects must stand inside, on free cells; no object on the agent's start,
        no two of one type on the same cell.

        Raises:
            GoalmazeError: naming the first bad level, for example "level 17: exit (3, 9) lies on a wall".
        """
        check_cells(self)
        return self

    def check_playable(self) -> Self:
        """Return these levels if episodes can be played on them: closed borders, nothing in a wall or outside.

        Raises:
            GoalmazeError: naming the first bad level, for example "level 17: exit (3, 9) lies on a wall".
        """
        check_standing(self)
        return self

    def played_in(self, family: Family) -> Self:
        """Return the same levels under the rules of another family with the same slots.

        Raises:
            GoalmazeError: the other family has other slots.
        """
        if family.slots != self.slots:
            raise GoalmazeError(f"the levels hold {' '.join(self.slots)}; {family.name} has {' '.join(family.slots)}")
        return dataclasses.replace(self, family=family)

    def hashes(self) -> list[str]:
        """Return one hexadecimal digest per level, equal exactly where walls, start and objects are equal.

        Objects of one type are interchangeable, and empty slots do not count: a level keeps its hash in a family with
        more slots.
        """
        return level_hashes(self)


def concatenate(batches: Sequence[LevelBatch]) -> LevelBatch:
    """Join batches of one size and one set of slots; also the tuples of subclasses, with one entry for each level."""
    if not batches:
        raise GoalmazeError("no levels to join: give at least one batch")
    first, b = batches[0], 0
    for batch in batches:
        if batch.slots != first.slots:
            raise GoalmazeError(
                f"only levels of one family can be joined into a batch: found {' '.join(batch.slots)} "
                f"beside {' '.join(first.slots)}"
            )
        if batch.walls.shape[1:] != first.walls.shape[1:]:
            raise GoalmazeError(
                f"level {b} is {batch.height}x{batch.width} where level 0 is {first.height}x{first.width}; "
                "only levels of one size can be joined into a batch"
            )
        b += len(batch)
    joined: dict[str, Any] = {}
    for name in {field.name for field in dataclasses.fields(first)} - {"family"}:
        parts = [getattr(one, name) for one in batches]
        joined[name] = sum(parts, ()) if isinstance(parts[0], tuple) else np.concatenate(parts)
    return dataclasses.replace(first, **joined)


@dataclasses.dataclass(frozen=True)
class Family(abc.ABC):
    """A kind of maze problem with its parameters.

    A subclass sets its `name`, the names of the object types that are its `goal` and its `cue`, its `shifts` (each with
    a description) and the `distinguishing_shift`, under which goal and cue never share a cell. It gives, as class
    attributes or as properties where they depend on its parameters, its `object_types`, the `slots` that hold its
    objects, and `stacked_glyphs`, the letters for object types that share a cell.

    A family whose episodes another engine runs names, as "module:class", its `engine_entry_point` (an `Engine`), its
    Gymnasium environments `entry_point` and `vector_entry_point`, the `observation_modes` that these offer (None for
    all), the parameters that are `unused` in its levels, and the package that the engine `requires`, an extra. One
    whose goal and cue are apart in training by default names the parameters `agreeing` that put them on one cell.

    Attributes:
        size: rows and columns of the maze, in cells; odd, at least 5.
        braid: probability with which a wall between two cells is opened after the maze was carved.
        algorithm: how the maze is carved, one of `goalmaze.envs.mazes.carving.ALGORITHMS`.
        openness: the algorithm's own parameter, where it has one.
        mixture: fraction of training levels that are drawn from the distinguishing shift, where goal and cue differ.
        visible_steps: number k of first observations in which objects show; the observation after a reset is the
            first. Later no object shows, items held included, and all else stays as it is. 0 shows objects always.
        goal_visible_steps: the same for the goal, and for object types that share a plane with it; 0 for
            `visible_steps`. A number as large as the time limit always shows it.
        cue_visible_steps: the same for the cue, and for object types that share a plane with it and not with the goal.

    Example:
        >>> import goalmaze as gm
        >>> family = gm.family("GreenExit", size=7)
        >>> family.goal, family.cue, family.distinguishing_shift
        ('exit', 'sign', 'moved-sign')
    """

    name: ClassVar[str]
    goal: ClassVar[str]
    cue: ClassVar[str]
    shifts: ClassVar[Mapping[str, str]]
    distinguishing_shift: ClassVar[str]

    engine_entry_point: ClassVar[str] = "goalmaze.envs.maze_engine:MazeEngine"
    entry_point: ClassVar[str] = "goalmaze.envs.single:MazeEnv"
    vector_entry_point: ClassVar[str] = "goalmaze.envs.vector:MazeVectorEnv"
    observation_modes: ClassVar[tuple[str, ...] | None] = None
    requires: ClassVar[str | None] = None
    unused: ClassVar[tuple[str, ...]] = ()
    agreeing: ClassVar[Mapping[str, Any]] = {}

    size: int = 9
    braid: float = 0.15
    algorithm: str = "depth-first"
    openness: float = 0.5
    mixture: float = 0.0
    visible_steps: int = 0
    goal_visible_steps: int = 0
    cue_visible_steps: int = 0

    def __post_init__(self) -> None:
        if self.size < MIN_SIZE or self.size % 2 == 0:
            raise GoalmazeError(f"size is {self.size}: mazes need an odd size of at least {MIN_SIZE}")
        if self.size > MAX_SIZE:
            raise GoalmazeError(f"size is {self.size}: mazes have at most {MAX_SIZE} rows and columns")
        if self.algorithm not in ALGORITHMS:
            raise unknown("maze algorithm", self.algorithm, ALGORITHMS)
        fractions = dict.fromkeys(("braid", "openness", "mixture"), (0, 1))
        counts = dict.fromkeys(VISIBILITY, (0, MAX_VISIBLE_STEPS))
        for parameter, (low, high) in {**fractions, **counts, **self.ranges()}.items():
            self.require_between(parameter, low, high)

    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Return the smallest and the largest value of each further parameter of the family that has bounds."""
        return {}

    @property
    @abc.abstractmethod
    def object_types(self) -> tuple[ObjectType, ...]:
        """The object types, drawn in this order."""

    @property
    @abc.abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The object type in each of the K slots, at most `MAX_SLOTS`; items are among the first W slots."""

    @property
    def stacked_glyphs(self) -> Mapping[str, tuple[str, ...]]:
        """Letter → the object types that it stands for where they share a cell."""
        return {}

    def require_between(self, parameter: str, low: float, high: float) -> None:
        """Refuse a parameter that is not between two bounds."""
        value = getattr(self, parameter)
        if not low <= value <= high:
            raise GoalmazeError(f"{parameter} is {value}: choose {low} to {high}")

    @abc.abstractmethod
    def placements(self, shift: str) -> tuple[Placement, ...]:
        """Return the rules that fill a maze under `shift`, one of `shifts` or `NO_SHIFT`."""

    def distinguishing_rate(self, shift: str) -> float:
        """Return the fraction of levels under a shift, or `NO_SHIFT`, that are those of the distinguishing shift."""
        return self.mixture if shift == NO_SHIFT else 0.0

    def carving(self, shift: str) -> tuple[float, int]:
        """Return the braiding of mazes under a shift, or `NO_SHIFT`, and their rows and columns; the rest is wall."""
        return self.braid, self.size

    def values(self) -> Mapping[str, int]:
        """Return the value of each object type in its observation planes, 0 to 255; 1 where not mentioned."""
        return {}

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is truncated."""
        return 8 * self.size

    @cached_property
    def plane_names(self) -> tuple[str, ...]:
        """The C observation planes in order: walls, agent, and those of the object types."""
        shown = (plane for kind in self.object_types for plane in kind.shows_on)
        return tuple(dict.fromkeys(["wall", AGENT, *shown]))

    @cached_property
    def visible_steps_by_type(self) -> Mapping[str, int]:
        """Object type → the number of first observations in which it shows; 0 for all."""
        numbers = (getattr(self, name) for name in VISIBILITY)
        return visible_steps_by_type(self.object_types, self.goal, self.cue, *numbers)

    @property
    def planes(self) -> int:
        """Number C of observation planes."""
        return len(self.plane_names)

    @property
    def dials(self) -> tuple[str, ...]:
        """The names of the parameters that can be varied and change its levels."""
        return tuple(field.name for field in dataclasses.fields(self) if field.name not in self.unused)

    @property
    def parameters(self) -> JsonObject:
        """The family's parameters as plain data; those of visibility where they hide an object."""
        return without_unused_visibility(dataclasses.asdict(self), dataclasses.fields(self))

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """The rules as float32 [K, COLUMNS], see `goalmaze.envs.engine.rules`."""
        items = {one.name for one in self.object_types if one.gives}
        if len(self.slots) > MAX_SLOTS or items.intersection(self.slots[self.size :]):
            raise GoalmazeError(
                f"{self.name} has {len(self.slots)} slots: {MAX_SLOTS} is the most, and items must be among the "
                f"first {self.size}, so that items held can show along the top wall"
            )
        return rule_table(self.object_types, self.slots, self.plane_names, self.values(), self.visible_steps_by_type)

    @property
    def leader_path_length(self) -> int:
        """Number of steps for which the path of a leading object is planned in advance; 0 where nothing leads."""
        leads = any(kind.motion in ("leads", "misleads") for kind in self.object_types)
        return self.time_limit + 1 if leads else 0

    def resized(self, size: int | None) -> Self:
        """Return the same family with another maze size, or itself where `size` is None."""
        return self if size is None else dataclasses.replace(self, size=size)

    def check_addresses(self, seed: int, shift: str, split: str) -> None:
        """Refuse a seed, a shift or a split under which this family has no levels; arguments as `levels`."""
        if shift != NO_SHIFT and shift not in self.shifts:
            raise unknown("shift", shift, [NO_SHIFT, *self.shifts])
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if not 0 <= seed <= MAX_SEED:
            raise GoalmazeError(f"seed is {seed}: choose 0 to {MAX_SEED}")

    def check_placements(self, shift: str) -> None:
        """Refuse placements under a shift, or under `NO_SHIFT`, that do not fit the slots."""
        self.distribution(shift)

    def distribution(self, shift: str = NO_SHIFT, split: str = EVALUATION) -> LevelDistribution:
        """Return how the levels of a split are generated, for the kernels; arguments as `levels`."""
        self.check_addresses(0, shift, split)
        (braid, side), (other_braid, other_side) = map(self.carving, (shift, self.distinguishing_shift))
        numbers = SPLITS.index(split), ALGORITHMS.index(self.algorithm), self.openness, self.distinguishing_rate(shift)
        placed = placement_arrays(list(map(self.placements, (shift, self.distinguishing_shift))), self.slots)
        return LevelDistribution(*numbers, (braid, other_braid), (side, other_side), *placed)

    def levels(
        self,
        seed: int = 0,
        indices: ArrayLike | None = None,
        shift: str = NO_SHIFT,
        split: str = EVALUATION,
        *,
        count: int | None = None,
    ) -> LevelBatch:
        """Return the levels at the addresses (seed, index) of a split, under a shift.

        An address gives the same level in any batch, order and process. A shift keeps the maze, the start and every
        object that it does not move, so level i of two shifts is a matched pair.

        Args:
            seed: any integer from 0 to `MAX_SEED`.
            indices: int [B], 0 or more; the first `count` levels where None.
            shift: `NO_SHIFT` for the training distribution, or one of `shifts`.
            split: one of `SPLITS`.
            count: number B of levels from index 0 up, `DEFAULT_LEVELS` by default; not together with `indices`.

        Raises:
            GoalmazeError: the seed, the shift, the split or the count is out of range, or both `indices` and `count`
                are given.
        """
        return self.generate(seed, level_indices(indices, count), shift, split)

    def generate(self, seed: int, indices: NDArray[np.int64], shift: str, split: str) -> LevelBatch:
        """Return the levels at the addresses (seed, index); `levels` says what they are.

        A family whose levels come from elsewhere overrides this method.
        """
        self.check_addresses(seed, shift, split)
        walls = np.empty((len(indices), self.size, self.size), np.bool_)
        start = np.empty(len(indices), np.int32)
        objects = np.empty((len(indices), len(self.slots)), np.int32)
        generate_many(self.distribution(shift, split), seed, indices, walls, start, objects)
        return LevelBatch(walls, start, objects, self)

    def optimal_returns(self, levels: LevelBatch, discount: float = 1.0) -> NDArray[np.float64]:
        """Return float64 [B], the best true return of each level; see `goalmaze.envs.optimal_returns.best_returns`.

        Args:
            levels: of this family.
            discount: a reward at the t-th step counts ``discount ** (t - 1)`` times.

        Raises:
            GoalmazeError: the levels are another family's.
        """
        if levels.slots != self.slots:
            raise GoalmazeError(f"the levels hold {' '.join(levels.slots)}; {self.name} has {' '.join(self.slots)}")
        return best_returns(levels, self.table, self.time_limit, discount)
