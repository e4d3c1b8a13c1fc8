"""What a family of levels is: kinds of objects, a training distribution and named shifts, as plain data.

A family is a frozen dataclass whose fields are its parameters. Where things are put is a short list of `Place`
rules, drawn by one compiled function, so a family file states *what* its levels are and nothing about how they are
made fast.
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

from goalmaze.envs.compiled import below, compiled, stream, uniform
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.generators import WALLS_STREAM, generate_walls
from goalmaze.envs.levels import ABSENT, LevelBatch

TRAINING, FITTING, EVALUATION = "training", "fitting", "evaluation"
SPLITS = (TRAINING, FITTING, EVALUATION)
"""Levels with the same seed and index in different splits are unrelated: what is fitted never meets its judge."""

NO_SHIFT = "none"
"""The name of the training distribution where a shift is asked for."""

AGENT = "agent"


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        name: what it is called everywhere.
        letter: its sign in ASCII pictures.
        colour: red, green, blue for people, 0 to 255.
        shape: how it is drawn, a name known to `goalmaze.envs.rendering`.
        ends: whether entering it ends the episode.
        reward: true reward for entering it first.
        cue_reward: reward a pursuer of the cue would count.
    """

    name: str
    letter: str
    colour: tuple[int, int, int]
    shape: str
    ends: bool = False
    reward: float = 0.0
    cue_reward: float = 0.0


@dataclasses.dataclass(frozen=True)
class Place:
    """One rule of a level distribution: put this thing there.

    Attributes:
        slot: the object's slot, or -1 for the agent's start.
        on: with `probability`, stand on the cell of this slot; otherwise, and where `on` is None, on a free
            cell drawn uniformly among those that nothing placed so far stands on.
        probability: how often `on` holds.
    """

    slot: int
    on: int | None = None
    probability: float = 1.0


@dataclasses.dataclass(frozen=True)
class Family(abc.ABC):
    """A world: one kind of maze problem with its parameters.

    A subclass sets `name`; its `kinds` of object and the `slots` that hold them; the letters of `stacks` of kinds on
    one cell; which kind is the `goal` and which the `cue`; its `shifts`, each with the reason for it; and the
    `parting_shift` in which goal and cue always stand apart.

    Attributes:
        size: rows and columns of the maze, in cells; odd, at least 5.
        braid: probability with which a wall between two cells is opened after the maze was carved.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    slots: ClassVar[tuple[str, ...]]
    stacks: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    goal: ClassVar[str]
    cue: ClassVar[str]
    shifts: ClassVar[Mapping[str, str]]
    parting_shift: ClassVar[str]

    size: int = 9
    braid: float = 0.15

    def __post_init__(self) -> None:
        if self.size < 5 or self.size % 2 == 0:
            raise GoalmazeError(f"size is {self.size}: mazes need an odd size of at least 5")
        self.require_fraction("braid")

    def require_fraction(self, parameter: str) -> None:
        """Refuse a parameter that is not between 0 and 1."""
        value = getattr(self, parameter)
        if not 0 <= value <= 1:
            raise GoalmazeError(f"{parameter} is {value}: it is a probability, choose 0 to 1")

    @abc.abstractmethod
    def placements(self, shift: str) -> tuple[Place, ...]:
        """Return the rules that fill a maze under `shift`, one of `shifts` or `NO_SHIFT`."""

    def values(self) -> Mapping[str, int]:
        """Return how strongly each kind shows in its observation plane, 0 to 255; 1 where not mentioned."""
        return {}

    @property
    def time_limit(self) -> int:
        """Steps after which an episode is cut off."""
        return 8 * self.size

    @property
    def planes(self) -> int:
        """Number C of observation planes: walls, agent, and one for each kind."""
        return 2 + len(self.kinds)

    @property
    def parameters(self) -> dict[str, Any]:
        """The family's parameters as plain data."""
        return dataclasses.asdict(self)

    @cached_property
    def rules(self) -> Rules:
        """The tables by slot that the kernels run on."""
        kinds = {kind.name: kind for kind in self.kinds}
        order = [kind.name for kind in self.kinds]
        values = self.values()
        return Rules(
            rewards_of=np.array([[kinds[s].reward, kinds[s].cue_reward] for s in self.slots], np.float32),
            ends=np.array([kinds[s].ends for s in self.slots], np.bool_),
            plane_of=np.array([2 + order.index(s) for s in self.slots], np.int64),
            value_of=np.array([values.get(s, 1) for s in self.slots], np.uint8),
        )

    def resized(self, size: int | None) -> Self:
        """Return the same world with another maze size, or itself where `size` is None."""
        return self if size is None else dataclasses.replace(self, size=size)

    def levels(self, seed: int, indices: ArrayLike, shift: str = NO_SHIFT, split: str = EVALUATION) -> LevelBatch:
        """Return the levels at the addresses (seed, index) of a split, under a shift.

        An address gives the same level in any batch, order and process. A shift keeps maze, start and all it does
        not move, so level i of two shifts is a matched pair.

        Args:
            seed: any integer from 0 up, below 2**63.
            indices: int [B], from 0 up.
            shift: `NO_SHIFT` for the training distribution, or one of `shifts`.
            split: one of `SPLITS`.
        """
        if shift != NO_SHIFT and shift not in self.shifts:
            raise unknown("shift", shift, [NO_SHIFT, *self.shifts])
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if not 0 <= seed < 2**63:
            raise GoalmazeError(f"seed is {seed}: choose 0 or more, below 2**63")
        indices = np.ascontiguousarray(indices, np.int64)
        split_number = SPLITS.index(split)
        walls = np.empty((len(indices), self.size, self.size), np.bool_)
        generate_walls(seed, split_number, indices, self.braid, walls)
        places = self.placements(shift)
        things = np.full((len(indices), 1 + len(self.slots)), ABSENT, np.int32)
        place_objects(
            seed,
            split_number,
            indices,
            walls,
            np.array([1 + place.slot for place in places], np.int64),
            np.array([ABSENT if place.on is None else 1 + place.on for place in places], np.int64),
            np.array([place.probability for place in places], np.float64),
            things,
        )
        return LevelBatch(walls, things[:, 0], things[:, 1:], self.slots)


@dataclasses.dataclass(frozen=True)
class Rules:
    """A family's rules as tables by slot; the fields are those of `goalmaze.envs.kernels`."""

    rewards_of: NDArray[np.float32]
    ends: NDArray[np.bool_]
    plane_of: NDArray[np.int64]
    value_of: NDArray[np.uint8]


@compiled
def place_objects(
    seed: int,
    split: int,
    indices: np.ndarray,
    walls: np.ndarray,
    subjects: np.ndarray,
    hosts: np.ndarray,
    probabilities: np.ndarray,
    things: np.ndarray,
) -> None:
    """Apply placement rules to every level, each rule with a random stream of its own.

    Args:
        seed: of the level addresses, as are `split` and `indices` int64 [B].
        split: see `seed`.
        indices: see `seed`.
        walls: bool [B, H, W].
        subjects: int64 [R], the column of `things` each of R rules places.
        hosts: int64 [R], the column to stand on, or `ABSENT`.
        probabilities: float64 [R], how often to stand on the host.
        things: int32 [B, 1+K], start and objects, filled in the order of the rules.
    """
    height, width = walls.shape[1], walls.shape[2]
    rng = np.empty(1, np.uint64)
    for b in range(walls.shape[0]):
        for r in range(subjects.shape[0]):
            rng[0] = stream(seed, split, indices[b], WALLS_STREAM + 1 + r)
            joined = uniform(rng) < probabilities[r]
            if hosts[r] >= 0 and joined:
                things[b, subjects[r]] = things[b, hosts[r]]
                continue
            while True:
                row, column = 1 + below(rng, height - 2), 1 + below(rng, width - 2)
                cell = row * width + column
                if not walls[b, row, column] and not np.any(things[b] == cell):
                    things[b, subjects[r]] = cell
                    break


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
