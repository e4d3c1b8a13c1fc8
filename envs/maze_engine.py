"""The engine of goalmaze's own mazes: compiled kernels generate levels, step episodes and draw planes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.engine import kernels
from goalmaze.envs.engine.bound_kernel import BoundKernel
from goalmaze.envs.engine.level_generation import LevelAddresses, LevelDistribution
from goalmaze.envs.engines import Arrays, Engine, Observations
from goalmaze.envs.levels import Family
from goalmaze.envs.rendering import frame


class MazeEngine(Engine):
    """B episodes in goalmaze's own mazes; arguments and attributes as `Engine`."""

    mode = "planes"

    def __init__(self, family: Family, batch: int, height: int | None = None, width: int | None = None) -> None:
        super().__init__(family, batch, height, width)
        self._planes = self._shaped_planes()
        self._distribution: LevelDistribution
        self._addresses: LevelAddresses
        self._step_or_renew: BoundKernel

    def _shaped_planes(self) -> Observations:
        batch, planes, cells = self.state.planes.shape
        return self.state.planes.reshape(batch, planes, cells // self.state.width, self.state.width)

    def __setstate__(self, attributes: dict[str, object]) -> None:
        self.__dict__.update(attributes)
        # Pickle copies a view as an array of its own, which steps would no longer change.
        self._planes = self._shaped_planes()

    def use_levels(self, seed: int | Sequence[int], shift: str, split: str) -> None:
        """Take fresh levels from these addresses; see `Engine.use_levels`."""
        super().use_levels(seed, shift, split)
        self._distribution = self.family.distribution(shift, split)
        self._addresses = LevelAddresses(self.level_seeds, self.next_levels, self.group_size)
        self._step_or_renew = BoundKernel(
            self.state, self._table, self.family.time_limit, self._distribution, self._addresses
        )

    def part(self, rows: slice) -> Self:
        """Return an engine of some consecutive rows, which shares all arrays with this one; see `Engine.part`."""
        part = copy.copy(self)
        arrays = {name: array[rows] for name, array in self.state._asdict().items() if name != "width"}
        part.state = state = self.state._replace(**arrays)
        part.agent, part.objects = state.agent, state.objects
        part.steps, part.rewards = state.steps, state.rewards
        part.terminated, part.truncated = state.terminated, state.truncated
        part.level_seeds, part.next_levels = self.level_seeds[rows], self.next_levels[rows]
        part._planes = part._shaped_planes()
        # The stride of the level indices stays that of the whole.
        part._addresses = LevelAddresses(part.level_seeds, part.next_levels, self.group_size)
        part._step = BoundKernel(state, self._table, self.family.time_limit)
        part._step_or_renew = BoundKernel(
            state, self._table, self.family.time_limit, self._distribution, part._addresses
        )
        return part

    def renew(self, rows: NDArray[np.intp]) -> None:
        """Begin new episodes in `rows` [b] on fresh levels."""
        rows = np.ascontiguousarray(rows, np.int64)
        kernels.renew_rows(self.state, self._table, rows, self._distribution, self._addresses)

    def step_or_renew(self, actions: NDArray[np.integer]) -> None:
        """Step by `actions` int [B], or begin the next episode; see `Engine.step_or_renew`."""
        self._step_or_renew.strict(actions)

    def observe(self) -> Observations:
        """Return uint8 [B, C, H, W], the observation planes; the next step changes them in place."""
        return self._planes

    def pictures(self) -> tuple[NDArray[np.uint8], ...]:
        """Return one RGB picture uint8 [h, w, 3] for each episode, for display."""
        levels = self.present()
        return tuple(frame(levels, b, self.agent[b], steps=self.steps[b]) for b in range(len(self)))

    def extra_arrays(self) -> Arrays:
        """Return {}: `state` and `next_levels` hold everything."""
        return {}

    def restore_extra_arrays(self, arrays: Arrays) -> None:
        """No-op: there are no such arrays."""

    def close(self) -> None:
        """No-op: the engine holds only arrays."""
