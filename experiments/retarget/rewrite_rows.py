"""The conditions of rewriting a memory, and the row of one of them."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Interval, Number, formatted
from goalmaze.experiments.retarget.task import TaskOutcomes

NONE, RANDOM, OTHER_MAZE, EDIT = "none", "random", "other-maze", "edit"
SWAP, REFERENCE = "memory-swap", "reference"
FLOOR_UNTRAINED, FLOOR_MEMORYLESS = "floor-untrained", "floor-memoryless"
STAY, OTHER_TARGET, BACK, RESTORED = "target-is-goal", "other-target", "there-and-back", "restored"
UNEDITED_UNTRAINED, UNEDITED_MEMORYLESS = "unedited-untrained", "unedited-memoryless"
ONCE, EVERY = "once", "every"


@dataclasses.dataclass(frozen=True)
class RewriteRow:
    """The result of one condition.

    Attributes:
        condition: `NONE`, no edit; `REFERENCE`, the first picture shows goal and cue at the target; `SWAP`, the memory
            of that level swapped in; `EDIT`; `RANDOM`, noise of the edit's norm; `OTHER_MAZE`, the edit of the next
            maze; `FLOOR_UNTRAINED` and `FLOOR_MEMORYLESS`, the method fitted anew to an untrained network and to an
            agent without memory. Of checks: these two without an edit; `STAY`, an edit whose target is the goal;
            `OTHER_TARGET`, one that moves the goal to the target of the next maze; `BACK`, an edit and its reversal;
            `RESTORED`, an edit and then the memory of an unedited agent.
        site: the site; None where nothing was edited.
        method: the method; None where none was fitted.
        steps: `ONCE` or `EVERY` step from then on; rows without an edit belong to `ONCE`.
        strength: factor on the edit, selected on fitting mazes; None where there is none.
        outcomes: whether the agent reached the target or the goal first.
        after: number of the step behind which the memory was rewritten.
    """

    condition: str
    site: str | None
    method: str | None
    steps: str
    strength: float | None
    outcomes: TaskOutcomes
    after: int

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        labels = {name: getattr(self, name) for name in ("condition", "site", "method", "steps", "after", "strength")}
        return labels | self.outcomes.json()

    def cells(self) -> list[str | Number | Interval]:
        """Return the row of a table, see `COLUMNS`."""
        overall = self.outcomes.overall
        return [
            self.condition,
            self.site or "",
            self.method or "",
            f"{self.steps}, {self.after}",
            "" if self.strength is None else f"{self.strength:g}",
            overall.other,
            formatted(overall.goal.value, ".2f"),
            formatted(overall.neither.value, ".2f"),
            self.outcomes.off_path.other,
        ]


COLUMNS = ["condition", "site", "method", "steps", "strength", "target", "goal", "neither", "target off path"]
"""Headers of a table of rows; `steps` names the step too."""
