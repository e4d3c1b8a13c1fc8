"""`goalmaze bench`: runs one of the benchmarks and returns its rows."""

from __future__ import annotations

import dataclasses
import importlib
import itertools

import torch

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.config import BenchConfig
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table


@dataclasses.dataclass(frozen=True)
class BenchReport(Result):
    """The rows of one benchmark.

    Attributes:
        name: the benchmark.
        rows: the measurements; those with the same keys follow each other.
    """

    name: str
    rows: tuple[JsonObject, ...]

    def json(self) -> JsonObject:
        """Return the rows as plain data, with the number of torch's threads."""
        return {"bench": self.name, "torch_threads": torch.get_num_threads(), "rows": list(self.rows)}

    def blocks(self) -> list[str | Table]:
        """Return the rows as tables, one for each set of keys."""
        return [
            Table(list(columns), [[_rounded(row[column]) for column in columns] for row in rows])
            for columns, rows in itertools.groupby(self.rows, tuple)
        ]


def _rounded(value: object) -> object:
    """Return a number rounded to three significant digits, or to a whole number from 100 on."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return round(value) if value >= 100 else float(f"{value:.3g}")
    return value


def run(config: BenchConfig) -> BenchReport:
    """Run the benchmark that the options name.

    Raises:
        GoalmazeError: it needs a package that is not installed.
    """
    # The setting of the allocator that trainings and evaluations run with.
    keep_large_blocks()
    measure = importlib.import_module(f"goalmaze.experiments.bench.{config.module}").measure
    rows = measure(config.full, config.device) if config.name == "population" else measure(config.full)
    return BenchReport(config.module, tuple(rows))
