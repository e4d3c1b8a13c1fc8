"""What a method that is fitted may look at: a policy, its family, and fitting levels."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.probes.activations import read_activations


@dataclasses.dataclass(frozen=True)
class FitContext:
    """What a method may look at to find what to write.

    Attributes:
        policy: whose goal is sought.
        levels: mazes to learn from, goal and cue on one cell, kept apart from all mazes that judge.
        seed: of anything drawn.
        effort: how long a method that learns may do so, as a share of its usual updates.
    """

    policy: NetworkPolicy
    levels: LevelBatch
    seed: int = 0
    effort: float = 1.0

    @property
    def family(self) -> Family:
        """The family of the levels."""
        return self.levels.family

    @property
    def goals(self) -> Cells:
        """int32 [B], the cells of the goal."""
        return self.levels.cells(self.family.goal)

    def read(self, levels: LevelBatch, site: str) -> Tensor:
        """Return float32 [B, ...], [B, C, H, W] for a map, what the site holds before the first step."""
        return read_activations(self.policy.network, observations_of(self.policy, levels), [site])[site]

    def updates(self, usual: int) -> int:
        """Return how many updates a method that usually makes `usual` may make."""
        return max(1, round(usual * self.effort))
