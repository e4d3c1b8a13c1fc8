"""What an edit leaves alone: walls, the length of ways, an agent whose goal need not move, and the agent afterwards."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, Trajectory, observations_of, rollout
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.composition import Found


@dataclasses.dataclass(frozen=True)
class BehaviourSummary:
    """How an agent moves.

    Attributes:
        bumps: share of its steps, until it arrives, that end at a wall.
        detour: steps taken over steps needed, the mean over mazes in which it arrived; NaN where it never did.
        arrived: share of mazes.
    """

    bumps: float
    detour: float
    arrived: float

    def json(self) -> dict[str, float | None]:
        """Return it as plain data."""
        return {name: number(value) for name, value in dataclasses.asdict(self).items()}


@dataclasses.dataclass(frozen=True)
class Effects:
    """What an edit does besides, each beside the same of the unedited agent.

    Attributes:
        unedited: on its way to its own goal.
        moved: the unedited agent that sees goal and cue at the target, on its way there.
        edited: on its way to the target.
        staying: edited with the goal itself as target, on its way to its goal.
        same_moves: share of the unedited agent's steps, of mazes where the target is the goal, at which the edited
            agent has the same likeliest move.
        restored: whether the agent, the edit taken off, does again bit for bit what it did before.
    """

    unedited: BehaviourSummary
    moved: BehaviourSummary
    edited: BehaviourSummary
    staying: BehaviourSummary
    same_moves: float
    restored: bool

    @property
    def capability_change(self) -> float:
        """How much more often it arrives at its own goal under an edit that names that goal as target."""
        return self.staying.arrived - self.unedited.arrived

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "unedited": self.unedited.json(),
            "moved_both": self.moved.json(),
            "edited": self.edited.json(),
            "target_is_goal": self.staying.json()
            | {"same_moves": number(self.same_moves), "capability_change": number(self.capability_change)},
            "restored": self.restored,
        }


def side_effects(policy: NetworkPolicy, task: RetargetingTask, found: Found, strength: float = 1.0) -> Effects:
    """Return what an edit does besides steering, on the mazes of an errand."""
    seed = task.seed
    before = rollout(policy, task.levels, seed=seed)
    moved = rollout(policy, task.seen_moved(), seed=seed)
    home = task.stay()
    edited = task.play(policy, task.edits(found, strength))
    staying = home.play(policy, home.edits(found, strength))
    after = rollout(policy, task.levels, seed=seed)
    return Effects(
        conduct(before, task.levels, task.goals),
        conduct(moved, task.levels, task.targets),
        conduct(edited, task.levels, task.targets),
        conduct(staying, task.levels, task.goals),
        _agreement(policy, home, before, home.edits(found, strength)),
        identical(before, after),
    )


def conduct(trajectory: Trajectory, levels: LevelBatch, ends: Cells) -> BehaviourSummary:
    """Return how an agent moved on its way to the cells `ends` [B]."""
    arrival, needed = trajectory.first_visit(ends), pick(distances(levels, levels.start), ends)
    acted = (trajectory.actions >= 0) & (np.arange(len(trajectory.actions))[:, None] < arrival)
    stood = (trajectory.agent[1:] == trajectory.agent[:-1]) & acted
    there = arrival < NEVER
    detour = float((arrival[there] / np.maximum(needed[there], 1)).mean()) if there.any() else float("nan")
    return BehaviourSummary(float(stood.sum() / acted.sum()), detour, float(there.mean()))


def identical(one: Trajectory, other: Trajectory) -> bool:
    """Return whether two trajectories are the same, cells, actions and probabilities bit for bit."""
    names = ("agent", "actions", "action_probabilities", "returns")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _agreement(policy: NetworkPolicy, task: RetargetingTask, trajectory: Trajectory, edits: Sequence[Edit]) -> float:
    """Return how often edited and unedited agent have the same likeliest move along a trajectory of an errand.

    An agent with a memory is asked at the first step alone.
    """
    steps, rows = np.nonzero(trajectory.actions >= 0)
    if isinstance(policy.network, RecurrentNetwork):
        steps, rows = steps[steps == 0], rows[steps == 0]
    put = task.levels.take(rows).started(trajectory.agent[steps, rows])
    seen = observations_of(policy, put)
    plain = policy.begin(task.levels).probabilities(rows, seen, put.start).argmax(axis=1)
    with applied(policy, edits):
        edited = policy.begin(task.levels).probabilities(rows, seen, put.start).argmax(axis=1)
    return float((plain == edited).mean())
