"""The choice of a learning rate for each width, at the smallest budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted


@dataclasses.dataclass(frozen=True)
class RateRow:
    """Networks of one width that were trained at one learning rate.

    Attributes:
        width: channels.
        learning_rate: at the start of training.
        steps: environment steps taken.
        regrets: for each seed, the normalised regret at the end.
    """

    width: int
    learning_rate: float
    steps: int
    regrets: tuple[float, ...]

    @property
    def regret(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.regrets))


@dataclasses.dataclass(frozen=True)
class RateChoice(Result):
    """The rates that were tried, and the best one of each width.

    Attributes:
        rows: one for each width and rate.
    """

    rows: tuple[RateRow, ...]

    @property
    def chosen(self) -> dict[int, float]:
        """Width → the rate with the lowest mean regret."""
        ordered = sorted(self.rows, key=lambda row: (row.width, row.regret))
        best: dict[int, float] = {}
        for row in ordered:
            best.setdefault(row.width, row.learning_rate)
        return best

    def json(self) -> JsonObject:
        """Return the rows and the choice as plain data."""
        rows = [dataclasses.asdict(row) | {"regret": row.regret} for row in self.rows]
        return {"rows": rows, "chosen": {str(width): rate for width, rate in self.chosen.items()}}

    def blocks(self) -> Sequence[str | Table]:
        """Return a row for each width with the regret at each rate."""
        rates = sorted({row.learning_rate for row in self.rows})
        regret = {(row.width, row.learning_rate): row.regret for row in self.rows}
        rows = [
            [width, *(formatted(regret.get((width, rate)), ".3f") for rate in rates), f"{best:g}"]
            for width, best in self.chosen.items()
        ]
        headers = ["width", *(f"rate {one:g}" for one in rates), "chosen"]
        steps, seeds = ({getattr(row, name) for row in self.rows} for name in ("steps", "regrets"))
        counts = sorted({len(one) for one in seeds})
        about = f"mean regret after {', '.join(f'{one:,}' for one in sorted(steps))} steps over"
        return [f"{about} {', '.join(map(str, counts))} seeds", Table(headers, rows, "learning rate of each width")]
