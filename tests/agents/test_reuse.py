"""Reused forward passes give the episodes of the plain policy, bit for bit, with fewer observations computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goalmaze.agents import reuse
from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.reuse import DIGEST_BYTES, ReusingActor, keys_of, reusing
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.cells import Bools
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.edits.base import Add, applied

LEVELS = 48


def equal(one: Trajectory, other: Trajectory) -> bool:
    names = ("agent", "actions", "steps", "terminated", "returns", "rewards", "action_probabilities")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def play(name: str) -> tuple[Agent, LevelBatch]:
    agent = load_agent(f"zoo:{name}")
    return agent, agent.family.levels(2, count=LEVELS, shift=agent.family.distinguishing_shift)


def observations_computed(agent: Agent, levels: LevelBatch, *, plain: bool) -> tuple[int, Trajectory]:
    """Return the number of observations that passed through the network, and the trajectory."""
    count = 0

    def add(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        count += len(inputs[0])

    handle = agent.network.register_forward_pre_hook(add)
    try:
        trajectory = rollout(agent.policy if plain else reusing(agent.policy), levels, seed=1)
    finally:
        handle.remove()
    return count, trajectory


def test_large_observations_are_kept_by_a_digest_of_every_byte() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), np.uint8)
    pictures[3] = pictures[1]
    pictures[4], pictures[5] = pictures[1], pictures[1]
    pictures[4, 0, 0, 0] ^= 1
    pictures[5, 63, 63, 2] ^= 128
    keys = keys_of(pictures)
    assert keys.shape == (6, DIGEST_BYTES)
    same = (keys[:, None] == keys[None]).all(axis=2)
    assert same.sum() == 6 + 2
    assert same[1, 3]
    assert np.array_equal(keys_of(pictures[::2]), keys[::2]), "whatever lies beside a picture in memory"
    planes = pictures[:, :5, :5]
    assert np.array_equal(keys_of(planes), planes.reshape(6, 75)), "small ones are compared in full"


@pytest.mark.parametrize("name", ["green-exit", "keys-chests", "green-exit-impala"])
def test_episodes_are_those_of_the_plain_policy_and_passes_are_fewer(name: str) -> None:
    agent, levels = play(name)
    plain, expected = observations_computed(agent, levels, plain=True)
    fewer, trajectory = observations_computed(agent, levels, plain=False)
    assert equal(trajectory, expected)
    assert plain == expected.steps.sum()
    assert fewer < 0.7 * plain


def test_greedy_episodes_are_those_of_the_plain_policy() -> None:
    agent, levels = play("keys-chests")
    assert equal(rollout(reusing(agent.policy), levels, greedy=True), rollout(agent.policy, levels, greedy=True))


def test_an_observation_is_compared_and_not_the_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: where the agent has taken a key, probabilities from before it did are wrong."""

    def same_cell(_actor: ReusingActor, entries: np.ndarray, _observations: np.ndarray) -> Bools:
        return np.asarray(entries >= 0)

    monkeypatch.setattr(ReusingActor, "_known", same_cell)
    agent, levels = play("keys-chests")
    assert not equal(rollout(reusing(agent.policy), levels), rollout(agent.policy, levels))


def test_without_memory_for_observations_episodes_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse, "MAX_BYTES", 20_000)
    agent, levels = play("green-exit")
    assert equal(rollout(reusing(agent.policy), levels), rollout(agent.policy, levels))


def test_an_edited_network_computes_every_observation() -> None:
    """An edit of the first step alone gives equal observations different probabilities."""
    agent, levels = play("green-exit")
    edit = Add("block1", torch.full((LEVELS, 16, 9, 9), 0.5), first_steps=1)
    with applied(agent.policy, [edit]):
        count, trajectory = observations_computed(agent, levels, plain=False)
        assert equal(trajectory, rollout(agent.policy, levels, seed=1))
    assert count == trajectory.steps.sum()
    assert agent.policy.edits == 0
    assert not equal(trajectory, rollout(agent.policy, levels, seed=1))


def test_a_recurrent_network_is_left_as_it_is() -> None:
    policy = load_agent("zoo:green-exit-lstm").policy
    assert isinstance(policy, NetworkPolicy)
    assert reusing(policy) is policy
