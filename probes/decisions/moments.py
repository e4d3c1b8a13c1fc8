"""Decisions: the states in which a policy chose an action, and its outputs for observations that differ from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.networks.base import RecurrentNetwork, device_of
from goalmaze.agents.policies import (
    PASS,
    Actor,
    EditContext,
    NetworkPolicy,
    Observations,
    Probabilities,
    RecurrentActor,
    Rows,
)
from goalmaze.agents.rollout import observations_of, rollout
from goalmaze.envs.actions import PROCGEN_ACTIONS, PROCGEN_MOVES
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.engines import Engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import View
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import Edit, applied


@dataclasses.dataclass(frozen=True, eq=False)
class Decisions:
    """B decisions of one policy.

    Attributes:
        policy: the policy.
        states: B levels with agent and objects where they are at the decision.
        steps: int64 [B], the steps taken before it.
        observations: float32 [B, ...].
        memory: [B, ...], what a recurrent network remembers; None for a network without memory.
        probabilities: float32 [B, 4], of the four moves.
    """

    policy: NetworkPolicy
    states: LevelBatch
    steps: NDArray[np.int64]
    observations: Tensor
    memory: Tensor | None
    probabilities: Probabilities

    def __len__(self) -> int:
        return len(self.states)

    @property
    def actions(self) -> NDArray[np.int64]:
        """int64 [B], the likeliest action."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    def observe(self, states: LevelBatch, rows: NDArray[np.int64]) -> Tensor:
        """Return float32 [n, ...], the observations of other states at the steps of the decisions `rows` [n]."""
        return torch.from_numpy(observations_of(self.policy, states, self.steps[rows]).copy()).float()

    def outputs(self, observations: Tensor, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of the four moves [n, 4] and values [n], with their gradient.

        Args:
            observations: float32 [n, ...], in place of those of the decisions.
            rows: int [n], the decision whose memory goes with each.
        """
        network, device = self.policy.network, device_of(self.policy.network)
        parts = []
        for start in range(0, len(rows), PASS):
            part = slice(start, start + PASS)
            inputs = observations[part].to(device)
            # Edits find their level by the place of an observation among those given.
            with self.policy.about(EditContext.at_start(np.arange(len(rows))[part])):
                if isinstance(network, RecurrentNetwork) and self.memory is not None:
                    memory = self.memory[torch.from_numpy(rows[part])].to(device)
                    logits, values, _ = network.step(inputs, memory)
                else:
                    logits, values = network(inputs)
            parts.append((move_log_probabilities(logits.float().cpu()), values.float().cpu()))
        return torch.cat([logits for logits, _ in parts]), torch.cat([values for _, values in parts])

    def margins(self, observations: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return [n], how far the log-probability of the decision's action is above the best other; with gradient."""
        return margin(self.outputs(observations, rows)[0], torch.from_numpy(self.actions[rows]))

    def margins_of(
        self, observations: Tensor, rows: NDArray[np.int64], edits: Sequence[Edit] = ()
    ) -> NDArray[np.float64]:
        """Return float64 [n], the margins without gradient, under edits whose levels are the n observations."""
        with torch.inference_mode(), applied(self.policy, edits):
            return self.margins(observations, rows).double().numpy()

    def probabilities_of(self, observations: Tensor, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return float64 [n], the probability of the decision's action for other observations."""
        with torch.inference_mode():
            logs = self.outputs(observations, rows)[0]
        return logs.exp().double().numpy()[np.arange(len(rows)), self.actions[rows]]

    def activations(self, observations: Tensor, rows: NDArray[np.int64], site: str) -> Tensor:
        """Return [n, ...], the activation of a site for observations in place of those of decisions."""
        parts = []
        with torch.inference_mode(), captured(self.policy.network, [site]) as latest:
            for start in range(0, len(rows), PASS):
                self.outputs(observations[start : start + PASS], rows[start : start + PASS])
                parts.append(latest[site])
        return torch.cat(parts)


def margin(log_probabilities: Tensor, actions: Tensor) -> Tensor:
    """Return [n], the log-probability of actions [n] minus that of the best other action."""
    own = log_probabilities.gather(1, actions[:, None])[:, 0]
    others = log_probabilities.scatter(1, actions[:, None], -torch.inf)
    return own - others.max(dim=1).values


def move_log_probabilities(logits: Tensor) -> Tensor:
    """Return [n, 4], the log-probabilities of the four moves, with their gradient; see `move_probabilities`."""
    if logits.shape[1] == PROCGEN_ACTIONS:
        logits = torch.stack([logits[:, list(group)].logsumexp(1) for group in PROCGEN_MOVES], 1)
    return logits.log_softmax(dim=1)


class _Recorder:
    """A policy that acts as another one and keeps what that one saw at one step of each episode."""

    def __init__(self, policy: NetworkPolicy, steps: NDArray[np.int64]) -> None:
        self.policy, self.wanted = policy, steps
        self.objects: NDArray[np.int32] | None = None
        self.agent = np.zeros(len(steps), np.int32)
        self.observations: Observations | None = None
        self.memory: Tensor | None = None
        self.probabilities = np.zeros((len(steps), 4), np.float32)
        self.seen = np.zeros(len(steps), np.bool_)

    def view(self, family: Family) -> View:
        return self.policy.view(family)

    def begin(self, levels: LevelBatch) -> Actor:
        raise NotImplementedError("the recorder begins in an engine")

    def begin_in(self, engine: Engine) -> Actor:
        return _RecordingActor(self, engine, self.policy.begin(engine.levels()))


class _RecordingActor:
    def __init__(self, recorder: _Recorder, engine: Engine, actor: Actor) -> None:
        self._recorder, self._engine, self._actor = recorder, engine, actor
        self._step = 0

    def probabilities(self, rows: Rows, observations: Observations, agent: Cells) -> Probabilities:
        keep, now = self._recorder, np.flatnonzero(self._recorder.wanted[rows] == self._step)
        memory = self._actor.memory if isinstance(self._actor, RecurrentActor) else None
        before = None if memory is None else memory[torch.from_numpy(rows[now])].clone().cpu()
        result = self._actor.probabilities(rows, observations, agent)
        if len(now):
            self._keep(keep, rows[now], observations[now], agent[now], result[now], before)
        self._step += 1
        return result

    def _keep(
        self,
        keep: _Recorder,
        rows: Rows,
        observations: Observations,
        agent: Cells,
        result: Probabilities,
        memory: Tensor | None,
    ) -> None:
        objects = self._engine.present().objects
        if keep.objects is None or keep.observations is None:
            keep.objects = objects.copy()
            keep.observations = np.zeros((len(keep.wanted), *observations.shape[1:]), observations.dtype)
            after = self._actor.memory if isinstance(self._actor, RecurrentActor) else None
            if after is not None:
                # Zeros are the memory before a first step.
                keep.memory = torch.zeros((len(keep.wanted), *after.shape[1:]), dtype=after.dtype)
        keep.objects[rows], keep.agent[rows] = objects[rows], agent
        keep.observations[rows], keep.probabilities[rows], keep.seen[rows] = observations, result, True
        if memory is not None and keep.memory is not None:
            keep.memory[torch.from_numpy(rows)] = memory


def decisions_at(
    policy: NetworkPolicy, levels: LevelBatch, steps: NDArray[np.int64], seed: int = 0, greedy: bool = False
) -> Decisions:
    """Return the decisions of a policy at a step of one episode on each level.

    Args:
        policy: the policy.
        levels: B levels.
        steps: int64 [B], the number of steps taken before the decision; 0 for the first.
        seed: of the sampled actions before the decision.
        greedy: whether the likeliest action was taken until then.

    Raises:
        GoalmazeError: an episode ends before its step.
    """
    recorder = _Recorder(policy, steps)
    rollout(recorder, levels, seed=seed, greedy=greedy)
    if not recorder.seen.all():
        b = int((~recorder.seen).argmax())
        # A single level is known to the caller by another number than its place in the batch.
        episode = f"episode {b} of the batch" if len(steps) > 1 else "the episode"
        raise GoalmazeError(f"{episode} ends before step {int(steps[b]) + 1}: choose an earlier step or another level")
    states = dataclasses.replace(levels, start=recorder.agent, objects=cast(Cells, recorder.objects))
    if (held := ~_standing(states)).any():
        b = int(held.argmax())
        raise GoalmazeError(f"an item is held on level {b} at step {int(steps[b]) + 1}: choose an earlier step")
    observations = torch.from_numpy(cast(Observations, recorder.observations)).float()
    return Decisions(policy, states, steps, observations, recorder.memory, recorder.probabilities)


def _standing(states: LevelBatch) -> NDArray[np.bool_]:
    """Return bool [B], whether every object stands on a free square; items held show along the top wall."""
    free = np.take_along_axis(states.free(), np.maximum(states.objects, 0).astype(np.int64), axis=1)
    fills = {one.name for one in states.family.object_types if one.fills}
    elsewhere = np.array([kind in fills for kind in states.slots])
    return np.asarray((free | (states.objects == ABSENT) | elsewhere).all(axis=1))


def drawn_decisions(policy: NetworkPolicy, levels: LevelBatch, seed: int = 0) -> Decisions:
    """Return one decision of each episode, at a step drawn uniformly from those of the episode.

    In families with items it is the first: a state with items held is no level.
    """
    lengths = rollout(policy, levels, seed=seed).steps.astype(np.int64)
    drawn = np.random.default_rng(seed).random(len(levels))
    items = any(one.gives for one in levels.family.object_types if one.name in levels.slots)
    steps = np.minimum((drawn * lengths).astype(np.int64), lengths - 1)
    return decisions_at(policy, levels, np.zeros_like(steps) if items else steps, seed)
