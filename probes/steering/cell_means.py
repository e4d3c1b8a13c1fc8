"""`cell-means`: the mean difference that a goal on each cell makes, for sites that are not maps of squares.

The counterpart of the mean pattern where no pattern can be placed: one entry a cell, by ridge regression on row, column
and cell. Closed form. Table: [H*W, ...]. The edit uses the goal's and the target's cell.
"""

from __future__ import annotations

from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, fit_cell_table
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import register_method


@register_method
class CellMeansMethod(SteeringMethod):
    """A table of mean differences, one for each cell."""

    name = "cell-means"
    needs_map: ClassVar = False

    def fit(self, context: FitContext, site: str) -> CellTable:
        """Return the table of mean differences on the fitting levels."""
        return fit_cell_table(context, site)
