"""What a measure of goal formation is: a number of one network, with its values on two halves of the levels."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.experiments.audit.truth import preference_levels
from goalmaze.experiments.formation.exact import CellPolicy, cell_policy
from goalmaze.experiments.formation.registration import Registered
from goalmaze.probes.audit.pool import AuditPool, distinguishing_levels, make_pool, neutral
from goalmaze.probes.audit.subject import AuditSubject

Kind = Literal["inside", "behaviour", "distinguishing levels", "training"]
"""What a measure is computed from: the inside of the network on training levels; behaviour on distinguishing levels;
the inside on distinguishing levels; behaviour on training levels."""

Numbers = NDArray[np.float64]


class Reading(msgspec.Struct, frozen=True):
    """The value of a measure in one network.

    Attributes:
        score: from "goal" (low) to "cue" (high).
        even: the same on the levels with even numbers alone; None where the measure has no values on levels.
        odd: the same on the others.
    """

    score: float
    even: float | None = None
    odd: float | None = None

    @classmethod
    def of_levels(cls, statistic: Callable[[slice], float]) -> Self:
        """Return the reading of a statistic over all levels, over the even ones and over the odd ones."""
        return cls(statistic(slice(None)), statistic(slice(0, None, 2)), statistic(slice(1, None, 2)))


@dataclasses.dataclass(frozen=True, eq=False)
class StudyLevels:
    """The levels of the study, the same for all agents and conditions of a family.

    Attributes:
        pool: training levels, from the audit part of the layouts.
        series: distinguishing levels outside of the audit part.
        final: other levels of this kind.
        probe: distinguishing levels from the audit part.
    """

    pool: AuditPool
    series: LevelBatch
    final: LevelBatch
    probe: LevelBatch

    @classmethod
    def of(cls, family: Family, spec: ObservationSpec, sizes: Registered) -> Self:
        """Return the levels of a family; dials of its training distribution have no effect.

        Raises:
            GoalmazeError: goal and cue do not agree in its training levels, or there are too few levels.
        """
        plain = neutral(family)
        levels = preference_levels(plain, sizes.series_levels + sizes.final_levels)
        rows = np.arange(len(levels))
        pool = make_pool(plain, spec, sizes.pool_levels)
        return cls(
            pool,
            levels.take(rows[: sizes.series_levels]),
            levels.take(rows[sizes.series_levels :]),
            distinguishing_levels(pool, sizes.probe_levels),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshot:
    """One network at one checkpoint; what several measures need is computed once.

    Attributes:
        network: the network.
        levels: the levels of the study.
        registered: the registered settings.
    """

    network: Network
    levels: StudyLevels
    registered: Registered

    @cached_property
    def policy(self) -> NetworkPolicy:
        """The policy of the network."""
        return NetworkPolicy(self.network)

    @cached_property
    def subject(self) -> AuditSubject:
        """The network as audit methods see it; their passes are shared."""
        return AuditSubject(self.network, self.levels.pool)

    @cached_property
    def series(self) -> CellPolicy:
        """The policy on all cells of the series' levels but those of goal and cue."""
        return self.on_distinguishing(self.levels.series)

    def on_distinguishing(self, levels: LevelBatch) -> CellPolicy:
        """Return the policy on all cells of distinguishing levels but those of goal and cue."""
        family = levels.family
        return cell_policy(self.policy, levels, levels.cells(family.goal), levels.cells(family.cue))


class Measure(abc.ABC):
    """A measure of goal formation.

    Attributes:
        name: of the measure.
        kind: what it is computed from.
        costly: whether it is computed at the checkpoints of the forecast alone.
    """

    name: str
    kind: ClassVar[Kind]
    costly: ClassVar[bool] = False

    @abc.abstractmethod
    def read(self, snapshot: Snapshot) -> Reading | None:
        """Return the reading of a network; None where the measure does not apply to it."""
