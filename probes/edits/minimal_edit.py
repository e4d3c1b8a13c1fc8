"""The smallest edit after which a linear probe reads the target: minimal projection, as in learned-planner."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.edits.base import Rewrite, check_channels
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import at_cells, cells_of, marked, put

HALVINGS = 60
"""Of the interval that holds a step length: beyond the precision of its numbers."""

MAX_STEP = 2.0**20


@dataclasses.dataclass(frozen=True, eq=False)
class MinimalEdit(Rewrite):
    """Changes the target's square and the old goal's as little as a 1×1 probe needs to read the target.

    Of all changes of these two squares, that after which the target's score leads every other square by `margin` and
    whose squared length is least. Anew at every step, from what the site then holds.

    Attributes:
        direction: float32 [C], of the probe; its projection is the score.
        goals: int32 [B], the old goal's cells, `ABSENT` where there is none.
        targets: int32 [B], the cells to be read.
        margin: by how much the target must lead.
        rectified: whether the site never holds negative values; the edited one then neither, and the change is the
            least among those that keep to this.
    """

    direction: Tensor = dataclasses.field(kw_only=True)
    goals: Cells = dataclasses.field(kw_only=True)
    targets: Cells = dataclasses.field(kw_only=True)
    margin: float = dataclasses.field(default=1.0, kw_only=True)
    rectified: bool = dataclasses.field(default=False, kw_only=True)

    @property
    def uses(self) -> Knowledge:
        """Goal and target."""
        return CELLS

    def check(self, site: Site) -> None:
        """Refuse a site that is no map of the probe's channels."""
        check_channels(site, len(self.direction), needs_map=True)

    def changed(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return maps [b, C, H, W] in which the probe reads the targets of the levels `rows`."""
        goals, targets = cells_of(self.goals, rows, self.site), cells_of(self.targets, rows, self.site)
        height, width = activation.shape[2:]
        GoalMove(goals, targets, height, width)
        goals = goals.copy()
        goals[goals == targets] = ABSENT
        target, goal = at_cells(activation, targets), at_cells(activation, goals)
        rivals = torch.einsum("nchw,c->nhw", activation, self.direction).masked_fill(
            (marked(targets, height, width) | marked(goals, height, width))[:, 0], -torch.inf
        )
        stands = torch.from_numpy(goals != ABSENT)
        up, down = self._steps(target, goal, stands, rivals.flatten(1).amax(dim=1) + self.margin)
        return put(put(activation, targets, self._moved(target, up)), goals, self._moved(goal, -down))

    def _steps(self, target: Tensor, goal: Tensor, stands: Tensor, bar: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far [b] target and goal [b, C] go along the direction; the target must reach the score `bar` [b].

        By the Karush-Kuhn-Tucker conditions both go equally far, but the target no less than the bar needs.
        """
        lift = _least(lambda step: self._score(target, step) >= bar, bar)

        def leads(step: Tensor) -> Tensor:
            lead = self._score(target, torch.maximum(step, lift)) - self._score(goal, -step)
            return (lead >= self.margin) | ~stands

        down = _least(leads, bar)
        return torch.maximum(lift, down), down

    def _moved(self, values: Tensor, step: Tensor) -> Tensor:
        moved = values + step[:, None] * self.direction
        return torch.where((step != 0)[:, None], moved.relu() if self.rectified else moved, values)

    def _score(self, values: Tensor, step: Tensor) -> Tensor:
        return self._moved(values, step) @ self.direction


@dataclasses.dataclass(frozen=True, eq=False)
class MinimalProjection:
    """A probe's direction as something to retarget with.

    Attributes:
        site: the map it was fitted in.
        direction: float32 [C].
        rectified: whether the site never holds negative values.
        margin: by how much the target must lead.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    direction: Tensor
    rectified: bool
    margin: float = 1.0

    def edit(self, move: GoalMove, strength: float = 1.0) -> MinimalEdit:
        """Return the edit that moves the probe's reading in each level."""
        return MinimalEdit(
            self.site,
            direction=self.direction,
            goals=move.goals,
            targets=move.targets,
            margin=self.margin,
            rectified=self.rectified,
            strength=strength,
        )


def _least(holds: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Return [b], the least step from 0 up for which `holds`, which holds for all longer ones, by halving."""
    low, high = torch.zeros_like(like), torch.full_like(like, MAX_STEP)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = holds(middle)
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return torch.where(holds(torch.zeros_like(like)), torch.zeros_like(like), high)
