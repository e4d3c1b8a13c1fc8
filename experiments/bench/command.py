"""How fast are the parts on this machine?"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import torch

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.common.tables import table


@dataclasses.dataclass(frozen=True)
class BenchReport:
    """Measurements as rows with the same keys, and the threads they were made with."""

    name: str
    rows: tuple[dict[str, Any], ...]

    def json(self) -> dict[str, Any]:
        """Return the rows as plain data."""
        return {"bench": self.name, "torch_threads": torch.get_num_threads(), "rows": list(self.rows)}

    def text(self) -> str:
        """Return an aligned table."""
        columns = list(self.rows[0])
        return table(columns, [[_cell(row[column]) for column in columns] for row in self.rows])


def _cell(value: object) -> object:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return value


def run(config: BenchConfig) -> BenchReport:
    """Measure what the configuration names."""
    keep_large_blocks()
    rows = importlib.import_module(f"goalmaze.experiments.bench.{config.name}").measure(config.full)
    return BenchReport(config.name, tuple(rows))
