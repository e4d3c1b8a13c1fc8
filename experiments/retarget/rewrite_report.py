"""What rewriting a memory has shown: one row for each condition, and its table."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.retarget.task import TaskOutcomes

NONE, RANDOM, OTHER_MAZE, EDIT, BACK = "none", "random", "other-maze", "edit", "there-and-back"
SWAP, REFERENCE = "memory-swap", "reference"
FLOOR_UNTRAINED, FLOOR_MEMORYLESS = "floor-untrained", "floor-memoryless"
UNEDITED_UNTRAINED, UNEDITED_MEMORYLESS = "unedited-untrained", "unedited-memoryless"
ONCE, EVERY = "once", "every"


@dataclasses.dataclass(frozen=True)
class RewriteRow:
    """The result of one condition.

    Attributes:
        condition: `NONE`, no edit; `REFERENCE`, the first picture shows goal and cue at the target; `SWAP`, the memory
            of that level swapped in; `EDIT`; `RANDOM`, noise of the edit's norm; `OTHER_MAZE`, the edit of the next
            maze; `BACK`, the edit and its reversal; `FLOOR_UNTRAINED` and `FLOOR_MEMORYLESS`, the method fitted anew to
            an untrained network and to an agent without memory; these two without an edit.
        site: the site; None where nothing was edited.
        method: the method; None where none was fitted.
        steps: `ONCE` or `EVERY`; None where nothing was edited.
        strength: factor on the edit, selected on fitting mazes; None where there is none.
        outcomes: whether the agent reached the target or the goal first.
    """

    condition: str
    site: str | None
    method: str | None
    steps: str | None
    strength: float | None
    outcomes: TaskOutcomes

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        labels = {name: getattr(self, name) for name in ("condition", "site", "method", "steps", "strength")}
        return labels | self.outcomes.json()


@dataclasses.dataclass(frozen=True)
class RewriteReport(FittedResult):
    """All conditions on the same mazes.

    Attributes:
        rows: the conditions.
        after: number of the step behind which the memory was rewritten.
        chosen: site and method of the edit that did best on fitting mazes.
    """

    rows: tuple[RewriteRow, ...]
    after: int
    chosen: tuple[str, str]

    def row(self, condition: str, steps: str | None = None) -> RewriteRow:
        """Return the row of a condition; that of the chosen edit where there are several."""
        rows = [one for one in self.rows if one.condition == condition and (steps is None or one.steps == steps)]
        return next((one for one in rows if (one.site, one.method) == self.chosen), rows[0])

    @property
    def of_reference(self) -> float:
        """The rate of targets off the path that the chosen edit reaches, over that of the reference."""
        edit, reference = (self.row(name).outcomes.off_path.other.value for name in (EDIT, REFERENCE))
        return edit / reference if reference else float("nan")

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            "after": self.after,
            "chosen": {"site": self.chosen[0], "method": self.chosen[1]},
            "of_reference": number(self.of_reference),
            "rows": [row.json() for row in self.rows],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table, and what its columns mean."""
        header = self.header
        rows = [
            [
                row.condition,
                row.site or "",
                row.method or "",
                row.steps or "",
                "" if row.strength is None else f"{row.strength:g}",
                row.outcomes.overall.other,
                formatted(row.outcomes.overall.goal.value, ".2f"),
                formatted(row.outcomes.overall.neither.value, ".2f"),
                row.outcomes.off_path.other,
            ]
            for row in self.rows
        ]
        columns = ["condition", "site", "method", "steps", "strength", "target", "goal", "neither", "target off path"]
        return [
            f"{header.agent} on {header.family} {header.size}x{header.size}: its memory rewritten after step "
            f"{self.after}, in {self.rows[0].outcomes.overall.other.levels} held-out mazes\n"
            "rate of mazes on which the target or the goal was reached first; 95 % intervals over mazes\n"
            f"{self.overlap.sentence}",
            Table(columns, rows),
            "target off path: only mazes where the goal lies on no shortest path to the target\n"
            "reference: the first picture shows goal and cue at the target; memory-swap: the memory of that level\n"
            f"chosen on fitting mazes: {self.chosen[1]} at {self.chosen[0]}, once: "
            f"{self.of_reference:.2f} of the reference off the path",
        ]
