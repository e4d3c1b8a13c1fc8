"""Tables of goal cells for a memory: what an agent remembers of a goal on each cell, whatever the maze, by ridge.

The activation is explained by the goal's cell and, where asked, by the cell that the agent starts on. An edit adds the
entry of the target's cell and subtracts that of the goal's cell: constants that know two cells and nothing of the maze.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import RIDGE, ROW_COLUMN_RIDGE, CellTable, cell_design, goal_placements
from goalmaze.probes.edits.memory import activations_along

FREE = 1e-6
"""Ridge penalty on the mean of all activations, which is next to none."""


def fit_memory_table(context: FitContext, site: str, after: int = 1, *, with_start: bool = True) -> CellTable:
    """Return the table of goal cells at a site, as it is in a step of the agent's own episodes.

    Args:
        context: the policy and the fitting levels; each is played with goal and cue on some of its cells.
        site: the site, usually one of the memory.
        after: number of the step, 1 for the first.
        with_start: whether the cell that the agent starts on explains a part of the activation. It is no part of the
            table, whose entries then vary less with what the fitting levels happen to be.
    """
    height, width = context.levels.height, context.levels.width
    # In double precision: the small penalties would be lost in the rounding of the sums.
    design = cell_design(height, width).double()
    columns = 2 * design.shape[1] if with_start else design.shape[1]
    gram, moment, shape = torch.zeros(columns + 1, columns + 1).double(), torch.zeros(0), torch.Size()
    for goals, starts, activations in memory_samples(context, site, after):
        parts = [torch.ones(len(goals), 1).double(), design[torch.from_numpy(goals).long()]]
        parts += [design[torch.from_numpy(starts).long()]] if with_start else []
        rows, shape = torch.cat(parts, 1), activations.shape[1:]
        product = rows.T @ activations.flatten(1).double()
        gram, moment = gram + rows.T @ rows, product + moment if len(moment) else product
    penalty = torch.full((design.shape[1],), RIDGE).double()
    penalty[: height + width] *= ROW_COLUMN_RIDGE
    penalties = torch.cat([torch.tensor([FREE]).double(), *[penalty] * (2 if with_start else 1)])
    solution = torch.linalg.solve(gram + penalties.diag(), moment)
    # The first entry is the mean of all activations; behind it come the goal's row, column and cell.
    table = (design @ solution[1 : 1 + design.shape[1]]).float().reshape(-1, *shape)
    return CellTable(site, table, table, height, width, rectified=False)


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
