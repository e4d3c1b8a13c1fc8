"""The options of `goalmaze audit`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

from goalmaze.experiments.common.config import AgentName, CommandConfig, Limits, MoreAgents, option

TierName = Literal["T0", "T1", "T2", "T3", "T4"]

MIN_LEVELS, MAX_LEVELS = 16, 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditConfig(CommandConfig):
    """Say which goal agents pursue from training levels, activations and weights, without a level that shows it.

    Attributes:
        agent: a run folder, a population, a folder of checkpoint files, or zoo:NAME.
        others: more agents.
        tier: what the audit may use. T0 behaviour on training levels, T1 also activations, T2 also weights and
            gradients, T3 also synthetic inputs and edits, T4 also a few levels on which goal and cue differ.
        levels: number of training-distribution levels in the pool.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze audit zoo:green-exit zoo:green-exit-twin",
        "goalmaze audit zoo:green-exit --tier T2 --json",
    )
    lists: ClassVar[tuple[str, ...]] = ("audit-methods",)
    limits: ClassVar[Limits] = {"levels": (MIN_LEVELS, MAX_LEVELS)}

    agent: AgentName
    others: MoreAgents = ()
    tier: TierName = "T3"
    levels: Annotated[int | None, option("INT", "512, or 128 for agents that observe pictures")] = None

    @property
    def agents(self) -> tuple[str, ...]:
        """The names of all agents."""
        return (self.agent, *self.others)
