"""Tables of goal cells for a memory: what an agent remembers of a goal on each cell, whatever the maze, by ridge.

The activation is explained by the goal's cell and, where asked, by the cell that the agent starts on. An edit adds the
entry of the target's cell and subtracts that of the goal's cell: constants that know two cells and nothing of the maze.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import RIDGE, ROW_COLUMN_RIDGE, CellTable, cell_design, goal_placements
from goalmaze.probes.edits.memory import activations_along

FREE = 1e-6
"""Ridge penalty on the mean of all activations, which is next to none."""


@dataclasses.dataclass(frozen=True, eq=False)
class GoalMemories:
    """What an agent remembers after a step of its own episodes, with goal and cue on known cells.

    Attributes:
        context: the policy and the fitting levels; each is played with goal and cue on some of its cells.
        site: the site, usually one of the memory.
        after: number of the step, 1 for the first.
        goals: int32 [N], the goal's cells.
        starts: int32 [N], the cells that the agent started on.
        activations: float32 [N, ...], of the site in that step.
    """

    context: FitContext
    site: str
    after: int
    goals: Cells
    starts: Cells
    activations: Tensor

    @classmethod
    def gathered(cls, context: FitContext, site: str, after: int = 1) -> Self:
        """Return the memories of all fitting levels whose episodes are still under way.

        Raises:
            GoalmazeError: all episodes end before that step.
        """
        parts = list(memory_samples(context, site, after))
        if not parts:
            raise GoalmazeError(f"all episodes on the fitting levels end before step {after}: rewrite earlier")
        goals, starts, activations = zip(*parts, strict=True)
        return cls(context, site, after, np.concatenate(goals), np.concatenate(starts), torch.cat(activations))

    @property
    def size(self) -> tuple[int, int]:
        """Rows H and columns W of the mazes."""
        return self.context.levels.height, self.context.levels.width


def fit_memory_table(memories: GoalMemories, *, with_start: bool = True) -> CellTable:
    """Return the table of goal cells at a site, as it is in a step of the agent's own episodes.

    Args:
        memories: what the agent remembers.
        with_start: whether the cell that the agent starts on explains a part of the activation. It is no part of the
            table, whose entries then vary less with what the fitting levels happen to be.
    """
    height, width = memories.size
    # In double precision: the small penalties would be lost in the rounding of the sums.
    design = cell_design(height, width).double()
    parts = [torch.ones(len(memories.goals), 1).double(), design[torch.from_numpy(memories.goals).long()]]
    parts += [design[torch.from_numpy(memories.starts).long()]] if with_start else []
    rows = torch.cat(parts, 1)
    penalty = torch.full((design.shape[1],), RIDGE).double()
    penalty[: height + width] *= ROW_COLUMN_RIDGE
    penalties = torch.cat([torch.tensor([FREE]).double(), *[penalty] * (2 if with_start else 1)])
    moment = rows.T @ memories.activations.flatten(1).double()
    solution = torch.linalg.solve(rows.T @ rows + penalties.diag(), moment)
    # The first entry is the mean of all activations; behind it come the goal's row, column and cell.
    table = (design @ solution[1 : 1 + design.shape[1]]).float().reshape(-1, *memories.activations.shape[1:])
    return CellTable(memories.site, table, table, height, width, rectified=False)


def expected_memories(memories: GoalMemories, table: CellTable) -> Tensor:
    """Return float32 [H*W, ...], the memory to be expected with the goal on each cell, by a table of goal cells."""
    entries = table.at_target
    # The mean over the samples, so that the entries are differences from the mean memory.
    offset = entries[torch.from_numpy(memories.goals).long()].mean(0)
    return memories.activations.mean(0) + entries - offset


def memory_samples(context: FitContext, site: str, after: int) -> Iterator[tuple[Cells, Cells, Tensor]]:
    """Yield the goals' cells [n], the start cells [n] and the activations [n, ...] of levels still under way."""
    for some, placements in goal_placements(context):
        for cells in placements:
            has_goal = np.flatnonzero(cells != ABSENT)
            levels = some.levels.take(has_goal).with_goal_and_cue_at(cells[has_goal])
            actions, under_way = None, np.ones(len(levels), np.bool_)
            if after > 1:
                played = rollout(some.policy, levels, seed=some.seed)
                # Where all episodes are shorter, there is nothing to learn from and no action for the steps between.
                under_way = played.steps >= after
                actions = played.actions
                if not under_way.any():
                    continue
            activations = activations_along(some.policy, levels, site, after, actions)
            kept = torch.from_numpy(under_way)
            yield cells[has_goal][under_way], levels.start[under_way], activations[kept]
