"""Who acts: the two small interfaces between a policy and the rollout loop, and the policy a network gives."""

from __future__ import annotations

from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network
from goalmaze.envs.episodes import Planes
from goalmaze.envs.levels import Cells, LevelBatch

Probabilities = NDArray[np.float32]
Rows = NDArray[np.intp]


class Actor(Protocol):
    """A policy at work on one batch of levels; it may keep a memory for each level."""

    def probabilities(self, rows: Rows, observations: Planes, agent: Cells) -> Probabilities:
        """Return float32 [b, A], each action's probability.

        Args:
            rows: int [b], which of the batch's levels the other arguments are about.
            observations: uint8 [b, C, H, W].
            agent: int32 [b], cells.
        """


class Policy(Protocol):
    """Anything that acts in mazes."""

    def begin(self, levels: LevelBatch) -> Actor:
        """Return an actor for new episodes on these levels."""


class NetworkPolicy:
    """The policy of a trained network.

    Attributes:
        network: the network, in evaluation mode.
        rows: int [b], the levels that the forward pass under way is about; edits that differ by level read it.
    """

    def __init__(self, network: Network) -> None:
        self.network = network.eval()
        self.rows: Rows | None = None

    def begin(self, levels: LevelBatch) -> NetworkPolicy:
        """Return itself: a feed-forward network keeps no memory."""
        return self

    def logits(self, rows: Rows, observations: Tensor) -> Tensor:
        """Return float32 [b, A] for observations [b, C, H, W] of the levels `rows` int [b]; differentiable."""
        self.rows = rows
        try:
            logits, _ = self.network(observations)
        finally:
            self.rows = None
        return cast(Tensor, logits.float())

    def probabilities(self, rows: Rows, observations: Planes, agent: Cells) -> Probabilities:
        """Return float32 [b, A], the softmax of the network's logits."""
        with torch.inference_mode():
            result: Probabilities = torch.softmax(self.logits(rows, torch.from_numpy(observations)), dim=1).numpy()
        return result
