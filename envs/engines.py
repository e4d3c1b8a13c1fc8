"""Engines: each runs a batch of episodes of one family, step by step, for rollouts and for Gymnasium environments.

A family names the class of its engine (`Family.engine_entry_point`); everything else uses the interface of `Engine`.

Axes: B episodes, H rows, W columns, K object slots.
"""

from __future__ import annotations

import abc
import dataclasses
import pkgutil
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.engine import kernels
from goalmaze.envs.engine.bound_kernel import BoundKernel
from goalmaze.envs.engine.state import blank_state
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch

Observations = NDArray[np.uint8]
Actions = NDArray[np.integer] | np.integer | int
Arrays = dict[str, NDArray[np.generic]]


class Engine(abc.ABC):
    """B episodes of one family that run side by side. All arrays change in place.

    Args:
        family: the family whose rules hold.
        batch: number B of episodes; none of them begins before `begin` or `renew`.
        height: rows H of every maze, the family's size where None.
        width: columns W of every maze, the family's size where None.

    Attributes:
        mode: the observation mode of the arrays that `observe` returns.
        actions: number of actions an agent chooses among.
        state: all arrays of the episodes, see `goalmaze.envs.engine.state.State`; `agent`, `objects`, `steps`,
            `rewards`, `terminated` and `truncated` are its arrays of these names.
        level_seeds: int64 [B], the seed of each row's levels, see `use_levels`.
        next_levels: int64 [B], the index of the level that each row plays next.
        group_size: number of rows that share a seed.
    """

    mode: ClassVar[str]

    def __init__(self, family: Family, batch: int, height: int | None = None, width: int | None = None) -> None:
        self.family = family
        self.actions = len(ACTIONS)
        self.state = blank_state(
            batch=batch,
            height=family.size if height is None else height,
            width=family.size if width is None else width,
            slots=len(family.slots),
            planes=family.planes,
            leader_path_length=family.leader_path_length,
        )
        self.agent, self.objects = self.state.agent, self.state.objects
        self.steps, self.rewards = self.state.steps, self.state.rewards
        self.terminated, self.truncated = self.state.terminated, self.state.truncated
        self.level_seeds = np.zeros(batch, np.int64)
        self.next_levels = np.arange(batch, dtype=np.int64)
        self.group_size = batch
        self._table = family.table
        self._step = BoundKernel(self.state, self._table, family.time_limit)

    @classmethod
    def from_levels(cls, levels: LevelBatch) -> Self:
        """Return an engine with an episode on each level.

        Raises:
            GoalmazeError: a level is not closed, or something stands in a wall or outside.
        """
        engine = cls(levels.family, len(levels), levels.height, levels.width)
        engine.begin(np.arange(len(levels)), levels)
        return engine

    def __len__(self) -> int:
        return len(self.agent)

    @property
    def done(self) -> Bools:
        """bool [B], True where the last step ended the episode, either way; a copy."""
        done: Bools = self.terminated | self.truncated
        return done

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all episodes take."""
        # The first field is the number `width`.
        return int(sum(array.nbytes for array in self.state[1:]))

    def levels(self) -> LevelBatch:
        """Return a copy of the present levels, as they were at the start of the episodes."""
        state = self.state
        return LevelBatch(state.walls, state.start.copy(), state.placed.copy(), self.family)

    def present(self) -> LevelBatch:
        """Return the levels with every object on its present cell: moved, held along the top wall, or absent."""
        return dataclasses.replace(self.levels(), objects=self.objects.copy())

    def begin(self, rows: NDArray[np.intp], levels: LevelBatch | None = None) -> None:
        """Begin new episodes in `rows` [b], on `levels` (one for each row) or on the level each row already has.

        Raises:
            GoalmazeError: the levels are another family's, one is not closed, or something stands in a wall or outside.
        """
        if levels is not None:
            if levels.slots != self.family.slots:
                raise GoalmazeError(
                    f"the levels hold {' '.join(levels.slots)}; {self.family.name} has {' '.join(self.family.slots)}"
                )
            levels.check_playable()
            self.place(rows, levels)
        kernels.begin_rows(self.state, self._table, np.ascontiguousarray(rows, np.int64))

    def skip_to(self, steps: Cells) -> None:
        """Put the episodes, right after they began, to `steps` int32 [B] steps in which nothing moved.

        Observations then show what the agent sees at these steps: objects may be hidden, see `Family.visible_steps`.
        """
        kernels.skip_to(self.state, self._table, np.ascontiguousarray(steps, np.int32))

    def place(self, rows: NDArray[np.intp], levels: LevelBatch) -> None:
        """Put playable levels of this family into `rows` [b]; episodes on them begin with `begin`."""
        self.state.squares[rows] = levels.walls.reshape(len(levels), levels.height * levels.width)
        self.state.start[rows] = levels.start
        self.state.placed[rows] = levels.objects

    def step(self, actions: Actions) -> None:
        """Advance each episode by one of `actions` int [B], or all by the same; an action out of range stays."""
        self._step(actions)

    def step_strictly(self, actions: NDArray[np.integer]) -> None:
        """Advance each episode by one of `actions` int [B].

        Raises:
            GoalmazeError: the actions are not B integers, or one is out of range; then nothing changes.
        """
        self._step.strict(actions)

    def use_levels(self, seed: int | Sequence[int], shift: str, split: str) -> None:
        """From now on take fresh levels from these addresses: row e plays the levels e, e + B, e + 2B and so on.

        Args:
            seed: as in `Family.levels`; or S seeds, then the rows are S equal groups, and those of each seed play the
                levels that an engine of B/S rows with this seed alone plays.
            shift: as in `Family.levels`.
            split: as in `Family.levels`.

        Raises:
            GoalmazeError: a seed, the shift or the split is out of range, or B is no multiple of S.
        """
        seeds = [seed] if isinstance(seed, int | np.integer) else list(seed)
        for one in seeds:
            self.family.check_addresses(one, shift, split)
        if not seeds or len(self) % len(seeds):
            raise GoalmazeError(f"{len(self)} environments do not split into equal groups for {len(seeds)} seeds")
        self.group_size = len(self) // len(seeds)
        self.level_seeds[:] = np.repeat(seeds, self.group_size)
        self.next_levels[:] = np.arange(len(self)) % self.group_size

    def use_threads(self, count: int) -> None:  # noqa: B027  most engines have none
        """Step episodes in this many threads of the processor; before the first level. It changes no result.

        An engine whose step is one compiled call gains nothing by it and stays as it is.
        """

    def part(self, rows: slice) -> Self | None:
        """Return an engine of some consecutive rows, which shares all arrays with this one.

        Its rows play what they play in this engine. It is valid until `use_levels` is called again.

        Args:
            rows: the rows.

        Returns:
            The engine; None where rows of this engine cannot step by themselves.
        """
        return None

    @abc.abstractmethod
    def renew(self, rows: NDArray[np.intp]) -> None:
        """Begin new episodes in `rows` [b], each on the next of the levels that `use_levels` named."""

    @abc.abstractmethod
    def step_or_renew(self, actions: NDArray[np.integer]) -> None:
        """Step by `actions` int [B]; where an episode had ended before, begin the next one instead.

        Raises:
            GoalmazeError: the actions are not B integers, or one is out of range; then nothing changes.
        """

    @abc.abstractmethod
    def observe(self) -> Observations:
        """Return uint8 [B, ...], the observations in mode `mode`; the next step changes them in place."""

    @abc.abstractmethod
    def pictures(self) -> tuple[NDArray[np.uint8], ...]:
        """Return one RGB picture uint8 [h, w, 3] for each episode, for display."""

    @abc.abstractmethod
    def extra_arrays(self) -> Arrays:
        """Return copies of the arrays that a resumed run needs beside `state` and `next_levels`."""

    @abc.abstractmethod
    def restore_extra_arrays(self, arrays: Arrays) -> None:
        """Restore what `extra_arrays` returned, after `state` was restored."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release all resources other than arrays."""


def engine_class(family: Family) -> type[Engine]:
    """Return the class of the engine that runs a family's episodes."""
    found: type[Engine] = pkgutil.resolve_name(family.engine_entry_point)
    return found


def make_engine(levels: LevelBatch) -> Engine:
    """Return the family's engine with an episode on each level.

    Raises:
        GoalmazeError: a level is not closed, or something stands in a wall or outside.
    """
    return engine_class(levels.family).from_levels(levels)


def first_observations(levels: LevelBatch) -> Observations:
    """Return uint8 [B, ...], the observations before the first step, in the mode of the family's engine."""
    engine = make_engine(levels)
    engine.close()
    return engine.observe()
