"""What rewriting a memory has shown: one row for each condition, and its table."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table, number
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.retarget.memory_units import MemoryUnits
from goalmaze.experiments.retarget.rewrite_checks import Restoration
from goalmaze.experiments.retarget.rewrite_rows import COLUMNS, EDIT, REFERENCE, RewriteRow


@dataclasses.dataclass(frozen=True)
class RewriteReport(FittedResult):
    """All conditions on the same mazes.

    Attributes:
        rows: the conditions; those of later steps, on the mazes still under way, behind all others.
        after: number of the step behind which the memory was rewritten.
        chosen: site and method of the edit that did best on fitting mazes.
        checks: floors without an edit, edits whose target is the goal, and edits that write another target.
        restoration: whether the chosen edit can be undone; of the benchmark alone.
        units: how few units carry the goal; of the benchmark alone.
    """

    rows: tuple[RewriteRow, ...]
    after: int
    chosen: tuple[str, str]
    checks: tuple[RewriteRow, ...]
    restoration: Restoration | None = None
    units: MemoryUnits | None = None

    def row(self, condition: str, steps: str | None = None, after: int | None = None) -> RewriteRow:
        """Return the row of a condition; that of the chosen edit where there are several.

        Args:
            condition: the condition.
            steps: `ONCE` or `EVERY`; the first one where not given.
            after: number of the step; the report's own where not given.
        """
        rows = [
            one
            for one in (*self.rows, *self.checks)
            if one.condition == condition
            and (steps is None or one.steps == steps)
            and one.after == (self.after if after is None else after)
        ]
        return next((one for one in rows if (one.site, one.method) == self.chosen), rows[0])

    def of_reference_at(self, after: int) -> float:
        """Return the rate of targets off the path that an edit behind a step reaches, over that of its reference."""
        edit, reference = (self.row(name, after=after).outcomes.off_path.other.value for name in (EDIT, REFERENCE))
        return edit / reference if reference else float("nan")

    @property
    def of_reference(self) -> float:
        """The rate of targets off the path that the chosen edit reaches, over that of the reference."""
        return self.of_reference_at(self.after)

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            "after": self.after,
            "chosen": {"site": self.chosen[0], "method": self.chosen[1]},
            "of_reference": number(self.of_reference),
            "rows": [row.json() for row in self.rows],
            "checks": [row.json() for row in self.checks],
            "restoration": None if self.restoration is None else self.restoration.json(),
            "units": None if self.units is None else self.units.json(),
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table, what its columns mean, and the checks."""
        header = self.header
        levels = self.rows[0].outcomes.overall.other.levels
        blocks: list[str | Table] = [
            f"{header.agent} on {header.family} {header.size}x{header.size}: its memory rewritten after step "
            f"{self.after}, in {levels} held-out mazes\n"
            "rate of mazes on which the target or the goal was reached first; 95 % intervals over mazes\n"
            f"{self.overlap.sentence}",
            Table(COLUMNS, [row.cells() for row in self.rows]),
            "target off path: only mazes where the goal lies on no shortest path to the target\n"
            "reference: the first picture shows goal and cue at the target; memory-swap: the memory of that level\n"
            f"chosen on fitting mazes: {self.chosen[1]} at {self.chosen[0]}, once: "
            f"{self.of_reference:.2f} of the reference off the path",
            Table(COLUMNS, [row.cells() for row in self.checks]),
        ]
        for part in (self.restoration, self.units):
            blocks += [] if part is None else part.blocks()
        return blocks
