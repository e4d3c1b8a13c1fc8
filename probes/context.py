"""The fit context: a policy and fitting levels, which are all that a steering method may use to fit an edit."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.activations import level_activations


class WithGoals:
    """The base of what has levels with a goal."""

    levels: LevelBatch

    @property
    def family(self) -> Family:
        """The family of the levels."""
        return self.levels.family

    @property
    def goals(self) -> Cells:
        """int32 [B], the cells of the goal."""
        return self.levels.cells(self.family.goal)


@dataclasses.dataclass(frozen=True)
class FitContext(WithGoals):
    """What a steering method may use to fit an edit.

    Attributes:
        policy: whose goal is to be moved.
        levels: B fitting levels, goal and cue on one cell; none of them is an evaluation level.
        seed: of everything that the method draws.
        effort: fraction of its usual updates that a method with a training loop makes.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> context = gm.FitContext(agent.policy, agent.family.levels(seed=0, count=8, split="fitting"))
        >>> context.activations(context.levels, "stem").shape
        torch.Size([8, 16, 9, 9])
    """

    policy: NetworkPolicy
    levels: LevelBatch
    seed: int = 0
    effort: float = 1.0

    def activations(self, levels: LevelBatch, site: str) -> Tensor:
        """Return float32 [N, C, H, W], or [N, F]: the activation at a site before the first step of N levels."""
        return level_activations(self.policy, levels, site)

    def activations_with_and_without_goal(self, site: str) -> tuple[Tensor, Tensor]:
        """Return float32 [B, C, H, W], or [B, F], twice: at a site in the levels, and without their goal and cue."""
        return self.activations(self.levels, site), self.activations(self.levels.without_goal_and_cue(), site)

    def updates(self, usual: int) -> int:
        """Return the number of updates for a method that usually makes `usual`."""
        # At least one update, so that a trial run of little effort still runs the whole loop.
        return max(1, round(usual * self.effort))
