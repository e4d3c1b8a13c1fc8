"""The options of `goalmaze report`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, DeviceConfig, EvaluationConfig, MoreAgents, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportConfig(EvaluationConfig, DeviceConfig):
    """Write all results about the behaviour of agents into one self-contained HTML file.

    Attributes:
        agent: a run folder or zoo:NAME.
        others: more agents; those of one family and size are evaluated on the same levels and compared.
        out: the file to write, ending in .html.
        dials: the family parameters that the shift grid varies: NAME, or NAME=VALUE,VALUE with the values to try.
        greedy: take the likeliest action instead of sampling.
        levels: number of held-out evaluation levels a condition.
        page: address of a page of `goalmaze site` that drawings link to, as seen from the report.
    """

    agent: AgentName
    others: MoreAgents = ()
    out: Path
    dials: Annotated[tuple[str, ...], option("[DIAL [DIAL ...]]", "braid and size")] = ()
    greedy: bool = False
    levels: int = 256
    page: Annotated[str, option("ADDRESS", "no links")] = ""

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze report zoo:green-exit zoo:green-exit-twin --out report.html",
        "goalmaze report zoo:green-exit --dials braid=0,0.5 salience --out report.html",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels < 2:
            raise GoalmazeError(f"--levels is {self.levels}: a report needs 2 levels or more")
        if self.out.suffix.lower() not in (".html", ".htm"):
            raise GoalmazeError(f"--out {self.out}: the report is an HTML file; its name must end in .html")

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of all agents."""
        return (self.agent, *self.others)
