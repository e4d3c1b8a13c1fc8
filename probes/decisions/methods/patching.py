"""`patching`: activations around the changed squares, from the counterfactual level (Vig et al., 2020).

The activation of a map at half depth is replaced within one square of what changes, and nowhere else. The method runs
the lower half of the network on the counterfactual itself, so it is no prediction of it but a test of where the
decision reads the change.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import ABSENT
from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.registry import register_decision_method
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.squares import read_window, write_window


@register_decision_method
class Patching(DecisionMethod):
    """The change of the margin where 3x3 windows come from another level."""

    name = "patching"
    runs_counterfactuals = True
    side: ClassVar = 3

    def refusal(self, study: Study) -> str:
        """Return why the method does not apply: the network has no map of the maze."""
        return "" if map_sites(study.decisions.policy.network) else "the network has no map of the maze"

    def attributions(self, study: Study) -> Floats:
        """Return the loss where the window around an element comes from the state without it."""
        rows, numbers = study.places
        cells = [study.elements[b][e].cell for b, e in zip(rows, numbers, strict=True)]
        squares = np.stack([np.array(cells, np.int64), np.full(len(cells), ABSENT)], axis=1)
        observations = study.decisions.observe(study.toggled, rows)
        return study.table(-self._changes(study, observations, rows, squares))

    def effects(self, study: Study) -> Floats:
        """Return the change of the margin where the windows come from the counterfactual."""
        cases = study.counterfactuals
        return self._changes(study, study.counterfactual_observations, cases.rows, cases.changed)

    def _changes(
        self, study: Study, observations: Tensor, rows: NDArray[np.int64], squares: NDArray[np.int64]
    ) -> Floats:
        """Return float64 [n], the change of the margin.

        Args:
            study: the study.
            observations: [n, ...], of the other levels.
            rows: int64 [n], the decision of each.
            squares: int64 [n, k], the middles of the windows.
        """
        decisions = study.decisions
        maps = map_sites(decisions.policy.network)
        site = maps[len(maps) // 2]
        own = decisions.observations[torch.from_numpy(rows)]
        source = decisions.activations(own, rows, site)
        other = decisions.activations(observations, rows, site)
        for cells in squares.astype(np.int32).T:
            source = write_window(source, cells, read_window(other, cells, self.side), self.side)
        after = decisions.margins_of(own, rows, [Patch(site, source=source)])
        return after - study.margins[rows]
