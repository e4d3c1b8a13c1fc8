"""Results as text: aligned tables and plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

from goalmaze.experiments.statistics.intervals import Rate


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned table; the first column to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join(
        [lines[0].rstrip(), "  ".join("─" * width for width in widths), *(line.rstrip() for line in lines[1:])]
    )


def number(value: float, digits: int = 4) -> float | None:
    """Return a number for JSON, rounded; None where it is not a number, which JSON cannot say."""
    return None if math.isnan(value) else round(value, digits)


def interval(share: Rate) -> dict[str, float | int | None]:
    """Return low and high end and number of levels of a rate, for JSON."""
    return {"low": number(share.low), "high": number(share.high), "levels": share.levels}
