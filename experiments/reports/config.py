"""The options of `goalmaze reports`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, EvaluationConfig, MoreAgents


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig(EvaluationConfig):
    """Write all that behaviour tells of one or several agents into one self-contained HTML file.

    Attributes:
        agent: a run folder or zoo:NAME.
        others: further agents; those of one family and size are judged on the same levels, the others by themselves.
        out: the file to write, ending in .html.
        dials: the dials of the shift grid, such as salience, or braid=0,0.5 with the values to try; braid and size
            where not given.
        greedy: take the likeliest action instead of sampling.
        levels: how many held-out levels judge, under every condition.
    """

    agent: AgentName
    others: MoreAgents = ()
    out: Path
    dials: tuple[str, ...] = ()
    greedy: bool = False
    levels: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2:
            raise GoalmazeError(f"--levels is {self.levels}: a report needs 2 levels or more")
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise GoalmazeError(f"--out {self.out}: the report is an HTML file; let its name end in .html")

    @property
    def agents(self) -> tuple[str, ...]:
        """All agents."""
        return (self.agent, *self.others)
