"""Histograms in text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from goalmaze.experiments.common.tables import Table

WIDTHS = (0.01, 0.02, 0.05, 0.1)
"""Widths of bins to choose from."""

MAX_BINS, MAX_BAR = 12, 50
"""Most bins of a histogram, and most characters of a bar."""

BLOCK = "█"


def histogram_bounds(values: Sequence[float], width: float | None = None) -> list[float]:
    """Return the ascending bounds of bins of one width from 0 to 1 that hold all values.

    Args:
        values: rates from 0 to 1, at least one.
        width: of a bin; where None, the smallest of `WIDTHS` that needs at most `MAX_BINS` bins.
    """
    low, high = min(values), max(values)
    for candidate in WIDTHS if width is None else (width,):
        # A tolerance, because 0.3 / 0.1 is less than 3 in floating point. A value of 1 belongs to the last bin.
        first = math.floor(low / candidate + 1e-9)
        last = min(math.floor(high / candidate + 1e-9) + 1, round(1 / candidate))
        first = min(first, last - 1)
        if last - first <= MAX_BINS or candidate == WIDTHS[-1]:
            break
    return [round(bound * candidate, 4) for bound in range(first, last + 1)]


def histogram(values: Sequence[float], name: str, bounds: Sequence[float] | None = None) -> Table:
    """Return a table with a row for each bin: its bounds, the number of agents in it, and a bar of that length.

    A bar has one block for each agent; all bars are scaled where one would be longer than `MAX_BAR`.

    Args:
        values: rates from 0 to 1; NaN is left out.
        name: of the rates.
        bounds: of the bins; chosen by the values where not given.
    """
    present = [value for value in values if not math.isnan(value)]
    if not present:
        return Table([name, "agents"], [])
    edges = histogram_bounds(present) if bounds is None else bounds
    # Values on a bound belong to the bin above, also where rounding has put them slightly below.
    counts, _ = np.histogram(np.minimum(np.array(present) + 1e-9, edges[-1]), edges)
    scale = min(1.0, MAX_BAR / counts.max())
    rows = [
        [f"{low:.2f} to {high:.2f}", int(count), BLOCK * max(round(count * scale), int(count > 0))]
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return Table([name, "agents", ""], rows)
