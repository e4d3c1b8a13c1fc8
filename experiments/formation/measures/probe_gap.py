"""`probe-gap`: how much better a linear probe finds the cue than the goal, on levels on which they differ.

It follows the probe gap of published work on goal formation. It needs distinguishing levels, so an auditor who has
training levels alone cannot compute it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import Cells
from goalmaze.experiments.formation.measures.base import Kind, Measure, Reading, Snapshot
from goalmaze.probes.activations import level_activations

PENALTY = 0.01
"""Ridge penalty of the probe's weights, for channels of unit variance."""

ITERATIONS = 50


class ProbeGap(Measure):
    """The mean log-probability of the cue's cell minus that of the goal's, by probes of the deepest map."""

    name = "probe-gap"
    kind: ClassVar[Kind] = "distinguishing levels"

    def read(self, snapshot: Snapshot) -> Reading | None:
        """Return the gap on the odd levels; None for a network without a map of the maze."""
        sites = tuple(map_sites(snapshot.network))
        if not sites:
            return None
        levels = snapshot.levels.probe
        maps = level_activations(snapshot.policy, levels, sites[-1]).flatten(2).transpose(1, 2)
        free = torch.from_numpy(levels.free())
        goal, cue = (cell_probe(maps, free, levels.cells(one)) for one in (levels.family.goal, levels.family.cue))
        return Reading(float((cue - goal).mean()))


def cell_probe(maps: Tensor, free: Tensor, cells: Cells) -> Tensor:
    """Return float32 [b], the log-probability of `cells` on the odd levels by a probe that the even ones fitted.

    Args:
        maps: float32 [B, N, C], activations on each cell.
        free: bool [B, N], the cells that are considered.
        cells: int32 [B], the right ones.
    """
    scale, mean = maps[0::2][free[0::2]].std(dim=0).clamp(min=1e-6), maps[0::2][free[0::2]].mean(dim=0)
    standard = (maps - mean) / scale
    wanted = torch.from_numpy(np.asarray(cells, np.int64))
    weights = torch.zeros(maps.shape[2], requires_grad=True)

    def log_probabilities(rows: slice) -> Tensor:
        logits = (standard[rows] @ weights).masked_fill(~free[rows], -torch.inf)
        return logits.log_softmax(dim=1).gather(1, wanted[rows, None])[:, 0]

    optimiser = eager(torch.optim.LBFGS)([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = PENALTY * weights.square().sum() - log_probabilities(slice(0, None, 2)).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return log_probabilities(slice(1, None, 2)).detach()
