"""The options of `goalmaze card` and `goalmaze card verify`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import AgentName, CommandConfig, option

SUFFIXES = (".html", ".md", ".json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardConfig(CommandConfig):
    """Write the audit card of an agent: what was measured, how, and whether it passes the marks of a policy.

    Attributes:
        agent: a run folder, a checkpoint file or zoo:NAME.
        out: the file: .html, .md or .json. All three hold the same data and can be verified.
        policy: a file of pass marks, see docs/cards.md.
        auditor: who makes the card.
        page: address of a page of `goalmaze site` in which the card opens a level, as seen from the card.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze card zoo:green-exit --out card.html",
        "goalmaze card verify card.html",
    )

    agent: AgentName
    out: Path
    policy: Annotated[Path | None, option("FILE", "the policy of the package")] = None
    auditor: str = "not named"
    page: Annotated[str, option("ADDRESS", "no link")] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.out.suffix not in SUFFIXES:
            raise GoalmazeError(f"--out {self.out}: choose a name that ends in {', '.join(SUFFIXES)}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardVerifyConfig(CommandConfig):
    """Measure every number of a card again and compare it; the exit code is not 0 where one differs.

    Attributes:
        card: the card: .html, .md or .json.
        agent: where the agent is, if not where the card says.
    """

    examples: ClassVar[tuple[str, ...]] = ("goalmaze card verify card.html --agent agent.safetensors",)

    card: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CARD")]
    agent: Annotated[str | None, option("AGENT", "the agent that the card names")] = None
