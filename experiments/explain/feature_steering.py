"""Single features of dictionaries set to a value: does the agent go where the feature then says?"""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.levels import FITTING, LevelBatch
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.activations import is_rectified, read_activations
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.coordinates import fit_goal_coordinates, goal_windows
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.steering.sae import Autoencoder, SAEFeatures
from goalmaze.probes.units.dictionaries import Detectors, Labels

STRENGTHS = (1.0, 2.0, 4.0)
"""Strengths that are tried on fitting mazes; the best one is evaluated."""

FIT_LEVELS = 256
"""Mazes on which the values of features with and without a goal are measured."""


class Steering(abc.ABC):
    """One feature is set, and what the agent does is counted."""

    @abc.abstractmethod
    def references(self) -> tuple[Rate, Rate]:
        """Return the rate of success without an edit, and with goal and cue really there."""

    @abc.abstractmethod
    def success(self, coder: Autoencoder, detectors: Detectors) -> tuple[Rate, float]:
        """Return the rate of success of the best feature and the strength, both chosen on fitting mazes.

        Args:
            coder: the dictionary.
            detectors: the features that name the concepts best.
        """


class TargetSteering(Steering):
    """At a map: the feature is set around a random target as around a goal, and around the goal as without one.

    Success is reaching the target before the goal. Three features are tried: those that name the goal's and the cue's
    square best, and the one that a goal changes most.

    Args:
        agent: the agent.
        site: a map.
        side: rows and columns of a window.
        named: the concepts that name the squares of goal and cue, as indices of detectors.
        levels: number of mazes of the evaluation; half as many select.
        seed: of mazes, targets and sampled actions.
    """

    def __init__(self, agent: Agent, site: str, side: int, named: Sequence[int], levels: int, seed: int) -> None:
        self._policy, self._site, self._side, self._named = agent.policy, site, side, tuple(named)
        self._context = make_fit_context(agent.policy, agent.family, FIT_LEVELS, seed)
        self._windows = goal_windows(self._context, site, side)
        self._task = draw_retargeting_task(agent.family, levels, seed)
        self._selection = draw_retargeting_task(agent.family, max(1, levels // 2), seed, FITTING)

    def references(self) -> tuple[Rate, Rate]:
        """Return how often the target is reached first, unedited and with goal and cue really there."""
        moved = self._task.evaluate(self._policy, levels=self._task.levels_with_goal_moved())
        return self._task.evaluate(self._policy).overall.other, moved.overall.other

    def success(self, coder: Autoencoder, detectors: Detectors) -> tuple[Rate, float]:
        """Return how often the target is reached first with the best feature, and the strength."""
        change = (coder.encode(self._windows[0]).mean(0) - coder.encode(self._windows[1]).mean(0)).abs()
        most_changed = int((change * coder.decoder.norm(dim=1)).argmax())
        features = dict.fromkeys([*(int(detectors.features[j]) for j in self._named), most_changed])
        tried = [(feature, strength) for feature in features for strength in STRENGTHS]
        best = max(tried, key=lambda one: self._rate(self._selection, coder, *one).value)
        return self._rate(self._task, coder, *best), best[1]

    def _rate(self, task: RetargetingTask, coder: Autoencoder, feature: int, strength: float) -> Rate:
        fitted = fit_goal_coordinates(self._context, self._site, SAEFeatures(coder, (feature,)), self._side)
        return task.evaluate(self._policy, task.edits(fitted, strength)).overall.other


class TurnSteering(Steering):
    """At a vector: the features for "the first step is A" are set as where A holds and the other actions do not.

    Success is that A becomes the likeliest action; A is a random free move that was not the likeliest before.

    Args:
        agent: the agent.
        site: a vector.
        steps: for goal and for cue, the concepts "the first step is A" in the order of actions, as indices of
            detectors.
        states: of fitting mazes, whose activations and concepts follow.
        activations: [n, F].
        labels: bool [n, J].
        others: states of evaluation mazes, one for each maze.
        seed: of the actions drawn.
    """

    def __init__(
        self,
        agent: Agent,
        site: str,
        steps: Sequence[Sequence[int]],
        states: LevelBatch,
        activations: Tensor,
        labels: Labels,
        others: LevelBatch,
        seed: int,
    ) -> None:
        self._agent, self._site, self._steps = agent, site, steps
        self._fit, self._labels = activations, labels
        self._selection, self._evaluation = (_Turns(agent, site, one, seed) for one in (states, others))

    def references(self) -> tuple[Rate, Rate]:
        """Return the rates without an edit, which is 0, and with goal and cue on the next square."""
        turns = self._evaluation
        there = turns.states.start + cell_steps(turns.states.width)[turns.actions]
        return turns.rate_of(turns.before), turns.rate_of(turns.likeliest(turns.states.with_goal_and_cue_at(there)))

    def success(self, coder: Autoencoder, detectors: Detectors) -> tuple[Rate, float]:
        """Return how often the action becomes the likeliest with the best features, and the strength."""
        tried = [(tuple(steps), strength) for steps in self._steps for strength in STRENGTHS]
        best = max(tried, key=lambda one: self._rate(self._selection, coder, detectors, *one).value)
        return self._rate(self._evaluation, coder, detectors, *best), best[1]

    def _rate(
        self, turns: _Turns, coder: Autoencoder, detectors: Detectors, steps: Sequence[int], strength: float
    ) -> Rate:
        values, chosen = coder.encode(self._fit), [int(detectors.features[j]) for j in steps]
        holds = [torch.from_numpy(self._labels[:, j]) for j in steps]
        present, absent = (
            torch.stack([values[one if there else ~one, k].mean() for one, k in zip(holds, chosen, strict=True)])
            for there in (True, False)
        )
        x = turns.activations
        for a in range(len(ACTIONS)):
            # The action to take comes last: two actions can share a feature.
            own = (torch.from_numpy(turns.actions) + 1 + a) % len(ACTIONS)
            wanted = present if a == len(ACTIONS) - 1 else absent
            features = torch.tensor(chosen)[own]
            now = coder.encode(x).gather(1, features[:, None])[:, 0]
            x = x + strength * (wanted[own] - now)[:, None] * coder.decoder[features]
        source = x.relu() if is_rectified(self._fit) else x
        return turns.rate_of(turns.likeliest(turns.states, source))


class _Turns:
    """States in which the agent is to take an action that it does not prefer."""

    def __init__(self, agent: Agent, site: str, states: LevelBatch, seed: int) -> None:
        self._policy, self._site = agent.policy, site
        before = self.likeliest(states)
        free = states.free()
        nexts = states.start[:, None] + cell_steps(states.width)[None]
        possible = np.take_along_axis(free, nexts.astype(np.int64), axis=1)
        possible[np.arange(len(states)), before] = False
        rows = np.flatnonzero(possible.any(axis=1))
        self.states = states.take(rows)
        self.before = before[rows]
        scores = np.random.default_rng(seed).random((len(rows), len(ACTIONS)))
        self.actions = np.where(possible[rows], scores, -1).argmax(axis=1)
        self.activations = read_activations(agent.network, observations_of(agent.policy, self.states), [site])[site]

    def likeliest(self, states: LevelBatch, source: Tensor | None = None) -> np.ndarray:
        """Return int64 [B], the likeliest action in states, with the activation replaced where one is given."""
        edits = [] if source is None else [Patch(self._site, source=source)]
        rows, observations = np.arange(len(states)), observations_of(self._policy, states)
        with applied(self._policy, edits):
            probabilities = self._policy.probabilities(rows, observations, states.start)
        return np.asarray(probabilities.argmax(axis=1))

    def rate_of(self, actions: np.ndarray) -> Rate:
        """Return how many of actions int64 [B] are those that were drawn."""
        return rate(int((actions == self.actions).sum()), len(self.actions))
