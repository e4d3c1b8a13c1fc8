"""An ensemble that asks an overseer for the next action where its members disagree.

Agents that differ by their training seed alone agree on levels like those of training. Where goal and cue part, they
may not: their disagreement is a sign, without any label, that training did not decide what to do.

Axes: M members, B episodes, b of them that are under way, A actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import Actor, NetworkPolicy, Observations, Probabilities, Rows
from goalmaze.agents.reuse import reusing
from goalmaze.agents.scripted import Seeker
from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.engines import Engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View

Numbers = NDArray[np.float64]

When = Literal["disagreement", "entropy", "random"]
"""When to ask: by the disagreement of the members, by the entropy of their mean, or at random (a control)."""


def disagreement(probabilities: Numbers) -> Numbers:
    """Return float64 [b], the Jensen-Shannon divergence of the members' actions in nats.

    It is the entropy of the mean minus the mean entropy: 0 where all members have the same probabilities, log 2 where
    one half of them is sure of one action and the other half of another.

    Args:
        probabilities: float64 [M, b, A], of each member.
    """
    excess = entropy(probabilities.mean(axis=0)) - entropy(probabilities).mean(axis=0)
    return np.asarray(np.maximum(excess, 0.0), np.float64)


def entropy(probabilities: Numbers) -> Numbers:
    """Return float64 [...], the entropy of probabilities [..., A] in nats."""
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return np.asarray(-(probabilities * logarithms).sum(axis=-1))


class AskingEnsemble:
    """A policy of M members that acts by their mean probabilities, or as an overseer says.

    The overseer takes a shortest path to the goal. It answers with one action, for this step alone.

    Args:
        members: the members, of one family and observation mode.
        threshold: the least disagreement, or entropy, at which it asks; with "random" 1 minus the probability.
        when: when it asks.
        seed: of the random numbers of "random".

    Attributes:
        questions: int64 [B], questions in each of the latest episodes.
        steps: int64 [B], steps of these episodes.

    Raises:
        GoalmazeError: there are no members, or no such way to decide when to ask.
    """

    def __init__(
        self, members: Sequence[NetworkPolicy], threshold: float, when: When = "disagreement", seed: int = 0
    ) -> None:
        if not members:
            raise GoalmazeError("an ensemble needs members: name a population")
        if when not in get_args(When):
            raise GoalmazeError(f"when is {when!r}: choose {', '.join(get_args(When))}")
        self._members, self.threshold, self.when, self.seed = list(members), threshold, when, seed
        self.questions = self.steps = np.zeros(0, np.int64)

    def view(self, family: Family) -> View:
        """Return the view that draws the members' observations in levels of a family."""
        return self._members[0].view(family)

    def begin(self, levels: LevelBatch) -> Actor:
        """Refuse: the overseer needs the state of the episodes, see `begin_in`."""
        raise NotImplementedError("an asking ensemble acts in an engine: call begin_in")

    def begin_in(self, engine: Engine) -> Actor:
        """Return an actor for the new episodes of an engine, and count their questions from 0."""
        self.questions, self.steps = np.zeros((2, len(engine)), np.int64)
        levels = engine.levels()
        actors = [reusing(member).begin(levels) for member in self._members]
        return _AskingActor(self, actors, Seeker(engine.family.goal).begin_in(engine))

    def asks(self, probabilities: Numbers, rows: Rows, steps: NDArray[np.int64]) -> Bools:
        """Return bool [b], where it asks.

        Args:
            probabilities: float64 [M, b, A], of each member.
            rows: int [b], the episodes.
            steps: int64 [b], the steps that each has taken before.
        """
        if self.when == "random":
            # Addressed by seed, step and episode, whatever else is under way.
            drawn = np.empty(len(rows))
            for step in np.unique(steps):
                chosen = steps == step
                drawn[chosen] = np.random.default_rng([self.seed, int(step)]).random(len(self.steps))[rows[chosen]]
            return np.asarray(drawn >= self.threshold)
        if self.when == "entropy":
            return np.asarray(entropy(probabilities.mean(axis=0)) >= self.threshold)
        return np.asarray(disagreement(probabilities) >= self.threshold)


class _AskingActor:
    """The members and the overseer in one batch of episodes."""

    def __init__(self, policy: AskingEnsemble, members: Sequence[Actor], overseer: Actor) -> None:
        self._policy, self._members, self._overseer = policy, members, overseer

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        """Return float32 [b, A], those of the overseer where it is asked, otherwise the mean over the members."""
        policy = self._policy
        own = np.stack([member.probabilities(rows, observations, agent) for member in self._members]).astype(np.float64)
        asked = policy.asks(own, rows, policy.steps[rows])
        policy.questions[rows] += asked
        policy.steps[rows] += 1
        result: Probabilities = own.mean(axis=0).astype(np.float32)
        if asked.any():
            result[asked] = self._overseer.probabilities(rows[asked], observations[asked], agent[asked])
        return result
