"""A small network at every square: deep down, what a goal does to a square hangs on several channels at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Rewrite, check_channels, of_rows
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, spread
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.steering.base import Method
from goalmaze.probes.steering.mean_pattern import MeanPattern
from goalmaze.probes.training_batch import descend, draw_training_batch

HIDDEN = 64
UPDATES = 3000
BATCH = 128
LEARNING_RATE = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Pointwise:
    """One hidden layer, the same at every square.

    Attributes:
        into: float32 [K, C], from what a square holds to the hidden units.
        out: float32 [C, K], from the hidden units to what is added.
        bias: float32 [C], added besides.
    """

    into: Tensor
    out: Tensor
    bias: Tensor

    def __call__(self, maps: Tensor, told: Tensor) -> Tensor:
        """Return [b, C, H, W], what to add to maps [b, C, H, W] whose squares are told [b, K, H, W]."""
        hidden = (linear(maps.movedim(1, -1), self.into) + told.movedim(1, -1)).relu()
        return linear(hidden, self.out, self.bias).movedim(-1, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class PointwiseEdit(Rewrite):
    """Adds to every square what belongs to it, and what the network makes of what the square holds.

    Nothing passes from one square to another, so the edit can find no way: only the layers above can.

    Attributes:
        network: the same for all squares and mazes.
        delta: float32 [B, C, H, W], to add.
        told: float32 [B, K, H, W], added to the hidden units: where a square lies to goal and target.
        near: bool [B, 1, H, W], False on squares so far from both that they are left alone.
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    network: Pointwise
    delta: Tensor
    told: Tensor
    near: Tensor
    rectified: bool = False

    @property
    def uses(self) -> Knowledge:
        """Two cells."""
        return CELLS

    def check(self, site: Site) -> None:
        """Refuse a site that is no map of the network's channels."""
        check_channels(site, self.delta.shape[1], needs_map=True)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return what activation [b, C, H, W] becomes at full strength."""
        delta, told, near = (of_rows(laid, rows, self.site) for laid in (self.delta, self.told, self.near))
        if delta.shape != activation.shape:
            raise GoalmazeError(
                f"edit at site '{self.site}' has shape {tuple(delta.shape)}, the activation {tuple(activation.shape)}; "
                "make it for this network and maze size"
            )
        changed = activation + delta + near * self.network(activation, told)
        return changed.relu() if self.rectified else changed


@dataclasses.dataclass(frozen=True, eq=False)
class PointwisePattern:
    """A pattern, and a network that is told by another pattern where a square lies.

    Attributes:
        pattern: what is added whatever a square holds.
        telling: what is added to the network's hidden units, float32 [K, h, w] around target and old goal.
        network: the same for all squares.
    """

    uses: ClassVar[Knowledge] = CELLS

    pattern: GoalPattern
    telling: GoalPattern
    network: Pointwise

    @property
    def site(self) -> str:
        """Where."""
        return self.pattern.site

    def edit(self, move: GoalMove, strength: float = 1.0) -> PointwiseEdit:
        """Return the edit that moves the goal in each level."""
        height, width = move.height, move.width
        window = torch.ones(1, *self.pattern.arriving.shape[1:])
        return PointwiseEdit(
            self.site,
            self.network,
            self.pattern.edit(move).delta,
            self.telling.edit(move).delta,
            (spread(window, move.goals, height, width) + spread(window, move.targets, height, width)) > 0,
            self.pattern.rectified,
            strength=strength,
        )


class PointwiseNetwork(Method):
    """Learned like the expert pattern, from the mean pattern and a network that adds nothing on."""

    name = "pointwise-network"

    def find(self, context: FitContext, site: str) -> PointwisePattern:
        """Return the trained patterns and network."""
        start = MeanPattern().find(context, site)
        channels, *window = start.arriving.shape
        into = torch.randn(HIDDEN, channels, generator=torch.Generator().manual_seed(context.seed)) / channels**0.5
        nothing = torch.zeros(HIDDEN, *window)
        weights = (into, torch.zeros(channels, HIDDEN), torch.zeros(channels))
        first = (start.arriving, start.leaving, nothing, nothing, *weights)
        free = [value.clone().requires_grad_() for value in first]
        choice = np.random.default_rng(context.seed)

        def made(tensors: Sequence[Tensor]) -> PointwisePattern:
            arriving, leaving, coming, going, *learned = tensors
            pattern = GoalPattern(site, arriving, leaving, start.rectified)
            return PointwisePattern(pattern, GoalPattern(site, coming, going, rectified=False), Pointwise(*learned))

        def loss() -> Tensor:
            training_batch = draw_training_batch(context, choice, BATCH)
            return training_batch.loss([made(free).edit(training_batch.move)])

        return made(descend(free, loss, context.updates(UPDATES), LEARNING_RATE))
