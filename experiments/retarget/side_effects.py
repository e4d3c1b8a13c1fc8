"""Side effects of an edit: bumps into walls, detours, and what changes where the target is the goal itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, Trajectory, observations_of, rollout
from goalmaze.envs.cells import Cells
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit


@dataclasses.dataclass(frozen=True)
class BehaviourSummary:
    """How an agent moves.

    Attributes:
        bumps: fraction of its steps, until it arrives, that end at a wall.
        detour: steps taken over steps needed, the mean over the mazes in which it arrived; NaN where it never did.
        arrived: rate of mazes in which it arrived.
    """

    bumps: float
    detour: float
    arrived: float

    def json(self) -> dict[str, float | None]:
        """Return the summary as plain data."""
        return {name: number(value) for name, value in dataclasses.asdict(self).items()}


@dataclasses.dataclass(frozen=True)
class SideEffects:
    """What an edit changes besides the goal, next to the same of the unedited agent.

    Attributes:
        unedited: the unedited agent on its path to the goal.
        moved: the unedited agent on its path to the target, goal and cue physically moved there.
        edited: the edited agent on its path to the target.
        target_is_goal: the edited agent on its path to the goal, with the goal itself as target.
        same_moves: fraction of the unedited agent's steps at which the edited agent, with the goal itself as target,
            has the same likeliest action.
        restored: whether the agent without the edit repeats its earlier behaviour bit for bit.
    """

    unedited: BehaviourSummary
    moved: BehaviourSummary
    edited: BehaviourSummary
    target_is_goal: BehaviourSummary
    same_moves: float
    restored: bool

    @property
    def capability_change(self) -> float:
        """The change of the rate at which it arrives at its goal, under an edit with that goal as target."""
        return self.target_is_goal.arrived - self.unedited.arrived

    def json(self) -> JsonObject:
        """Return the side effects as plain data."""
        return {
            "unedited": self.unedited.json(),
            "moved_both": self.moved.json(),
            "edited": self.edited.json(),
            "target_is_goal": self.target_is_goal.json()
            | {"same_moves": number(self.same_moves), "capability_change": number(self.capability_change)},
            "restored": self.restored,
        }


def side_effects(
    policy: NetworkPolicy, task: RetargetingTask, fitted_edit: FittedEdit, strength: float = 1.0
) -> SideEffects:
    """Return what an edit changes besides the goal, on the mazes of a task."""
    before = task.rollout(policy)
    moved = rollout(policy, task.levels_with_goal_moved(), seed=task.seed)
    edited = task.rollout(policy, task.edits(fitted_edit, strength))
    to_goal = task.with_goals_as_targets()
    goal_edits = to_goal.edits(fitted_edit, strength)
    target_is_goal = to_goal.rollout(policy, goal_edits)
    # Run last, after every edit was attached and removed: this is the test that nothing of them remains.
    after = task.rollout(policy)
    return SideEffects(
        summarise_behaviour(before, task.levels, task.goals),
        summarise_behaviour(moved, task.levels, task.targets),
        summarise_behaviour(edited, task.levels, task.targets),
        summarise_behaviour(target_is_goal, task.levels, task.goals),
        _same_moves(policy, to_goal, before, goal_edits),
        identical(before, after),
    )


def summarise_behaviour(trajectory: Trajectory, levels: LevelBatch, ends: Cells) -> BehaviourSummary:
    """Return how an agent moved on its path to the cells `ends` int32 [B]."""
    arrival, needed = trajectory.first_visit(ends), pick(distances(levels, levels.start), ends)
    # Steps after the arrival, or after the end of the episode, are no part of the path to it.
    acted = (trajectory.actions >= 0) & (np.arange(len(trajectory.actions))[:, None] < arrival)
    bumped = (trajectory.agent[1:] == trajectory.agent[:-1]) & acted
    arrived = arrival < NEVER
    # An agent that starts on its end needs no step.
    ratios = arrival[arrived] / np.maximum(needed[arrived], 1)
    detour = float(ratios.mean()) if arrived.any() else float("nan")
    return BehaviourSummary(float(bumped.sum() / acted.sum()), detour, float(arrived.mean()))


def identical(one: Trajectory, other: Trajectory) -> bool:
    """Return whether two trajectories have the same cells, actions, probabilities and returns bit for bit."""
    return all(
        np.array_equal(a, b)
        for a, b in (
            (one.agent, other.agent),
            (one.actions, other.actions),
            (one.action_probabilities, other.action_probabilities),
            (one.returns, other.returns),
        )
    )


def _same_moves(policy: NetworkPolicy, task: RetargetingTask, trajectory: Trajectory, edits: Sequence[Edit]) -> float:
    """Return how often the edited and the unedited agent have the same likeliest action along a trajectory.

    Of a recurrent network only the first steps are compared: its memory at later steps is not in the trajectory.
    """
    steps, rows = np.nonzero(trajectory.actions >= 0)
    if isinstance(policy.network, RecurrentNetwork):
        steps, rows = steps[steps == 0], rows[steps == 0]
    # Both agents are compared on the states of the unedited one; along its own path the edited one would see others.
    visited = task.levels.take(rows).started(trajectory.agent[steps, rows])
    observations = observations_of(policy, visited, steps)
    unedited = policy.begin(task.levels).probabilities(rows, observations, visited.start).argmax(axis=1)
    with applied(policy, edits):
        edited = policy.begin(task.levels).probabilities(rows, observations, visited.start).argmax(axis=1)
    return float((unedited == edited).mean())
