"""The rollout loop: a policy acts in one episode on each level of a batch, all at once or step by step.

Evaluation, probing, retargeting and the live page all use it. Each random number depends on (seed, row, step) alone. A
level's episode is therefore the same whatever happens in the other rows of the batch, and an edited and an unedited
agent are compared under common random numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.agents.policies import Observations, ObservingPolicy, Policy, Probabilities, StatePolicy
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engines import Engine, make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.counter_rng import uniforms
from goalmaze.envs.levels import Family, LevelBatch

NEVER = 2**28
"""The step number of what did not happen; larger than any other."""


@dataclasses.dataclass(frozen=True, eq=False)
class StepRecord:
    """One step of a batch of episodes.

    Attributes:
        active: bool [B], the episodes that took this step.
        actions: int8 [B], -1 where not active.
        probabilities: float32 [B, A], zero where not active.
        agent: int32 [B], the agents' cells after the step; the last cell where an episode has ended.
        rewards: float32 [B, 2], true and cue reward; zero where not active.
        terminated: bool [B], whether an object has ended the episode, in this step or before.
    """

    active: Bools
    actions: NDArray[np.int8]
    probabilities: Probabilities
    agent: Cells
    rewards: NDArray[np.float32]
    terminated: Bools


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode on each of B levels.

    Attributes:
        levels: the B levels.
        agent: int32 [T+1, B], the agents' cells from the start on; constant after the end of an episode.
        actions: int8 [T, B], -1 after the end.
        steps: int32 [B], lengths of the episodes in steps.
        terminated: bool [B], whether an object ended the episode. Otherwise the time limit ended it, or the agent
            arrived at its cell in `until`, see `stepwise`.
        returns: float32 [B, 2], true and cue return, not discounted.
        rewards: float32 [T, B, 2], true and cue reward of every step; zero after the end.
        action_probabilities: float32 [T, B], probability that the policy gave the action it took; 0 after the end.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> trajectory = gm.rollout(agent, agent.family.levels(seed=0, count=4))
        >>> trajectory.returns.shape
        (4, 2)
    """

    levels: LevelBatch
    agent: Cells
    actions: NDArray[np.int8]
    steps: Cells
    terminated: Bools
    returns: NDArray[np.float32]
    rewards: NDArray[np.float32]
    action_probabilities: NDArray[np.float32]

    @property
    def family(self) -> Family:
        """The family of the levels."""
        return self.levels.family

    def part(self, rows: slice) -> Trajectory:
        """Return the trajectory of some of the levels, up to the end of the longest of their episodes."""
        last = int(self.steps[rows].max())
        return Trajectory(
            levels=self.levels.take(np.arange(len(self.levels))[rows]),
            agent=self.agent[: last + 1, rows],
            actions=self.actions[:last, rows],
            steps=self.steps[rows],
            terminated=self.terminated[rows],
            returns=self.returns[rows],
            rewards=self.rewards[:last, rows],
            action_probabilities=self.action_probabilities[:last, rows],
        )

    def first_visit(self, cells: Cells) -> Cells:
        """Return int32 [B], the step after which the agent first stood on `cells` [B]; `NEVER` if it did not."""
        on_cell = (self.agent == cells) & (cells != ABSENT)
        # argmax returns the first True, and 0 where there is none.
        return np.where(on_cell.any(axis=0), on_cell.argmax(axis=0), NEVER).astype(np.int32)


def stepwise(
    policy: Policy,
    levels: LevelBatch,
    *,
    seed: int = 0,
    greedy: bool = False,
    until: Cells | None = None,
    draw_rows: NDArray[np.intp] | None = None,
) -> Iterator[StepRecord]:
    """Run one episode on every level, and yield each step of the batch until all episodes have ended.

    Args:
        policy: the policy that chooses the actions.
        levels: B levels.
        seed: seed of the sampled actions.
        greedy: whether to take the most probable action instead of sampling.
        until: int32 [B], cells; an episode also stops when its agent arrives at its cell.
        draw_rows: int [B], the row whose random numbers each episode takes; its own by default.

    Raises:
        GoalmazeError: there are no levels, or the policy's view cannot draw levels of this family and size.
    """
    batch = len(levels)
    if not batch:
        raise GoalmazeError("there are no levels to play: give at least one")
    engine = make_engine(levels)
    observe = observer(policy, engine)
    actor = policy.begin_in(engine) if isinstance(policy, StatePolicy) else policy.begin(levels)
    active = np.ones(batch, np.bool_)
    terminated = np.zeros(batch, np.bool_)
    agent = levels.start.copy()
    draw_rows = np.arange(batch) if draw_rows is None else draw_rows
    step = 0
    while active.any():
        rows = np.flatnonzero(active)
        # Only the rows under way: forward passes get cheaper as episodes end.
        row_probabilities = actor.probabilities(rows, observe()[rows], engine.agent[rows])
        actions = np.full(batch, -1, np.int8)
        actions[rows] = (
            row_probabilities.argmax(axis=1) if greedy else _sample(row_probabilities, seed, draw_rows[rows], step)
        )
        probabilities = np.zeros((batch, row_probabilities.shape[1]), np.float32)
        probabilities[rows] = row_probabilities
        engine.step(actions)
        # Also rows that stopped at `until` stay where they are, though their episodes go on in the engine.
        agent = np.where(active, engine.agent, agent)
        terminated |= active & engine.terminated
        rewards = np.where(active[:, None], engine.rewards, 0).astype(np.float32)
        # Copies, because the loop changes these arrays in place and a caller may keep the records.
        yield StepRecord(active.copy(), actions, probabilities, agent.copy(), rewards, terminated.copy())
        active &= ~engine.done
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
    draw_rows: NDArray[np.intp] | None = None,
) -> Trajectory:
    """Run one episode on every level and return the trajectory; arguments and errors as `stepwise`."""
    records, action_probabilities, every_row = [], [], np.arange(len(levels))
    for record in stepwise(policy, levels, seed=seed, greedy=greedy, until=until, draw_rows=draw_rows):
        # The action of an ended episode is -1, which picks the last column: a zero.
        action_probabilities.append(np.where(record.active, record.probabilities[every_row, record.actions], 0))
        records.append(record)
    rewards = np.stack([record.rewards for record in records])
    return Trajectory(
        levels=levels,
        agent=np.stack([levels.start, *(record.agent for record in records)]),
        actions=np.stack([record.actions for record in records]),
        steps=np.sum([record.active for record in records], axis=0, dtype=np.int32),
        terminated=records[-1].terminated,
        returns=rewards.sum(axis=0, dtype=np.float32),
        rewards=rewards,
        action_probabilities=np.stack(action_probabilities),
    )


def observer(policy: Policy, engine: Engine) -> Callable[[], Observations]:
    """Return a function that returns the policy's observations uint8 [B, ...] of an engine's present states.

    The function returns the same buffer at every call.
    """
    if not isinstance(policy, ObservingPolicy):
        return engine.observe
    view = policy.view(engine.family)
    if view.mode == engine.mode:
        return engine.observe
    # The engine draws another mode. `memory` is what is drawn in the buffer now, so that only changes are drawn.
    observations, memory = view.buffer(len(engine)), view.memory(len(engine))

    def observe() -> Observations:
        view.update(engine.state, observations, memory)
        return observations

    return observe


def observations_of(policy: Policy, levels: LevelBatch, steps: ArrayLike = 0) -> Observations:
    """Return uint8 [B, ...], the policy's observations of B levels.

    Args:
        policy: the policy.
        levels: B levels, with agent and objects where they are at the observation.
        steps: int [B], or one number for all, the steps taken before the observation; some families hide objects then.
    """
    engine = make_engine(levels)
    if any(levels.family.visible_steps_by_type.values()):
        engine.skip_to(np.full(len(levels), steps, np.int32) if np.ndim(steps) == 0 else np.asarray(steps, np.int32))
    return observer(policy, engine)()


def _sample(probabilities: Probabilities, seed: int, rows: NDArray[np.intp], step: int) -> NDArray[np.intp]:
    """Return int [b], actions drawn by inverting the cumulative distribution of probabilities [b, A]."""
    draws = np.empty(len(rows))
    uniforms(seed, rows, step, draws)
    cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)
    # Draws are scaled by the last entry, since float32 probabilities do not sum to exactly 1.
    actions: NDArray[np.intp] = (draws[:, None] * cumulative[:, -1:] >= cumulative).sum(axis=1)
    # A product that rounds up to the last entry would otherwise count one action too many.
    within: NDArray[np.intp] = np.minimum(actions, probabilities.shape[1] - 1)
    return within
