"""`minimal-edit`: the smallest change of two squares after which a linear probe reads the target as the goal's cell.

A 1x1 probe for the goal's square is fitted. At every step, the goal's and the target's square are moved along the
probe's direction [C] as little as needed for the target to have the highest score by a margin, like the probe
interventions on a planning agent by Taufeeque et al. (2024). The edit uses the two cells and the activation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import ABSENT
from goalmaze.probes.activations import is_rectified
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit, check_channels
from goalmaze.probes.edits.fitted import FittedSiteEdit
from goalmaze.probes.edits.goal_move import GoalMove, level_move
from goalmaze.probes.information import ACTIVATION, CELLS, Facts
from goalmaze.probes.readout.fitting import SquareFitter
from goalmaze.probes.squares import cell_mask, read_square, write_square
from goalmaze.probes.steering.base import ActivationMethod
from goalmaze.probes.steering.registry import register_method

HALVINGS = 60
"""Of the interval that holds a step length: more than its float32 numbers can resolve."""

MAX_STEP = 2.0**20


@dataclasses.dataclass(frozen=True, eq=False)
class MinimalEdit(Edit):
    """Changes the target's and the goal's square as little as a 1x1 probe needs to read the target.

    Of all changes of these two squares after which the target's score leads every other square's by `margin`, it makes
    the one of least norm. It is computed at every step, from the activation of that step.

    Attributes:
        direction: float32 [C], of the probe; the projection on it is the score.
        move: of the goal, in the B levels of the batch.
        margin: lead that the target must have.
        rectified: whether the site is never negative, as after a ReLU; the result is then clipped at 0, and the change
            is the least among those that are.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    direction: Tensor = dataclasses.field(kw_only=True)
    move: GoalMove = dataclasses.field(kw_only=True)
    margin: float = dataclasses.field(default=1.0, kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    def check(self, site: Site) -> None:
        """Refuse a site that is not a map with the probe's channels."""
        check_channels(site, len(self.direction), needs_map=True)

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return maps [b, C, H, W] in which the probe reads the targets."""
        move, (height, width) = level_move(self.move, context, self.site), activation.shape[2:]
        targets, goals = move.targets, move.goals.copy()
        # A goal that is the target already is one square, not two.
        goals[goals == targets] = ABSENT
        target, goal = read_square(activation, targets), read_square(activation, goals)
        scores = torch.einsum("nchw,c->nhw", activation, self.direction)
        own = (cell_mask(targets, height, width) | cell_mask(goals, height, width))[:, 0]
        # The target must lead all squares that the edit does not change.
        highest = scores.masked_fill(own, -torch.inf).flatten(1).amax(dim=1)
        up, down = self._steps(target, goal, torch.from_numpy(goals != ABSENT), highest + self.margin)
        result = write_square(activation, targets, self._moved(target, up))
        return write_square(result, goals, self._moved(goal, -down))

    def _steps(self, target: Tensor, goal: Tensor, has_goal: Tensor, bar: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far [b] target and goal [b, C] go along the direction; the target must reach the score `bar` [b].

        By the Karush-Kuhn-Tucker conditions both go equally far, but the target at least as far as the bar needs.
        """
        # The target must at least lead the squares that are not edited, whatever happens to the goal.
        lift = _least_step(lambda step: self._score(target, step) >= bar, bar)

        def leads(step: Tensor) -> Tensor:
            lead = self._score(target, torch.maximum(step, lift)) - self._score(goal, -step)
            return (lead >= self.margin) | ~has_goal

        down = _least_step(leads, bar)
        return torch.maximum(lift, down), down

    def _moved(self, values: Tensor, step: Tensor) -> Tensor:
        moved = values + step[:, None] * self.direction
        # A step of 0 returns the very values; the ReLU would change negative ones of an activation unlike those fitted
        # on.
        return torch.where((step != 0)[:, None], moved.relu() if self.rectified else moved, values)

    def _score(self, values: Tensor, step: Tensor) -> Tensor:
        return self._moved(values, step) @ self.direction


@dataclasses.dataclass(frozen=True, eq=False)
class ProbedGoal(FittedSiteEdit):
    """A probe's direction, from which minimal edits are made.

    Attributes:
        direction: float32 [C].
        rectified: whether the site is never negative, as after a ReLU.
        margin: lead that the target's score must have.
    """

    uses: ClassVar[Facts] = CELLS | {ACTIVATION}

    direction: Tensor
    rectified: bool
    margin: float = 1.0

    def edit(self, move: GoalMove, strength: float = 1.0) -> MinimalEdit:
        """Return the edit after which the probe reads each level's target."""
        return MinimalEdit(
            self.site,
            direction=self.direction,
            move=move,
            margin=self.margin,
            rectified=self.rectified,
            strength=strength,
        )


@register_method
class MinimalEditMethod(ActivationMethod):
    """Changes two squares as little as a probe for the goal's square needs."""

    name = "minimal-edit"

    def fit(self, context: FitContext, site: str) -> ProbedGoal:
        """Fit the probe on the fitting levels."""
        maps = context.activations(context.levels, site)
        probe = SquareFitter(maps).fit(torch.tensor(context.goals, dtype=torch.long))
        return ProbedGoal(site, probe.direction, is_rectified(maps))


def _least_step(holds: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Return [b], the least step from 0 up at which a condition holds that holds at all longer ones, by bisection."""
    low, high = torch.zeros_like(like), torch.full_like(like, MAX_STEP)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = holds(middle)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return torch.where(holds(torch.zeros_like(like)), torch.zeros_like(like), high)
