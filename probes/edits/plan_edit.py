"""Edits of a plan: directions of a probe of plans, added on the squares of a route that an agent is to take.

As in Bush et al., "Interpreting Emergent Planning in Model-Free Reinforcement Learning" (ICLR 2025), the edit adds to
each square that is still ahead on a route the direction of what the agent is to do there, and to the squares of another
route the direction of "never".
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import EditContext
from goalmaze.envs.actions import cell_steps
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.edits.base import AdditiveEdit, check_channels, check_rows, check_shape
from goalmaze.probes.information import AGENT, PATH, PATH_LABELS, WALLS, Facts
from goalmaze.probes.plans import NEVER_CLASS


@dataclasses.dataclass(frozen=True, eq=False)
class PlanEdit(AdditiveEdit):
    """Adds a direction of a probe to every square of a route that is still ahead, and "never" to other squares.

    At step t the agent is expected on cell t of the route. From there on, the squares at least `ahead` cells further
    are written.

    Attributes:
        directions: float32 [K, C], what is added to a square for each class.
        route: int32 [B, L], the cells of the route from the start on, padded with `ABSENT`.
        classes: int64 [B, L], the class that is written on each of them.
        avoided: int32 [B, M], the cells on which the class "never" is written; none where `ABSENT`.
        ahead: fewest cells between the expected cell of the agent and a square that is written; 0 writes its own too.
        kernel: float32 [F, C, k, k] of a convolution through which the written map goes to the site, or None. With the
            first layer of a network it turns a change of the observation into the change of that layer.
    """

    directions: Tensor = dataclasses.field(kw_only=True)
    route: Cells = dataclasses.field(kw_only=True)
    classes: NDArray[np.int64] = dataclasses.field(kw_only=True)
    avoided: Cells = dataclasses.field(kw_only=True)
    ahead: int = dataclasses.field(default=0, kw_only=True)
    kernel: Tensor | None = dataclasses.field(default=None, kw_only=True)

    @property
    def uses(self) -> Facts:
        """The route, which depends on the walls and on the agent's cell."""
        return frozenset({WALLS, AGENT, PATH, PATH_LABELS})

    def check(self, site: Site) -> None:
        """Refuse a site that is no map, or that has another number of channels."""
        channels = self.directions.shape[1] if self.kernel is None else len(self.kernel)
        check_channels(site, channels, needs_map=True)

    def addition(self, activation: Tensor, context: EditContext) -> Tensor:
        """Return what is added to the activation [b, C, H, W]."""
        check_rows(len(self.route), context, self.site)
        height, width = activation.shape[2:]
        written = self.written(context, height * width)
        # One row more for "nothing", which is class -1 and so the last.
        table = torch.cat([self.directions, torch.zeros_like(self.directions[:1])])
        squares = table[torch.from_numpy(written)].transpose(1, 2).reshape(len(context), -1, height, width)
        if self.kernel is not None:
            squares = torch.nn.functional.conv2d(squares, self.kernel, padding=self.kernel.shape[2] // 2)
        check_shape(squares.shape[1:], activation, self.site)
        return squares

    def written(self, context: EditContext, cells: int) -> NDArray[np.int64]:
        """Return int64 [b, cells], the class that is written on each square; -1 where nothing is written."""
        route, avoided = self.route[context.rows], self.avoided[context.rows]
        still_ahead = np.arange(route.shape[1])[None, :] >= context.steps[:, None] + self.ahead
        # A column more, into which everything is written that is to be written nowhere.
        result = np.full((len(route), cells + 1), -1, np.int64)
        rows = np.arange(len(route))[:, None]
        result[rows, np.where(avoided != ABSENT, avoided, cells)] = NEVER_CLASS
        result[rows, np.where(still_ahead & (route != ABSENT), route, cells)] = self.classes[context.rows]
        return result[:, :cells]


def entering_classes(route: Cells, width: int) -> NDArray[np.int64]:
    """Return int64 [B, L], for each cell of routes the class of the direction in which it is entered.

    The class of the first cell, which no step enters, is `NEVER_CLASS`.

    Args:
        route: int32 [B, L], neighbouring cells, padded with `ABSENT`.
        width: columns of the mazes.
    """
    result = np.full(route.shape, NEVER_CLASS, np.int64)
    for action, step in enumerate(cell_steps(width)):
        entered = (route[:, 1:] - route[:, :-1] == step) & (route[:, 1:] != ABSENT)
        result[:, 1:][entered] = 1 + action
    return result


def leaving_classes(route: Cells, width: int) -> NDArray[np.int64]:
    """Return int64 [B, L], for each cell of routes the class of the direction in which it is left.

    The last cell is not left: its class is that of staying, behind the actions. Arguments as `entering_classes`.
    """
    stays = 1 + len(cell_steps(width))
    entered = entering_classes(route, width)
    return np.concatenate([np.where(entered[:, 1:] == NEVER_CLASS, stays, entered[:, 1:]), entered[:, :1] + stays], 1)
