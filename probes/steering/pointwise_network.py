"""`pointwise-network`: a small network, the same at every square, adds what a goal changes there.

In deep layers, what a goal changes on a square depends on several of its channels together. One hidden layer reads the
C channels of a square and, through a learned pattern [K, 2H-1, 2W-1], where the square lies from target and goal; its
output is added beside a goal pattern. It is learned like the expert pattern, from the mean pattern and a network that
adds zero. The edit uses the two cells and the activation, which shows walls and the agent; in training, paths are
labels. It passes nothing from one square to another, but the layers above it do, and it learns to use them even where
they are untrained: its rate is an upper bound, and only what lies above its floor is evidence of a rewritten goal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import linear

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, check_channels, level_values
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, place_pattern
from goalmaze.probes.edits.training_batch import Schedule, learn_from_optimal_actions
from goalmaze.probes.information import ACTIVATION, CELLS, PATH_LABELS, Facts
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod
from goalmaze.probes.steering.registry import register_method

HIDDEN = 64
SCHEDULE = Schedule(updates=3000, batch=128, learning_rate=0.01)


@dataclasses.dataclass(frozen=True, eq=False)
class PointwiseMLP:
    """A perceptron with one hidden layer, the same at every square.

    Attributes:
        encoder: float32 [K, C], from the channels of a square to the hidden units.
        decoder: float32 [C, K], from the hidden units to what is added.
        bias: float32 [C], of the output.
    """

    encoder: Tensor
    decoder: Tensor
    bias: Tensor

    def __call__(self, maps: Tensor, position: Tensor) -> Tensor:
        """Return [b, C, H, W], the addition to maps [b, C, H, W], with position [b, K, H, W] as the hidden bias."""
        hidden = (linear(maps.movedim(1, -1), self.encoder) + position.movedim(1, -1)).relu()
        return linear(hidden, self.decoder, self.bias).movedim(-1, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class PointwiseEdit(Edit):
    """Adds to every square a number of its own, and the network's output for the square's activation.

    Attributes:
        network: the same for all squares and mazes.
        delta: float32 [B, C, H, W], the number.
        position: float32 [B, K, H, W], added to the hidden units; it says where a square lies from target and goal.
        near: bool [B, 1, H, W], False on squares beyond the pattern's reach, where the network adds nothing.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION, PATH_LABELS}

    network: PointwiseMLP
    delta: Tensor
    position: Tensor
    near: Tensor
    rectified: bool = False

    def check(self, site: Site) -> None:
        """Refuse a site that is not a map with the network's channels."""
        check_channels(site, self.delta.shape[1], needs_map=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return the changed activation [b, C, H, W] at full strength."""
        delta = level_values(self.delta, activation, context, self.site)
        index = torch.from_numpy(context.rows)
        changed = activation + delta + self.near[index] * self.network(activation, self.position[index])
        return changed.relu() if self.rectified else changed


@dataclasses.dataclass(frozen=True, eq=False)
class PointwisePattern(FittedSiteEdit):
    """A goal pattern, and a network that gets each square's position through a pattern of its own.

    Attributes:
        pattern: added whatever the activation.
        position: float32 [K, h, w] around target and goal, added to the network's hidden units.
        network: the same for all squares.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION, PATH_LABELS}

    pattern: GoalPattern
    position: GoalPattern
    network: PointwiseMLP

    def edit(self, move: GoalMove, strength: float = 1.0) -> PointwiseEdit:
        """Return the edit that moves the goal in each level."""
        window = torch.ones(1, *self.pattern.at_target.shape[1:])
        covered = [place_pattern(window, cells, move.height, move.width) for cells in (move.goals, move.targets)]
        return PointwiseEdit(
            self.site,
            self.network,
            self.pattern.edit(move).delta,
            self.position.edit(move).delta,
            (covered[0] + covered[1]) > 0,
            self.pattern.rectified,
            strength=strength,
        )


@register_method
class PointwiseNetworkMethod(SteeringMethod):
    """A goal pattern and a network at every square, learned together."""

    name = "pointwise-network"
    uses: ClassVar = CELLS | {ACTIVATION, PATH_LABELS}

    def fit(self, context: FitContext, site: str) -> PointwisePattern:
        """Return the trained patterns and network."""
        mean = MeanPatternMethod().fit(context, site)
        channels, *window = mean.at_target.shape
        # Divided by the square root of the inputs, so that a hidden unit has about the variance of a channel.
        encoder = torch.randn(HIDDEN, channels, generator=torch.Generator().manual_seed(context.seed)) / channels**0.5
        zeros = torch.zeros(HIDDEN, *window)
        # A decoder of zeros: at first the network adds nothing, and its gradient is not zero.
        weights = (encoder, torch.zeros(channels, HIDDEN), torch.zeros(channels))
        start = (mean.at_target, mean.at_goal, zeros, zeros, *weights)

        def build(tensors: Sequence[Tensor]) -> list[PointwisePattern]:
            at_target, at_goal, position_target, position_goal, *learned = tensors
            pattern = dataclasses.replace(mean, at_target=at_target, at_goal=at_goal)
            # A pattern that is placed like the one that is added, but never rectified: it is no activation.
            position = GoalPattern(site, position_target, position_goal, rectified=False)
            return [PointwisePattern(site, pattern, position, PointwiseMLP(*learned))]

        return learn_from_optimal_actions(context, start, build, SCHEDULE)[0]
