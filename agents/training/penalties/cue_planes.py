"""Goal and cue in observations of planes: where they are, the observation without one of them, the steps towards it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import agent_cells
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.engines import make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View
from goalmaze.envs.solving import steps_nearer

MODE = "planes"
WALLS = 0
"""The plane of the walls."""


class CuePlanes:
    """The planes of goal and cue of a family.

    Args:
        family: the family.
        view: what draws its observations.

    Attributes:
        goal: indices of the planes on which the goal shows.
        cue: indices of the planes on which the cue shows.

    Raises:
        GoalmazeError: the observations are no planes of the whole maze, the cue shows on none, or both share a plane.
    """

    def __init__(self, family: Family, view: View) -> None:
        if view.spec.mode != MODE:
            raise GoalmazeError(f"penalties and gradient routing read observation mode {MODE}, not {view.spec.mode}")
        self._family, self._view = family, view
        self.goal, self.cue = (self._planes_of(name) for name in (family.goal, family.cue))
        if not self.cue or set(self.goal) & set(self.cue):
            raise GoalmazeError(
                f"the cue of {family.name} has no observation plane of its own, so no penalty reads it: choose "
                "a family such as GreenExit"
            )

    def _planes_of(self, name: str) -> list[int]:
        shown = next(one.shows_on for one in self._family.object_types if one.name == name)
        return [self._family.plane_names.index(plane) for plane in shown]

    def first_observations(self, levels: LevelBatch) -> Tensor:
        """Return uint8 [B, C, H, W], the observations before the first step of B levels."""
        out = self._view.buffer(len(levels))
        self._view.draw(make_engine(levels).state, out)
        return torch.from_numpy(out)

    def without(self, observations: Tensor, planes: list[int]) -> Tensor:
        """Return a copy of observations [b, C, H, W] in which some planes are empty."""
        result = observations.clone()
        result[:, planes] = 0
        return result

    def cells(self, observations: Tensor, planes: list[int]) -> Cells:
        """Return int32 [b], the first cell at which one of the planes shows something; `ABSENT` where none does."""
        shown = observations[:, planes].amax(dim=1).flatten(1)
        cells = torch.where(shown.amax(dim=1) > 0, shown.argmax(dim=1), ABSENT)
        return np.asarray(cells.to(torch.int32).cpu().numpy())

    def steps_towards(self, observations: Tensor, planes: list[int]) -> Tensor:
        """Return bool [b, A], the actions that lead the agent nearer to what the planes show; none where it is there.

        Args:
            observations: [b, C, H, W].
            planes: the planes of the goal or of the cue.
        """
        walls = observations[:, WALLS].bool().cpu().numpy()
        agents = agent_cells(observations).to(torch.int32).cpu().numpy()
        objects = np.full((len(walls), len(self._family.slots)), ABSENT, np.int32)
        levels = LevelBatch(walls, agents, objects, self._family)
        return torch.from_numpy(steps_nearer(levels, self.cells(observations, planes)))
