"""What a family of levels is, as plain data: kinds of objects with their rules, a training distribution, named shifts.

A family is a frozen dataclass whose fields are its parameters. It states *what* its levels are; compiled kernels make
them and play them, so a new family is one short file.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.engine import rules
from goalmaze.envs.engine.level_generation import ANYWHERE, ASIDE, CORNER, ON, TOP_RIGHT, World, generate_many
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import ABSENT, LevelBatch
from goalmaze.envs.mazes.algorithms import ALGORITHMS
from goalmaze.envs.solving import best_returns

TRAINING, FITTING, EVALUATION = "training", "fitting", "evaluation"
SPLITS = (TRAINING, FITTING, EVALUATION)
"""Levels with the same seed and index in different splits are unrelated: what is fitted never meets its judge."""

NO_SHIFT = "none"
"""The name of the training distribution where a shift is asked for."""

LARGEST_SEED = 2**63 - 1
MOST_SLOTS = 64

MOTIONS = {
    "still": rules.STILL,
    "wanders": rules.WANDERS,
    "chases": rules.CHASES,
    "leads": rules.LEADS,
    "misleads": rules.MISLEADS,
}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of object: how it looks and what follows from standing on it for the first time.

    Attributes:
        name: what it is called everywhere.
        letter: its sign in ASCII pictures.
        colour: red, green, blue for people, 0 to 255.
        shape: how it is drawn, a name known to `goalmaze.envs.rendering`.
        planes: names of the observation planes it shows on, at most two; its own name where not given. Kinds that share
            a plane look alike there.
        ends: whether it ends the episode.
        reward: true reward.
        cue_reward: what an agent after the cue would count.
        vanishes: whether it is gone afterwards.
        gives: whether it is an item that the agent then holds; items held show along the top wall.
        needs: whether it takes an item, and does nothing without.
        spares: whether an item held is used up instead of the reward.
        required: whether the episode ends once all required objects are entered, or no item is left for the others.
        after: the kind of object that must have been entered before, if any; without, entering does nothing.
        lamp: the kind of lamp on which it depends, if any.
        while_lit: whether it counts while that lamp is in the level, or while it is not.
        motion: one of `MOTIONS`.
        fills: whether it shows on all of its planes instead of on its cell.
    """

    name: str
    letter: str
    colour: tuple[int, int, int]
    shape: str
    planes: tuple[str, ...] | None = None
    ends: bool = False
    reward: float = 0.0
    cue_reward: float = 0.0
    vanishes: bool = False
    gives: bool = False
    needs: bool = False
    spares: bool = False
    required: bool = False
    after: str | None = None
    lamp: str | None = None
    while_lit: bool = True
    motion: str = "still"
    fills: bool = False

    @property
    def shows_on(self) -> tuple[str, ...]:
        """The planes it shows on."""
        return (self.name,) if self.planes is None else self.planes


@dataclasses.dataclass(frozen=True)
class Place:
    """One rule of a level distribution: put this thing there.

    Attributes:
        kind: of the object, or "agent".
        which: number of the slot among those of its kind.
        on: with probability `chance`, stand on the cell of this thing, placed before. Otherwise, and where `on` is
            None, on a free cell drawn uniformly among those that nothing placed so far stands on.
        on_which: number of the slot among those of the kind `on`.
        chance: how often `on` holds; where `on` is None, how often the thing is in the level at all.
        region: draw the cell from the free ones among the n x n cells in the top right corner, from more where all of
            them are walls; other objects, but not the agent, may stand there already. From the whole maze where 0.
        in_corner: stand on the very cell in that corner, or on the free cell nearest to it.
        aside_from: draw a free cell that the agent does not have to pass on its way to this thing, placed before, and
            leave the thing out where there is none. All that was placed before counts as in the way.
    """

    kind: str
    which: int = 0
    on: str | None = None
    on_which: int = 0
    chance: float = 1.0
    region: int = 0
    in_corner: bool = False
    aside_from: str | None = None


AGENT = "agent"


@dataclasses.dataclass(frozen=True)
class Family(abc.ABC):
    """A world: one kind of maze problem with its parameters.

    A subclass sets `name`; which kind is the `goal` and which the `cue`; its `shifts`, each with what it is; and the
    `parting_shift` in which goal and cue always part. As class attributes, or as properties where its parameters
    matter, it gives its `kinds` of object; the `slots` that hold its objects; and the letters of `stacks` of kinds on
    one cell.

    Attributes:
        size: rows and columns of the maze, in cells; odd, at least 5.
        braid: probability with which a wall between two cells is opened after the maze was carved.
        algorithm: how the maze is carved, one of `goalmaze.envs.mazes.algorithms.ALGORITHMS`.
        openness: the algorithm's own parameter, where it has one.
        mixture: share of training levels that are drawn from the parting shift and so tell goal and cue apart.
    """

    name: ClassVar[str]
    goal: ClassVar[str]
    cue: ClassVar[str]
    shifts: ClassVar[Mapping[str, str]]
    parting_shift: ClassVar[str]

    size: int = 9
    braid: float = 0.15
    algorithm: str = "depth-first"
    openness: float = 0.5
    mixture: float = 0.0

    def __post_init__(self) -> None:
        if self.size < 5 or self.size % 2 == 0:
            raise GoalmazeError(f"size is {self.size}: mazes need an odd size of at least 5")
        if self.algorithm not in ALGORITHMS:
            raise unknown("maze algorithm", self.algorithm, ALGORITHMS)
        for parameter in ("braid", "openness", "mixture"):
            self.require_between(parameter, 0, 1)

    @property
    @abc.abstractmethod
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of object, drawn in this order."""

    @property
    @abc.abstractmethod
    def slots(self) -> tuple[str, ...]:
        """The kind of object in each of the K slots, at most `MOST_SLOTS`; those of items among the first W."""

    @property
    def stacks(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds that each further letter stands for where they share a cell."""
        return {}

    def require_between(self, parameter: str, low: float, high: float) -> None:
        """Refuse a parameter that is not between two bounds."""
        value = getattr(self, parameter)
        if not low <= value <= high:
            raise GoalmazeError(f"{parameter} is {value}: choose {low} to {high}")

    @abc.abstractmethod
    def placements(self, shift: str) -> tuple[Place, ...]:
        """Return the rules that fill a maze under `shift`, one of `shifts` or `NO_SHIFT`."""

    def values(self) -> Mapping[str, int]:
        """Return how strongly each kind shows in its observation planes, 0 to 255; 1 where not mentioned."""
        return {}

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut off."""
        return 8 * self.size

    @cached_property
    def plane_names(self) -> tuple[str, ...]:
        """The C observation planes in order: walls, agent, and those the kinds show on."""
        shown = (plane for kind in self.kinds for plane in kind.shows_on)
        return tuple(dict.fromkeys(["wall", AGENT, *shown]))

    @property
    def planes(self) -> int:
        """Number C of observation planes."""
        return len(self.plane_names)

    @property
    def parameters(self) -> dict[str, Any]:
        """The family's parameters as plain data."""
        return dataclasses.asdict(self)

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """The rules as float32 [K, COLUMNS], see `goalmaze.envs.engine.rules`."""
        table = np.zeros((len(self.slots), rules.COLUMNS), np.float32)
        kinds = {kind.name: kind for kind in self.kinds}
        if len(self.slots) > MOST_SLOTS or any(kinds[name].gives for name in self.slots[self.size :]):
            raise GoalmazeError(
                f"{self.name} has {len(self.slots)} slots: {MOST_SLOTS} is the most, and items must be among the "
                f"first {self.size}, so that items held can show along the top wall"
            )
        for k, name in enumerate(self.slots):
            kind = kinds[name]
            table[k, rules.REWARD], table[k, rules.CUE_REWARD] = kind.reward, kind.cue_reward
            table[k, rules.ENDS], table[k, rules.VANISHES] = kind.ends, kind.vanishes
            table[k, rules.GIVES], table[k, rules.NEEDS], table[k, rules.SPARES] = kind.gives, kind.needs, kind.spares
            table[k, rules.AFTER] = -1 if kind.after is None else self.slots.index(kind.after)
            table[k, rules.LAMP] = -1 if kind.lamp is None else self.slots.index(kind.lamp)
            table[k, rules.WHILE_LIT] = kind.while_lit
            table[k, rules.REQUIRED] = kind.required
            table[k, rules.MOTION] = MOTIONS[kind.motion]
            shown = [self.plane_names.index(plane) for plane in kind.shows_on] + [-1, -1]
            table[k, rules.PLANE], table[k, rules.SECOND_PLANE] = shown[:2]
            table[k, rules.VALUE] = self.values().get(name, 1)
            table[k, rules.FILLS] = kind.fills
        return table

    @property
    def route_length(self) -> int:
        """Steps for which the way of a leading object is laid down in advance; 0 where nothing leads."""
        leads = any(kind.motion in ("leads", "misleads") for kind in self.kinds)
        return self.time_limit + 1 if leads else 0

    def resized(self, size: int | None) -> Self:
        """Return the same world with another maze size, or itself where `size` is None."""
        return self if size is None else dataclasses.replace(self, size=size)

    def world(self, seed: int, shift: str = NO_SHIFT, split: str = EVALUATION) -> World:
        """Return how the levels of a seed are made, for the kernels; arguments as `levels`."""
        if shift != NO_SHIFT and shift not in self.shifts:
            raise unknown("shift", shift, [NO_SHIFT, *self.shifts])
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if not 0 <= seed <= LARGEST_SEED:
            raise GoalmazeError(f"seed is {seed}: choose 0 to {LARGEST_SEED}")
        share = self.mixture if shift == NO_SHIFT else 0.0
        lists = [self.placements(shift), self.placements(self.parting_shift)]
        encoded = np.full((2, max(len(places) for places in lists), 4), -1, np.int64)
        chances = np.ones(encoded.shape[:2])
        for i, places in enumerate(lists):
            for r, place in enumerate(places):
                encoded[i, r] = self._encode(place)
                chances[i, r] = place.chance
        return World(
            seed,
            SPLITS.index(split),
            ALGORITHMS.index(self.algorithm),
            self.openness,
            self.braid,
            share,
            encoded,
            chances,
        )

    def _encode(self, place: Place) -> tuple[int, int, int, int]:
        subject = self._thing(place.kind, place.which)
        if place.aside_from is not None:
            return subject, ASIDE, self._thing(place.aside_from, 0), 0
        if place.in_corner:
            return subject, TOP_RIGHT, ABSENT, 0
        if place.on is not None:
            return subject, ON, self._thing(place.on, place.on_which), 0
        return subject, CORNER if place.region else ANYWHERE, ABSENT, place.region

    def _thing(self, kind: str, which: int) -> int:
        return 0 if kind == AGENT else 1 + [k for k, name in enumerate(self.slots) if name == kind][which]

    def levels(self, seed: int, indices: ArrayLike, shift: str = NO_SHIFT, split: str = EVALUATION) -> LevelBatch:
        """Return the levels at the addresses (seed, index) of a split, under a shift.

        An address gives the same level in any batch, order and process. A shift keeps maze, start and all it does
        not move, so level i of two shifts is a matched pair.

        Args:
            seed: any integer from 0 to `LARGEST_SEED`.
            indices: int [B], from 0 up.
            shift: `NO_SHIFT` for the training distribution, or one of `shifts`.
            split: one of `SPLITS`.

        Raises:
            GoalmazeError: the shift, the split or the seed is none of these.
        """
        indices = np.ascontiguousarray(indices, np.int64)
        walls = np.empty((len(indices), self.size, self.size), np.bool_)
        start = np.empty(len(indices), np.int32)
        objects = np.empty((len(indices), len(self.slots)), np.int32)
        generate_many(self.world(seed, shift, split), indices, walls, start, objects)
        return LevelBatch(walls, start, objects, self.slots)

    def optimal_returns(self, levels: LevelBatch, discount: float = 1.0) -> NDArray[np.float64]:
        """Return float64 [B], the best true return of each level; see `goalmaze.envs.solving.best_returns`.

        Args:
            levels: of this family.
            discount: a reward at the t-th step counts ``discount ** (t - 1)`` times.

        Raises:
            GoalmazeError: the levels are another family's.
        """
        if levels.kinds != self.slots:
            raise GoalmazeError(f"the levels hold {' '.join(levels.kinds)}; {self.name} has {' '.join(self.slots)}")
        return best_returns(levels, self.table, self.time_limit, discount)


def from_parameters(family: type[Family], parameters: Mapping[str, Any]) -> Family:
    """Build a family from plain data, checking names and types.

    Raises:
        GoalmazeError: a parameter is unknown, of the wrong type, or out of range.
    """
    known = [field.name for field in dataclasses.fields(family)]
    for parameter in parameters:
        if parameter not in known:
            raise unknown(f"parameter of {family.name}", parameter, known)
    try:
        return msgspec.convert(dict(parameters), family)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, GoalmazeError) else GoalmazeError(f"{family.name}: {error}") from None
