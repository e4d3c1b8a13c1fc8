"""The recurrent side of `TensorPPO` against plain autograd."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, cast

import numpy as np
import pytest
import torch
from ppo_runs import RECIPE, ROLLOUT, in_order, made
from stable_baselines3.common.callbacks import ConvertCallback
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.training.algorithms import network_of
from goalmaze.agents.training.losses import ppo_loss
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.rollout_buffer import Minibatch, TensorRolloutBuffer
from goalmaze.agents.training.sb3_policy import MazePolicy


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """It has none."""


@register_network
class Echo(RecurrentNetwork):
    """A small recurrent network: a GRU cell over all planes."""

    name = "echo"
    Options = NoOptions

    def __init__(self, shape: Shape, options: NoOptions | None = None) -> None:
        super().__init__()
        self.shape, self.options = shape, options or NoOptions()
        self.cell = nn.GRUCell(int(np.prod(shape.observation)), 6)
        self.policy, self.value = nn.Linear(6, shape.actions), nn.Linear(6, 1)

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(batch, 6)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        memory = self.cell(features.flatten(1).float(), memory)
        return self.policy(memory), self.value(memory).squeeze(1), memory

    def sites(self) -> tuple[Site, ...]:
        return ()


@register_network
class Forgetful(RecurrentNetwork):
    """A feed-forward network that is handed a memory and hands it back."""

    name = "forgetful"
    Options = NoOptions

    def __init__(self, inner: Network) -> None:
        super().__init__()
        self.inner, self.shape, self.options = inner, inner.shape, NoOptions()

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(batch, 1)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (*self.inner(features), memory)

    def sites(self) -> tuple[Site, ...]:
        return ()


def with_network(algorithm: TensorPPO, network: Network) -> TensorPPO:
    """Put another network in the place of an algorithm's."""
    policy = algorithm.policy
    policy.network = network
    policy.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-5)
    return algorithm


@pytest.fixture
def echo() -> TensorPPO:
    algorithm = made()
    torch.manual_seed(0)
    return with_network(algorithm, Echo(network_of(algorithm).shape))


def test_a_network_that_ignores_its_memory_learns_as_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = made(learning_rate=1e-3)
    wrapped = made(learning_rate=1e-3)
    with_network(wrapped, Forgetful(network_of(wrapped)))
    torch.manual_seed(RECIPE.seed)
    plain.learn(ROLLOUT)
    torch.manual_seed(RECIPE.seed)
    wrapped._last_obs = None
    wrapped.learn(ROLLOUT)
    buffer, other = plain.rollout_buffer, wrapped.rollout_buffer
    torch.testing.assert_close(buffer.actions, other.actions)
    torch.testing.assert_close(buffer.advantages, other.advantages, atol=1e-5, rtol=0)
    other.memory = torch.zeros(RECIPE.envs, 1)
    network_of(wrapped).inner.load_state_dict(network_of(plain).state_dict())  # type: ignore[operator, union-attr]
    whole = next(buffer.minibatches(ROLLOUT, in_order(buffer)))
    sequences = next(other.sequences(RECIPE.envs, np.arange(RECIPE.envs)))
    for algorithm, batch in ((plain, whole), (wrapped, sequences)):
        algorithm.policy.zero_grad()
        algorithm.loss(batch, algorithm._loss_weights())[0].backward()
    inner = cast(Any, network_of(wrapped)).inner
    for one, two in zip(network_of(plain).parameters(), inner.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-5)


def test_the_memory_in_training_is_the_memory_in_acting(echo: TensorPPO) -> None:
    echo.learn(2 * ROLLOUT - 1, callback=lambda found, _: True)
    buffer = cast(TensorRolloutBuffer, echo.rollout_buffer)
    begins = buffer.episode_starts
    assert begins[1:].any()
    assert not begins[0].all()
    # act once more with the weights as they are, then run the sequences as training does
    quiet = ConvertCallback(None)
    quiet.init_callback(echo)
    echo.collect_rollouts(cast(Any, echo.env), quiet, cast(Any, buffer), RECIPE.rollout_steps)
    batch = next(buffer.sequences(RECIPE.envs, np.arange(RECIPE.envs)))
    from goalmaze.agents.training.ppo import unrolled

    with torch.no_grad():
        logits, values = unrolled(echo.policy.forward_pass, batch)
        log_probs = torch.log_softmax(logits, 2).gather(2, batch.actions.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(values, batch.old_values, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(log_probs, batch.old_log_prob, atol=1e-6, rtol=1e-5)
    blanked = batch._replace(memory=torch.zeros_like(cast(Tensor, batch.memory)))
    with torch.no_grad():
        assert not torch.allclose(unrolled(echo.policy.forward_pass, blanked)[1], batch.old_values, atol=1e-6)
        carried = batch._replace(episode_starts=torch.zeros_like(batch.episode_starts))
        assert not torch.allclose(unrolled(echo.policy.forward_pass, carried)[1], batch.old_values, atol=1e-6)


def by_episode(network: Echo, batch: Minibatch) -> tuple[Tensor, Tensor]:
    """Run every episode's part of every sequence by itself, from a blank memory or the one kept."""
    steps, envs = batch.episode_starts.shape
    logits = [[torch.zeros(0)] * envs for _ in range(steps)]
    values = [[torch.zeros(0)] * envs for _ in range(steps)]
    for b in range(envs):
        memory = cast(Tensor, batch.memory)[b : b + 1]
        starts = [0, *(t for t in range(1, steps) if batch.episode_starts[t, b]), steps]
        for number, (begin, end) in enumerate(itertools.pairwise(starts)):
            hidden = torch.zeros(1, 6) if number or batch.episode_starts[0, b] else memory
            for t in range(begin, end):
                hidden = network.cell(batch.observations[t, b : b + 1].flatten(1).float(), hidden)
                logits[t][b], values[t][b] = network.policy(hidden)[0], network.value(hidden)[0, 0]
    return (
        torch.stack([torch.stack(row) for row in logits]),
        torch.stack([torch.stack(row) for row in values]),
    )


def test_the_recurrent_gradient_is_that_of_every_episode_by_itself(echo: TensorPPO) -> None:
    echo.learn(2 * ROLLOUT - 1)
    batch = next(cast(TensorRolloutBuffer, echo.rollout_buffer).sequences(RECIPE.envs, np.arange(RECIPE.envs)))
    network = cast(Echo, network_of(echo))
    echo.policy.zero_grad()
    echo.loss(batch, echo._loss_weights())[0].backward()  # type: ignore[no-untyped-call]
    ours = [cast(Tensor, p.grad).clone() for p in network.parameters()]
    echo.policy.zero_grad()
    logits, values = by_episode(network, batch)
    loss, _ = ppo_loss(logits.flatten(0, 1), values.flatten(), batch.flattened(), echo._loss_weights())
    loss.backward()  # type: ignore[no-untyped-call]
    for one, parameter in zip(ours, network.parameters(), strict=True):
        torch.testing.assert_close(one, cast(Tensor, parameter.grad), rtol=1e-4, atol=1e-6)
    assert float(ours[1].abs().max()) > 1e-4


def test_predicting_with_a_memory_is_advancing_by_hand(echo: TensorPPO) -> None:
    network, policy = cast(Echo, network_of(echo)), cast(MazePolicy, echo.policy)
    seen = np.stack([np.asarray(echo.env.reset()) for _ in range(3)])  # type: ignore[union-attr]
    state, memory = None, network.initial_memory(RECIPE.envs, ())
    for t in range(3):
        begins = np.arange(RECIPE.envs) % 2 == t % 2 if t == 2 else np.zeros(RECIPE.envs, np.bool_)
        actions, state = policy.predict(seen[t], state, begins, deterministic=True)
        with torch.no_grad():
            memory = memory * torch.from_numpy(~begins).float()[:, None]
            logits, _, memory = network.step(torch.from_numpy(seen[t]), memory)
        np.testing.assert_array_equal(actions, logits.argmax(1))
        assert state is not None
        np.testing.assert_allclose(state[0], memory, atol=1e-6)


def test_a_recurrent_network_learns_what_only_memory_can_know() -> None:
    """The cue is seen at the first step and pays at the third; without memory nothing beats a coin."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)

    class Recall:
        """Returns buffer of a task of three steps, played by a policy, as the algorithm would keep it."""

        def play(self, algorithm: TensorPPO, envs: int) -> tuple[TensorRolloutBuffer, float]:
            box = cast(Any, algorithm.observation_space)
            buffer = TensorRolloutBuffer(3, box, cast(Any, algorithm.action_space), "cpu", 0.95, 0.9, envs)
            cues = rng.integers(0, 2, envs)
            buffer.memory = memory = algorithm.policy.initial_memory(envs)
            for t in range(3):
                seen = np.zeros((envs, *box.shape), np.uint8)
                if t == 0:
                    seen[np.arange(envs), 0, 0, cues] = 1
                buffer.observations[t] = torch.from_numpy(seen)
                buffer.episode_starts[t] = t == 0
                with torch.no_grad():
                    logits, values, memory = algorithm.policy.step(buffer.observations[t], memory)
                drawn = torch.distributions.Categorical(logits=logits)  # type: ignore[no-untyped-call]
                buffer.actions[t] = drawn.sample()  # type: ignore[no-untyped-call]
                buffer.log_probs[t] = drawn.log_prob(buffer.actions[t])  # type: ignore[no-untyped-call]
                buffer.values[t] = values
            right = buffer.actions[2] == torch.from_numpy(cues)
            buffer.rewards[2] = right.float()
            buffer.compute_advantages(torch.zeros(envs), torch.ones(envs, dtype=torch.bool))
            return buffer, float(right.float().mean())

    def learned(forget: bool) -> float:
        algorithm = with_network(made(algorithm_options={"n_epochs": 4}), Echo(network_of(made()).shape))
        for group in algorithm.policy.optimizer.param_groups:
            group["lr"] = 1e-2
        algorithm._update_learning_rate = lambda optimizer: None  # type: ignore[method-assign, assignment]
        if forget:
            network = cast(Echo, network_of(algorithm))
            true = network.recur
            network.recur = lambda seen, memory: true(seen, torch.zeros_like(memory))  # type: ignore[method-assign]
        score = 0.0
        for _ in range(60):
            buffer, score = Recall().play(algorithm, 64)
            algorithm.rollout_buffer, algorithm.batch_size = cast(Any, buffer), 3 * 32
            algorithm.train()
        return score

    assert learned(forget=False) > 0.9
    assert learned(forget=True) < 0.75
