"""The interface of a penalty: a number that a reading computes from a network on observations.

Axes: N levels of the pool, b observations, A actions, F features.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Annotated, ClassVar

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.agents.training.penalties.cue_planes import CuePlanes
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING, NO_SHIFT, Family
from goalmaze.envs.observations.views import View

Fraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]
"""A part of training, 0 for its beginning."""


@dataclasses.dataclass(frozen=True)
class PenaltyOptions:
    """Options of all penalties.

    Attributes:
        site: the site of a reading of activations; the last site of the network where empty.
        begin: fraction of the steps before the reading is fitted and the term begins; where None, 0.8 for a last phase
            and 0 for all others.
        every: number of updates between two fits, where the reading is refitted.
        levels: number N of levels in the pool that the reading is fitted on and that the term reads.
        batch: number of levels of the pool that each minibatch reads.
    """

    site: str = ""
    begin: Fraction | None = None
    every: Annotated[int, msgspec.Meta(ge=1, le=10**6)] = 4
    levels: Annotated[int, msgspec.Meta(ge=64, le=2**16)] = 1024
    batch: Annotated[int, msgspec.Meta(ge=1, le=2**16)] = 128


class Penalty(abc.ABC):
    """A reading as a number of each observation, differentiable in the network.

    `goalmaze.agents.training.penalties.registry.register_penalty` registers a subclass under its name. The number is
    never negative: 0 says that the reading finds nothing.

    Args:
        family: the family of the run.
        view: what draws its observations.
        seed: of the levels in the pool.
        options: the options.

    Attributes:
        name: the name, part of recipes.
        has_directions: whether it reads directions of an activation, which can be ablated.
        shift: the shift of the levels in the pool. They are of the split for fitting, and give no reward.
        planes: goal and cue in observations.
        pool: uint8 [N, C, H, W], the first observations of the levels in the pool.

    Raises:
        GoalmazeError: the observations are no planes of the whole maze, or goal and cue share a plane.
    """

    name: ClassVar[str]
    has_directions: ClassVar[bool] = False

    def __init__(self, family: Family, view: View, seed: int, options: PenaltyOptions) -> None:
        self.family, self.options, self.seed = family, options, seed
        self.planes = CuePlanes(family, view)
        levels = family.levels(seed, count=options.levels, shift=self.shift, split=FITTING)
        self.pool = self.planes.first_observations(levels)

    @property
    def shift(self) -> str:
        """The shift of the levels in the pool: the training distribution, unless a reading needs another."""
        return NO_SHIFT

    def inputs(self, minibatch: int) -> Tensor:
        """Return uint8 [b, C, H, W], the part of the pool that the term reads in the minibatch of this number."""
        batch = min(self.options.batch, len(self.pool))
        rows = (torch.arange(batch) + minibatch * batch) % len(self.pool)
        return self.pool[rows]

    def fit(self, network: Network) -> None:  # noqa: B027
        """Fit the reading to a network; no-op for a reading that has nothing to fit."""

    @abc.abstractmethod
    def scores(self, network: Network, observations: Tensor) -> Tensor:
        """Return float32 [b], what the reading finds in a network on observations [b, C, H, W].

        Its gradient reaches the network's weights where gradients are enabled.
        """

    def site_of(self, network: Network) -> str:
        """Return the site of a reading of activations: that of the options, or the last of the network."""
        return self.options.site or network.sites()[-1].name

    def directions(self, network: Network) -> tuple[str, Tensor]:
        """Return the site and float32 [F, K], the K directions of its activation that the reading reads.

        Raises:
            GoalmazeError: the reading has no directions.
        """
        raise GoalmazeError(f"penalty {self.name} reads no directions of an activation: choose a linear probe")

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what was fitted, as arrays."""
        return {}

    def restore(self, arrays: dict[str, NDArray[np.generic]]) -> None:  # noqa: B027
        """Restore what was fitted, from `arrays`."""
