"""A pattern that adds and multiplies: deep down, what a goal does to a square hangs on what the square holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import check_channels, of_rows
from goalmaze.probes.edits.composition import JointEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, spread
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.steering.base import Method
from goalmaze.probes.steering.mean_pattern import MeanPattern
from goalmaze.probes.training_batch import descend, draw_training_batch

UPDATES = 600
BATCH = 128
LEARNING_RATE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """Adds to every channel of every square what belongs to it, and a multiple of what that channel itself holds there.

    Nothing passes from one square to another, so the edit can find no way: only the layers above can.

    Attributes:
        site: where.
        delta: float32 [B, C, H, W], to add.
        gain: float32 [B, C, H, W], share of the activation to add.
        strength: factor on both; 0 changes nothing, bit for bit.
        rectified: whether the site never holds negative values; the edited one then neither.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    delta: Tensor
    gain: Tensor
    strength: float = 1.0
    rectified: bool = False

    def check(self, site: Site) -> None:
        """Refuse a site that is no map of the pattern's channels."""
        check_channels(site, self.delta.shape[1], needs_map=True)

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, H, W] * (1 + gain) + delta of the levels in `rows`."""
        if self.strength == 0:
            return activation
        delta, gain = of_rows(self.delta, rows, self.site), of_rows(self.gain, rows, self.site)
        if delta.shape != activation.shape:
            raise GoalmazeError(
                f"edit at site '{self.site}' has shape {tuple(delta.shape)}, the activation {tuple(activation.shape)}; "
                "make it for this network and maze size"
            )
        changed = activation + self.strength * (delta + gain * activation)
        return changed.relu() if self.rectified else changed


@dataclasses.dataclass(frozen=True, eq=False)
class GatedPattern:
    """A pattern with gains.

    Attributes:
        pattern: what is added.
        arriving: float32 [C, h, w], gains around the target.
        leaving: float32 [C, h, w], gains around the old goal.
    """

    uses: ClassVar[Knowledge] = CELLS

    pattern: GoalPattern
    arriving: Tensor
    leaving: Tensor

    @property
    def site(self) -> str:
        """Where."""
        return self.pattern.site

    def edit(self, move: GoalMove, strength: float = 1.0) -> Gate:
        """Return the edit that moves the goal in each level."""
        added = self.pattern.edit(move)
        gain = spread(self.arriving, move.targets, move.height, move.width)
        gain = gain + spread(self.leaving, move.goals, move.height, move.width)
        return Gate(self.site, added.delta, gain, strength, self.pattern.rectified)


class GatedPatternMethod(Method):
    """Learned like the expert pattern, from the mean pattern and gains of zero on."""

    name = "gated-pattern"

    def find(self, context: FitContext, site: str) -> GatedPattern:
        """Return the trained pattern and gains."""
        return learn_gated(context, [site])[0]


class GatedDeep(Method):
    """Gated patterns at a site and all maps above it, learned together; those above begin at nothing."""

    name = "gated-deep"

    def find(self, context: FitContext, site: str) -> JointEdit:
        """Return the trained patterns and gains of all these sites."""
        maps = map_sites(context.policy.network)
        return JointEdit(tuple(learn_gated(context, maps[maps.index(site) :])))


def learn_gated(context: FitContext, sites: Sequence[str]) -> list[GatedPattern]:
    """Return gated patterns of one or more sites, learned together; the first begins at the mean pattern."""
    starts = [MeanPattern().find(context, site) for site in sites]
    free = []
    for i, start in enumerate(starts):
        nothing = torch.zeros_like(start.arriving)
        values = (start.arriving, start.leaving) if i == 0 else (nothing, nothing)
        free += [value.clone().requires_grad_() for value in (*values, nothing, nothing)]
    choice = np.random.default_rng(context.seed)

    def gated(tensors: Sequence[Tensor]) -> list[GatedPattern]:
        parts = []
        for i, start in enumerate(starts):
            arriving, leaving, *gains = tensors[4 * i : 4 * i + 4]
            parts.append(GatedPattern(GoalPattern(start.site, arriving, leaving, start.rectified), *gains))
        return parts

    def loss() -> Tensor:
        training_batch = draw_training_batch(context, choice, BATCH)
        return training_batch.loss([one.edit(training_batch.move) for one in gated(free)])

    return gated(descend(free, loss, context.updates(UPDATES), LEARNING_RATE))
