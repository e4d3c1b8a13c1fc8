"""The one loop behind evaluation, probing, retargeting and viewing: a policy on levels, whole or step by step.

Chance is addressed by (seed, row, step): a row of a batch gets the same luck whatever the other rows do, and an edited
and an unedited agent are compared under equal luck.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import Observations, ObservingPolicy, Policy, Probabilities
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.episodes import Episodes
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.counter_rng import uniforms
from goalmaze.envs.levels import LevelBatch

NEVER = 2**28
"""The step at which something that never happened is said to have happened."""


@runtime_checkable
class Staged(Protocol):
    """A family whose episodes another engine than ours plays."""

    def episodes(self, levels: LevelBatch) -> Episodes:
        """Return an episode on each level, under way."""


def begin_episodes(levels: LevelBatch) -> Episodes:
    """Return an episode on each level, under way in the engine that is the family's."""
    family = levels.family
    return family.episodes(levels) if isinstance(family, Staged) else Episodes(family, levels)


@dataclasses.dataclass(frozen=True, eq=False)
class Moment:
    """One step of a batch of episodes.

    Attributes:
        active: bool [B], the episodes that took this step.
        actions: int8 [B], -1 where not active.
        probabilities: float32 [B, A], zero where not active.
        agent: int32 [B], the cells after the step; an ended episode's agent stays where it was.
        rewards: float32 [B, 2], true and cue reward; zero where not active.
        terminated: bool [B], ended by an object, now or before.
    """

    active: Bools
    actions: NDArray[np.int8]
    probabilities: Probabilities
    agent: Cells
    rewards: NDArray[np.float32]
    terminated: Bools


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """What happened on a batch of levels.

    Attributes:
        levels: the levels, B of them.
        agent: int32 [T+1, B], cells from the start on; constant after the end of an episode.
        actions: int8 [T, B], -1 after the end.
        steps: int32 [B], steps taken.
        terminated: bool [B], whether an object ended the episode; otherwise the time limit did, or it was followed no
            further.
        returns: float32 [B, 2], true and cue return, not discounted.
        rewards: float32 [T, B, 2], true and cue reward of every step; zero after the end.
        chances: float32 [T, B], how likely the policy was to take the action it took; 0 after the end.
    """

    levels: LevelBatch
    agent: Cells
    actions: NDArray[np.int8]
    steps: Cells
    terminated: Bools
    returns: NDArray[np.float32]
    rewards: NDArray[np.float32]
    chances: NDArray[np.float32]

    def first_visit(self, cells: Cells) -> Cells:
        """Return int32 [B], the step after which the agent first stood on `cells` [B]; `NEVER` if it did not."""
        there = (self.agent == cells) & (cells != ABSENT)
        return np.where(there.any(axis=0), there.argmax(axis=0), NEVER).astype(np.int32)


def stepwise(
    policy: Policy,
    levels: LevelBatch,
    *,
    seed: int = 0,
    greedy: bool = False,
    until: Cells | None = None,
) -> Iterator[Moment]:
    """Yield the moments of one episode per level until all have ended.

    Args:
        policy: who acts.
        levels: B levels.
        family: whose rules hold.
        seed: of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        until: int32 [B], cells; an episode is not followed any further once a step has led there.

    Raises:
        GoalmazeError: there are no levels, or the policy cannot see levels of this family and size.
    """
    batch = len(levels)
    if not batch:
        raise GoalmazeError("there are no levels to play: give at least one")
    episodes = begin_episodes(levels)
    observe = seen_by(policy, episodes)
    actor = policy.begin(levels)
    active = np.ones(batch, np.bool_)
    terminated = np.zeros(batch, np.bool_)
    agent = levels.start.copy()
    step = 0
    while active.any():
        rows = np.flatnonzero(active)
        chances = actor.probabilities(rows, observe()[rows], episodes.agent[rows])
        chosen = chances.argmax(axis=1) if greedy else _sample(chances, seed, rows, step)
        actions = np.full(batch, -1, np.int8)
        actions[rows] = chosen
        probabilities = np.zeros((batch, chances.shape[1]), np.float32)
        probabilities[rows] = chances
        episodes.step(actions)
        agent = np.where(active, episodes.agent, agent)
        terminated |= active & episodes.terminated
        rewards = np.where(active[:, None], episodes.rewards, 0).astype(np.float32)
        yield Moment(active.copy(), actions, probabilities, agent.copy(), rewards, terminated.copy())
        active &= ~episodes.done
        if until is not None:
            active &= agent != until
        step += 1


def rollout(
    policy: Policy,
    levels: LevelBatch,
    *,
    seed: int = 0,
    greedy: bool = False,
    until: Cells | None = None,
) -> Trajectory:
    """Play one episode on every level and return what happened; arguments as `stepwise`."""
    moments, chances, everyone = [], [], np.arange(len(levels))
    for moment in stepwise(policy, levels, seed=seed, greedy=greedy, until=until):
        chances.append(np.where(moment.active, moment.probabilities[everyone, moment.actions], 0))
        moments.append(moment)
    rewards = np.stack([moment.rewards for moment in moments])
    return Trajectory(
        levels=levels,
        agent=np.stack([levels.start, *(moment.agent for moment in moments)]),
        actions=np.stack([moment.actions for moment in moments]),
        steps=np.sum([moment.active for moment in moments], axis=0, dtype=np.int32),
        terminated=moments[-1].terminated,
        returns=rewards.sum(axis=0, dtype=np.float32),
        rewards=rewards,
        chances=np.stack(chances),
    )


def seen_by(policy: Policy, episodes: Episodes) -> Callable[[], Observations]:
    """Return a function that gives uint8 [B, ...], what the policy sees of the episodes as they stand."""
    if not isinstance(policy, ObservingPolicy):
        return episodes.observe
    view = policy.view(episodes.family)
    if view.mode == getattr(episodes, "shows", "planes"):
        return episodes.observe
    seen, memory = view.buffer(len(episodes)), view.memory(len(episodes))

    def observe() -> Observations:
        view.update(episodes.state, seen, memory)
        return seen

    return observe


def observations_of(policy: Policy, levels: LevelBatch) -> Observations:
    """Return uint8 [B, ...], what the policy sees in levels [B] before its first step."""
    return seen_by(policy, begin_episodes(levels))()


def _sample(chances: Probabilities, seed: int, rows: NDArray[np.intp], step: int) -> NDArray[np.intp]:
    luck = np.empty(len(rows))
    uniforms(seed, rows, step, luck)
    ladder = np.cumsum(chances, axis=1, dtype=np.float64)
    rungs: NDArray[np.intp] = (luck[:, None] * ladder[:, -1:] >= ladder).sum(axis=1)
    chosen: NDArray[np.intp] = np.minimum(rungs, chances.shape[1] - 1)
    return chosen
