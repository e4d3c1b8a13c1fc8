"""The goal's own activation moved: what goal channels hold around the goal is exchanged with what the target's hold."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from goalmaze.agents.networks.base import Site
from goalmaze.agents.policies import Rows
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.channels import check_named, goal_channels
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.information import CELLS, Knowledge
from goalmaze.probes.squares import around, cells_of, put_around
from goalmaze.probes.steering.base import Method


@dataclasses.dataclass(frozen=True, eq=False)
class Exchange:
    """Exchanges what channels hold in the windows around the goal and the target of each level.

    Attributes:
        site: where.
        channels: which.
        goals: int32 [B], `ABSENT` where there is none and nothing is exchanged.
        targets: int32 [B].
        side: of the windows.
        strength: 0 changes nothing and 1 everything; between and beyond lie in proportion.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    channels: tuple[int, ...]
    goals: Cells
    targets: Cells
    side: int = 1
    strength: float = 1.0

    def check(self, site: Site) -> None:
        """Refuse a site without these channels or without squares."""
        check_named(site, self.channels)
        if not site.is_map:
            raise GoalmazeError(f"edit at site '{site.name}' moves squares, but the site is no map; choose one that is")

    def __call__(self, activation: Tensor, rows: Rows) -> Tensor:
        """Return activation [b, C, H, W] with the windows exchanged."""
        if self.strength == 0:
            return activation
        goals, targets = cells_of(self.goals, rows, self.site), cells_of(self.targets, rows, self.site)
        chosen = list(self.channels)
        held = activation[:, chosen]
        there = put_around(
            put_around(held, goals, around(held, targets, self.side), self.side),
            targets,
            around(held, goals, self.side),
            self.side,
        )
        moved = torch.where(torch.from_numpy(goals != ABSENT)[:, None, None, None], there, held)
        result = activation.clone()
        result[:, chosen] = moved if self.strength == 1 else held + self.strength * (moved - held)
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class TranslatedGoal:
    """Channels to be exchanged.

    Attributes:
        site: where.
        channels: which.
        side: of the windows.
    """

    uses: ClassVar[Knowledge] = CELLS

    site: str
    channels: tuple[int, ...]
    side: int = 1

    def edit(self, move: GoalMove, strength: float = 1.0) -> Exchange:
        """Return the exchange of what is around the goals with what is around the targets."""
        return Exchange(self.site, self.channels, move.goals, move.targets, self.side, strength)


class ChannelTranslation(Method):
    """Moves what the channels that a goal changes most hold in a 3×3 window around it."""

    name = "channel-translation"
    count: ClassVar = 8
    side: ClassVar = 3

    def find(self, context: FitContext, site: str) -> TranslatedGoal:
        """Return the channels, found on the workshop's levels."""
        present, absent = context.read(context.levels, site), context.read(context.levels.without_goal_and_cue(), site)
        return TranslatedGoal(site, goal_channels(present - absent, context.goals, self.count), self.side)
