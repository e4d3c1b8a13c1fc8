"""`gated-pattern` and `gated-deep`: a pattern that adds and multiplies.

In deep layers, what a goal changes on a square depends on the square's activation. So each channel of each square gets
an addition and a multiple of its own value; additions and gains are patterns [C, 2H-1, 2W-1] around target and goal.
The edit passes nothing from one square to another, but the layers above it do, trained or not: the floors of the
retargeting benchmark show how much of its effect needs what the agent learned. Both are learned like the expert
pattern, from the mean pattern and gains of zero. `gated-deep` learns gated patterns at a site and at all maps above it
together; those above start at zero. The edit uses the two cells and the activation; in training, paths are labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.agents.sites import map_sites
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import AdditiveEdit, check_channels, level_values
from goalmaze.probes.edits.fitted import FittedSiteEdit, JointEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, place_pattern
from goalmaze.probes.edits.training_batch import Schedule, learn_from_optimal_actions
from goalmaze.probes.information import ACTIVATION, CELLS, PATH_LABELS, Facts
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.registry import register_method

SCHEDULE = Schedule(updates=600, batch=128, learning_rate=0.02)


@dataclasses.dataclass(frozen=True, eq=False)
class GatedAdd(AdditiveEdit):
    """Adds to every channel of every square a number of its own and a multiple of the channel's value there.

    Attributes:
        delta: float32 [B, C, H, W], the number.
        gain: float32 [B, C, H, W], the multiple.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION, PATH_LABELS}

    delta: Tensor
    gain: Tensor

    def check(self, site: Site) -> None:
        """Refuse a site that is not a map with the pattern's channels."""
        check_channels(site, self.delta.shape[1], needs_map=True)

    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return delta + gain * activation, [b, C, H, W]."""
        delta = level_values(self.delta, activation, context, self.site)
        gain = level_values(self.gain, activation, context, self.site)
        return delta + gain * activation


@dataclasses.dataclass(frozen=True, eq=False)
class GatedPattern(FittedSiteEdit):
    """A goal pattern with gains.

    Attributes:
        pattern: what is added.
        gain_at_target: float32 [C, h, w], gains around the target.
        gain_at_goal: float32 [C, h, w], gains around the goal.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION, PATH_LABELS}

    pattern: GoalPattern
    gain_at_target: Tensor
    gain_at_goal: Tensor

    def edit(self, move: GoalMove, strength: float = 1.0) -> GatedAdd:
        """Return the edit that moves the goal in each level."""
        gain = place_pattern(self.gain_at_target, move.targets, move.height, move.width)
        gain = gain + place_pattern(self.gain_at_goal, move.goals, move.height, move.width)
        delta = self.pattern.edit(move).delta
        return GatedAdd(self.site, delta, gain, rectified=self.pattern.rectified, strength=strength)


@register_method
class GatedPatternMethod(SteeringMethod):
    """A gated pattern at one site."""

    name = "gated-pattern"
    uses: ClassVar = CELLS | {ACTIVATION, PATH_LABELS}

    def fit(self, context: FitContext, site: str) -> GatedPattern:
        """Return the trained pattern and gains."""
        return learn_gated_patterns(context, [site])[0]


@register_method
class GatedDeepMethod(SteeringMethod):
    """Gated patterns at a site and at all maps above it, learned together."""

    name = "gated-deep"
    uses: ClassVar = CELLS | {ACTIVATION, PATH_LABELS}

    def fit(self, context: FitContext, site: str) -> JointEdit:
        """Return the trained patterns and gains of all these sites."""
        maps = map_sites(context.policy.network)
        return JointEdit(tuple(learn_gated_patterns(context, maps[maps.index(site) :])))


def learn_gated_patterns(context: FitContext, sites: Sequence[str]) -> list[GatedPattern]:
    """Return gated patterns of one or more sites, learned together; the first starts at the mean pattern."""
    # Four tensors a site: the pattern at the target and at the goal, then the gains at both.
    means = [MeanPatternMethod().fit(context, site) for site in sites]
    start: list[Tensor] = []
    for i, mean in enumerate(means):
        zeros = torch.zeros_like(mean.at_target)
        # The maps above already see the effect of the first site's pattern. Adding their own means on top of it would
        # move the goal several times over, so they start from no change.
        start += [mean.at_target, mean.at_goal, zeros, zeros] if i == 0 else [zeros] * 4

    def build(tensors: Sequence[Tensor]) -> list[GatedPattern]:
        parts = []
        for i, mean in enumerate(means):
            at_target, at_goal, *gains = tensors[4 * i : 4 * i + 4]
            pattern = dataclasses.replace(mean, at_target=at_target, at_goal=at_goal)
            parts.append(GatedPattern(mean.site, pattern, *gains))
        return parts

    return learn_from_optimal_actions(context, start, build, SCHEDULE)
