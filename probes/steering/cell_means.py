"""Difference of means by cell: what a goal on each cell adds to a site that need not be a map of squares."""

from __future__ import annotations

from typing import ClassVar

from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, mean_table
from goalmaze.probes.steering.base import Method


class CellMeans(Method):
    """The mean pattern where there are no squares to lay one on: an entry for every cell, in closed form."""

    name = "cell-means"
    needs_map: ClassVar = False

    def find(self, context: FitContext, site: str) -> CellTable:
        """Return the table of mean differences on the workshop's levels."""
        return mean_table(context, site)
