"""What `goalmaze retarget` returns with --benchmark, --auto, --ledger or --figures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.retarget.benchmark import Benchmark
from goalmaze.experiments.retarget.ledger import Ledger
from goalmaze.experiments.retarget.search import Search
from goalmaze.experiments.retarget.task import TaskLevels


@dataclasses.dataclass(frozen=True)
class SteeringReport(FittedResult):
    """The search, benchmark and ledger of one agent, each None where it was not run.

    Attributes:
        drawn: what the mazes are, and what edits move.
        search: the search for an edit.
        benchmark: of the edits named, or of the edit that the search chose.
        ledger: of all methods.
        pictures: files that were drawn.
    """

    drawn: TaskLevels
    search: Search | None = None
    benchmark: Benchmark | None = None
    ledger: Ledger | None = None
    pictures: tuple[Path, ...] = ()

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        data = {**self.header_json(), **self.drawn.json()}
        if self.search is not None:
            data["search"] = self.search.json()
        for part in (self.benchmark, self.ledger):
            data |= {} if part is None else part.json()
        return data | {"pictures": [str(path) for path in self.pictures]}

    def blocks(self) -> list[str | Table]:
        """Return a heading, the blocks of all parts, and the files that were drawn."""
        header = self.header
        blocks: list[str | Table] = [
            f"{header.agent} on {header.family} {header.size}x{header.size}, sent to a random cell of each held-out "
            f"maze{self.drawn.text(self.drawn.moved)}; 95 % intervals over mazes\n{self.overlap.sentence}"
        ]
        for part in (self.search, self.benchmark, self.ledger):
            blocks += [] if part is None else part.blocks()
        if self.pictures:
            blocks.append("\n".join(f"picture: {path}" for path in self.pictures))
        return blocks
