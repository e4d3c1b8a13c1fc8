"""The subject of an audit: one class a tier, each of which hands out what the tier allows and records it.

A method receives the object of the tier that it declares. What the tier does not include has no attribute there: a
method of tier T1 that asks for gradients is an error of the type checker, and an `AttributeError` at run time. A
subject is made from a network and a pool alone, so nothing about its training can be reached through it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import Rows
from goalmaze.agents.rollout import Trajectory
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import Activations
from goalmaze.probes.audit.passes import Head, Outputs, Passes
from goalmaze.probes.audit.pool import UNCHANGED, AuditPool, Scene
from goalmaze.probes.audit.tiers import DISTINGUISHING_COUNTS, AccessLog, AccessRecord, Tier
from goalmaze.probes.edits.base import Edit

PLAYED = 128
"""Levels of the pool on which episodes are played at most."""

FEW_OF, LEAST_FEW = 4, 16
"""Several gradients a level, and edited outputs, are handed out for one level in this many, and for this many at least:
audits are to be quick."""


@dataclasses.dataclass(frozen=True, eq=False)
class Episodes:
    """What an agent did in B episodes, without rewards.

    Attributes:
        levels: the B levels.
        cells: int32 [T+1, B], the agent's cells.
        actions: int8 [T, B], -1 after the end.
        steps: int32 [B], lengths of the episodes in steps.
        completed: bool [B], whether the episode ended before the time limit.
    """

    levels: LevelBatch
    cells: Cells
    actions: NDArray[np.int8]
    steps: Cells
    completed: Bools

    @classmethod
    def of(cls, trajectory: Trajectory, count: int) -> Episodes:
        """Return the first `count` episodes of a trajectory without their rewards."""
        return cls(
            trajectory.levels.take(np.arange(count)),
            trajectory.agent[:, :count],
            trajectory.actions[:, :count],
            trajectory.steps[:count],
            trajectory.terminated[:count],
        )


class T0Access:
    """Tier T0: actions, logits and values on the pool.

    Attributes:
        pool: the pool. Its observations depend on no network and are not an access.
    """

    __slots__ = ("_log", "_method", "_passes", "pool")

    def __init__(self, passes: Passes, log: AccessLog, method: str) -> None:
        self._passes, self._log, self._method = passes, log, method
        self.pool = passes.pool

    def outputs(self) -> Outputs:
        """Return logits and values on the pool's first observations."""
        self._note(Tier.T0, "logits and values")
        return self._passes.outputs(UNCHANGED)

    def play(self) -> Episodes:
        """Return episodes on the pool, on its first `PLAYED` levels at most."""
        count = min(PLAYED, len(self.pool.levels))
        self._note(Tier.T0, "actions of episodes", levels=count)
        return Episodes.of(self._passes.play(count), count)

    @property
    def few(self) -> int:
        """The number b of levels for which many gradients, or many edited outputs, are handed out."""
        levels = len(self.pool.levels)
        return min(levels, max(LEAST_FEW, levels // FEW_OF))

    def _note(self, tier: Tier, quantity: str, scene: Scene = UNCHANGED, levels: int | None = None) -> None:
        pool = self.pool
        inputs = pool.address if scene == UNCHANGED else f"{pool.address}: {scene}"
        count = len(pool.levels) if levels is None else levels
        self._log.append(AccessRecord(self._method, tier, quantity, inputs, count))


class T1Access(T0Access):
    """Tier T1: also activations on the pool."""

    __slots__ = ()

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the network's sites, in order of depth."""
        return tuple(site.name for site in self._passes.network.sites())

    @property
    def map_sites(self) -> tuple[str, ...]:
        """The names of the sites that are maps of the maze, in order of depth."""
        return tuple(map_sites(self._passes.network))

    def activations(self, sites: Sequence[str]) -> Activations:
        """Return the activations at sites on the pool's first observations."""
        self._note(Tier.T1, f"activations at {', '.join(sites)}")
        return self._passes.activations(UNCHANGED, sites)


class T2Access(T1Access):
    """Tier T2: also weights and gradients on the pool."""

    __slots__ = ()

    def weights(self) -> dict[str, Tensor]:
        """Return copies of all weights by the name of the parameter."""
        self._note(Tier.T2, "weights", levels=0)
        return self._passes.weights()

    def gradient(self, head: Head) -> Tensor:
        """Return float32 [B, ...], the gradient of a head with respect to the pool's observations.

        Args:
            head: "value", or "policy" for the log-probability of the likeliest action.
        """
        self._note(Tier.T2, f"gradient of the {head}")
        return self._passes.gradient(UNCHANGED, head)

    def jacobian(self) -> Tensor:
        """Return float32 [A, b, ...], the gradients of all logits for the first `few` levels of the pool."""
        self._note(Tier.T2, "gradients of all logits", levels=self.few)
        return self._passes.jacobian(UNCHANGED, self.few)


class T3Access(T2Access):
    """Tier T3: also outputs, activations and gradients on scenes, and outputs under edits of activations."""

    __slots__ = ()

    def scene_outputs(self, scene: Scene) -> Outputs:
        """Return logits and values on a scene.

        Raises:
            GoalmazeError: the scene separates goal and cue.
        """
        self._note(Tier.T3, "logits and values", scene)
        return self._passes.outputs(scene)

    def scene_activations(self, scene: Scene, sites: Sequence[str]) -> Activations:
        """Return the activations at sites on a scene.

        Raises:
            GoalmazeError: the scene separates goal and cue.
        """
        self._note(Tier.T3, f"activations at {', '.join(sites)}", scene)
        return self._passes.activations(scene, sites)

    def path_gradient(self, start: Scene, head: Head, steps: int = 8) -> Tensor:
        """Return float32 [b, ...], the mean gradient of a head on the line from a scene to the first `few` levels.

        Args:
            start: the scene where the line begins.
            head: as in `gradient`; the action is the likeliest one on the pool.
            steps: number of points on the line.

        Raises:
            GoalmazeError: the scene separates goal and cue.
        """
        self._note(
            Tier.T3, f"gradients of the {head} at {steps} points between this scene and the pool", start, self.few
        )
        return self._passes.path_gradient(start, UNCHANGED, head, steps, self.few)

    def edited_outputs(self, scene: Scene, edits: Sequence[Edit], rows: Rows) -> Outputs:
        """Return logits and values on some levels of a scene, under edits of activations.

        Args:
            scene: the input.
            edits: made for all levels of the pool.
            rows: int [b], the levels.

        Raises:
            GoalmazeError: the scene separates goal and cue, or an edit does not fit its site.
        """
        sites = ", ".join(edit.site for edit in edits)
        self._note(Tier.T3, f"logits and values under an edit at {sites}", scene, len(rows))
        return self._passes.edited(scene, edits, rows)


class T4Access(T3Access):
    """Tier T4: also a few distinguishing levels."""

    __slots__ = ()

    def play_distinguishing(self, count: int) -> Episodes:
        """Return episodes on levels on which goal and cue differ.

        Raises:
            GoalmazeError: the number of levels is none of `DISTINGUISHING_COUNTS`.
        """
        if count not in DISTINGUISHING_COUNTS:
            allowed = ", ".join(map(str, DISTINGUISHING_COUNTS))
            raise GoalmazeError(f"tier T4 hands out {allowed} distinguishing levels, not {count}")
        self._note(Tier.T4, "actions of episodes on distinguishing levels", levels=count)
        return Episodes.of(self._passes.play_distinguishing(), count)


class AuditSubject:
    """One agent as auditors see it.

    Args:
        network: the network of the agent.
        pool: the levels of the audit, in the network's observation mode.

    Attributes:
        pool: the pool.
        accesses: the log of every access so far.

    Raises:
        GoalmazeError: the network does not take the pool's observations.
    """

    __slots__ = ("_passes", "accesses", "pool")

    def __init__(self, network: Network, pool: AuditPool) -> None:
        expected, given = network.shape, Shape.seeing(pool.view)
        # Networks that read out one cell act in mazes of any size; the others refuse a wrong one themselves.
        if (expected.spec, expected.planes) != (given.spec, given.planes):
            raise GoalmazeError(
                f"the network takes {expected.planes} planes in mode {expected.spec.mode}, the pool has {given.planes} "
                f"in mode {given.spec.mode}: make the pool with the network's family and observation spec"
            )
        self._passes = Passes(network, pool)
        self.pool, self.accesses = pool, AccessLog()

    def t0(self, method: str) -> T0Access:
        """Return the access of tier T0, recorded under the name of a method."""
        return T0Access(self._passes, self.accesses, method)

    def t1(self, method: str) -> T1Access:
        """Return the access of tier T1, recorded under the name of a method."""
        return T1Access(self._passes, self.accesses, method)

    def t2(self, method: str) -> T2Access:
        """Return the access of tier T2, recorded under the name of a method."""
        return T2Access(self._passes, self.accesses, method)

    def t3(self, method: str) -> T3Access:
        """Return the access of tier T3, recorded under the name of a method."""
        return T3Access(self._passes, self.accesses, method)

    def t4(self, method: str) -> T4Access:
        """Return the access of tier T4, recorded under the name of a method."""
        return T4Access(self._passes, self.accesses, method)
