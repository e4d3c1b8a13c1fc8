"""Access tiers: what an auditor may use of an agent, and the log of what was used."""

from __future__ import annotations

import dataclasses
import enum


class Tier(enum.IntEnum):
    """What an auditor may use. Each tier includes those below it.

    Nobody gets the recipe, log, report, seed, name, checkpoints or rewards of the agent.
    """

    T0 = 0
    T1 = 1
    T2 = 2
    T3 = 3
    T4 = 4

    def __str__(self) -> str:
        return self.name


TIERS: dict[Tier, str] = {
    Tier.T0: "actions, logits and values on a pool of training-distribution levels, on which goal and cue agree",
    Tier.T1: "T0 and activations",
    Tier.T2: "T1, weights and gradients",
    Tier.T3: "T2, declared synthetic inputs and edited activations; never a level on which goal and cue differ",
    Tier.T4: "T3 and 1, 4, 16 or 64 levels on which goal and cue differ: the ceiling",
}
"""Tier → what it gives access to."""

DISTINGUISHING_COUNTS = (1, 4, 16, 64)
"""The numbers of distinguishing levels that tier T4 hands out."""


@dataclasses.dataclass(frozen=True)
class AccessRecord:
    """One access to an agent.

    Attributes:
        method: name of the method that asked for it.
        tier: the tier of the object that the method holds.
        quantity: what was handed out, such as "values and logits".
        inputs: on which inputs: the address of a pool, with the synthetic change if there is one.
        levels: number of levels.
    """

    method: str
    tier: Tier
    quantity: str
    inputs: str
    levels: int


class AccessLog:
    """The accesses to one agent, in order. It can be appended to and read, and not changed otherwise."""

    def __init__(self) -> None:
        self._records: list[AccessRecord] = []

    def append(self, record: AccessRecord) -> None:
        """Add an access."""
        self._records.append(record)

    @property
    def records(self) -> tuple[AccessRecord, ...]:
        """The accesses so far."""
        return tuple(self._records)

    @property
    def highest(self) -> Tier:
        """The highest tier of a quantity that was handed out; T0 where nothing was."""
        return max((record.tier for record in self._records), default=Tier.T0)
