"""`TensorPPO` against stable-baselines3's own PPO."""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ppo_runs import RECIPE, ROLLOUT, after_one_rollout, distance, in_order, made, weights
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn

from goalmaze.agents.networks.base import Shape
from goalmaze.agents.training.addressed_draws import GlobalDraws
from goalmaze.agents.training.algorithms import make_environments, network_of
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.initial_network import initial_network
from goalmaze.agents.training.ppo import LazyInfos
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.envs.errors import GoalmazeError


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def sb3_buffer(buffer: TensorRolloutBuffer, algorithm: PPO) -> RolloutBuffer:
    """Return the same rollout in the buffer that stable-baselines3 keeps it in."""
    sb3 = algorithm.rollout_buffer
    assert isinstance(sb3, RolloutBuffer)
    for t in range(buffer.steps):
        step = {"obs": buffer.observations[t], "reward": buffer.rewards[t]}
        sb3.add(
            **{name: tensor.numpy() for name, tensor in step.items()},
            action=buffer.actions[t].numpy()[:, None],
            episode_start=buffer.episode_starts[t].numpy(),
            value=buffer.values[t],
            log_prob=buffer.log_probs[t],
        )
    return sb3


def test_advantages_and_minibatches_are_those_of_the_sb3_buffer() -> None:
    _, buffer = after_one_rollout()
    sb3 = made(algorithm="sb3-ppo")
    expected_buffer = sb3_buffer(buffer, sb3)
    last_values, dones = torch.randn(RECIPE.envs), np.arange(RECIPE.envs) % 3 == 0
    expected_buffer.compute_returns_and_advantage(last_values, dones)
    buffer.compute_advantages(last_values, torch.from_numpy(dones))
    np.testing.assert_allclose(buffer.advantages, expected_buffer.advantages, atol=1e-6)
    np.testing.assert_allclose(buffer.returns, expected_buffer.returns, atol=1e-6)
    buffer.compute_advantages(last_values, torch.from_numpy(~dones))
    assert not np.allclose(buffer.advantages, expected_buffer.advantages, atol=1e-3)
    buffer.compute_advantages(last_values, torch.from_numpy(dones))
    np.random.seed(5)  # noqa: NPY002
    expected = list(expected_buffer.get(60))
    np.random.seed(5)  # noqa: NPY002
    ours = list(buffer.minibatches(60, GlobalDraws().order(0, 0, ROLLOUT)))
    assert len(ours) == len(expected) == 4
    for batch, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(batch.observations, other.observations)
        torch.testing.assert_close(batch.actions, other.actions.flatten().long())
        torch.testing.assert_close(batch.old_log_prob, other.old_log_prob)
        torch.testing.assert_close(batch.old_values, other.old_values)
        torch.testing.assert_close(batch.advantages, other.advantages, atol=1e-6, rtol=0)
        torch.testing.assert_close(batch.returns, other.returns, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "options", [{}, {"clip_range_vf": 0.1}, {"normalize_advantage": 0}, {"vf_coef": 0.9, "target_kl": 1e-4}]
)
def test_one_update_on_the_same_rollout_ends_where_sb3_ppo_does(options: dict[str, float]) -> None:
    algorithm, buffer = after_one_rollout(algorithm_options=options)
    sb3 = made(algorithm="sb3-ppo", algorithm_options=options)
    start = weights(algorithm)
    network_of(sb3).load_state_dict(start)
    sb3.policy.optimizer.load_state_dict(copy.deepcopy(algorithm.policy.optimizer.state_dict()))
    expected_buffer = sb3_buffer(buffer, sb3)
    expected_buffer.advantages = buffer.advantages.numpy().copy()
    expected_buffer.returns = buffer.returns.numpy().copy()
    sb3._n_updates = algorithm._n_updates
    sb3._current_progress_remaining = algorithm._current_progress_remaining = 0.7
    for one in (algorithm, sb3):
        one.logger.name_to_value.clear()
        np.random.seed(7)  # noqa: NPY002
        one.train()
    assert distance(weights(algorithm), start) > 1e-3
    assert distance(weights(algorithm), weights(sb3)) < 2e-6
    ours, theirs = algorithm.logger.name_to_value, sb3.logger.name_to_value
    assert set(theirs) <= set(ours)
    for name in set(theirs) - {"train/explained_variance"}:
        assert ours[name] == pytest.approx(theirs[name], abs=2e-6, rel=1e-4), name
    np.random.seed(8)  # noqa: NPY002
    network_of(sb3).load_state_dict(start)
    sb3.train()
    assert distance(weights(algorithm), weights(sb3)) > 1e-5


def test_gradients_are_those_of_the_sb3_loss() -> None:
    algorithm, buffer = after_one_rollout()
    batch = next(buffer.minibatches(ROLLOUT, in_order(buffer)))
    algorithm.policy.zero_grad()
    loss, _ = algorithm.loss(batch, algorithm._loss_weights())
    loss.backward()  # type: ignore[no-untyped-call]
    ours = [cast(Tensor, p.grad).clone() for p in algorithm.policy.parameters()]
    algorithm.policy.zero_grad()
    values, log_probs, entropy = algorithm.policy.evaluate_actions(batch.observations, batch.actions)
    advantages = (batch.advantages - batch.advantages.mean()) / (batch.advantages.std() + 1e-8)
    ratio = torch.exp(log_probs - batch.old_log_prob)
    policy_loss = -torch.min(advantages * ratio, advantages * torch.clamp(ratio, 0.8, 1.2)).mean()
    value_loss = nn.functional.mse_loss(batch.returns, values.flatten())
    expected = policy_loss - RECIPE.entropy * cast(Tensor, entropy).mean() + 0.5 * value_loss
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    expected.backward()  # type: ignore[no-untyped-call]
    for one, parameter in zip(ours, algorithm.policy.parameters(), strict=True):
        torch.testing.assert_close(one, cast(Tensor, parameter.grad), rtol=1e-4, atol=1e-7)


def test_three_rollouts_from_the_same_seed_end_where_sb3_ppo_does() -> None:
    algorithms = {name: made(algorithm=name).learn(3 * ROLLOUT) for name in ("ppo", "sb3-ppo")}
    ours, theirs = algorithms["ppo"], algorithms["sb3-ppo"]
    np.testing.assert_array_equal(ours._last_obs, theirs._last_obs)
    assert ours.env.record.counts == theirs.env.record.counts > 20
    assert distance(weights(ours), weights(theirs)) < 1e-5
    assert list(ours.ep_info_buffer) == list(theirs.ep_info_buffer)
    other = made(seed=4)
    other.learn(3 * ROLLOUT)
    assert distance(weights(ours), weights(other)) > 1e-2


def test_actions_are_drawn_as_torch_draws_them(monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, buffer = after_one_rollout()
    env = cast(Any, algorithm.env)
    torch.manual_seed(1)
    actions = algorithm._act(buffer, 0, env, np.zeros(RECIPE.envs, np.bool_))
    with torch.no_grad():
        logits, _ = algorithm.policy.outputs(buffer.observations[0])
    torch.manual_seed(1)
    expected = torch.distributions.Categorical(logits=logits).sample()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(actions, expected)


def test_a_callback_finds_what_it_finds_under_sb3_ppo() -> None:
    class Watch(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def _on_step(self) -> bool:
            found = self.locals
            infos = [dict(info) for info in found["infos"]]
            rest = {name: np.array(found[name]) for name in ("actions", "rewards", "dones", "new_obs")}
            self.seen.append((infos, rest, found["n_steps"]))
            return self.num_timesteps < ROLLOUT + 3 * RECIPE.envs

    watches = {}
    for name in ("ppo", "sb3-ppo"):
        watches[name] = Watch()
        made(algorithm=name).learn(3 * ROLLOUT, callback=watches[name])
    assert len(watches["ppo"].seen) == len(watches["sb3-ppo"].seen) == RECIPE.rollout_steps + 3
    ends = 0
    for (infos, rest, n), (sb3_infos, sb3_rest, sb3_n) in zip(
        watches["ppo"].seen, watches["sb3-ppo"].seen, strict=True
    ):
        assert n == sb3_n
        for name in rest:
            np.testing.assert_allclose(rest[name], sb3_rest[name], atol=1e-6)
        for info, other in zip(infos, sb3_infos, strict=True):
            assert info.keys() == other.keys()
            ends += bool(info)
            if info:
                assert info["episode"] == other["episode"]
                np.testing.assert_array_equal(info["terminal_observation"], other["terminal_observation"])
    assert ends > 5


def test_infos_are_a_sequence() -> None:
    env = make_environments(RECIPE)
    env.reset()
    for _ in range(60):
        *_, ends = env.advance(np.ones(RECIPE.envs, np.int64))
        if 0 < len(ends.rows) < RECIPE.envs:
            break
    infos = LazyInfos(ends, RECIPE.envs)
    full = [row for row, info in enumerate(infos) if info]
    assert full == ends.rows.tolist()
    assert len(infos) == len(infos[:]) == RECIPE.envs
    assert infos[-1].keys() == infos[RECIPE.envs - 1].keys()
    with pytest.raises(IndexError):
        infos[RECIPE.envs]


@pytest.mark.parametrize("algorithm", ["ppo", "sb3-ppo", "sb3-a2c", "sb3-dqn"])
def test_every_algorithm_starts_from_the_network_of_its_seed(algorithm: str) -> None:
    torch.rand(7)
    start, shape = weights(made(algorithm=algorithm)), Shape.seeing(make_environments(RECIPE).mazes.view)
    for seed in (RECIPE.seed, RECIPE.seed + 1):
        expected = initial_network(RECIPE.network, shape, RECIPE.network_options, seed).state_dict()
        assert (distance(start, expected) == 0) == (seed == RECIPE.seed)


def test_another_environment_is_refused() -> None:
    from stable_baselines3.common.vec_env import VecMonitor

    algorithm = made()
    algorithm.env = VecMonitor(algorithm.env)
    with pytest.raises(GoalmazeError, match="algorithm ppo needs an unwrapped MazeVecEnv"):
        algorithm.learn(10)


@pytest.mark.parametrize("algorithm", ["ppo", "sb3-ppo", "sb3-a2c", "sb3-dqn"])
def test_weights_that_are_not_finite_stop_learning(algorithm: str) -> None:
    pupil = made(algorithm=algorithm, algorithm_options={"learning_starts": 0} if algorithm == "sb3-dqn" else {})
    with torch.no_grad():
        next(iter(network_of(pupil).parameters())).fill_(torch.nan)
    with pytest.raises(NotFiniteError, match="the network's output is not finite"):
        pupil.learn(4 * ROLLOUT)


@pytest.mark.parametrize(("what", "broken"), [("the loss", "returns"), ("the loss", "old_log_prob")])
def test_a_loss_that_is_not_finite_is_named(what: str, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, _ = after_one_rollout()
    true = TensorRolloutBuffer.minibatches

    def spoilt(self: TensorRolloutBuffer, size: int, order: NDArray[np.int64]) -> Any:
        for number, batch in enumerate(true(self, size, order)):
            bad = getattr(batch, broken) * (torch.nan if number == 2 else 1.0)
            yield batch._replace(**{broken: bad})

    monkeypatch.setattr(TensorRolloutBuffer, "minibatches", spoilt)
    with pytest.raises(NotFiniteError, match=f"{what} is not finite"):
        algorithm.train()


def test_an_observation_that_is_not_finite_is_named() -> None:
    algorithm, buffer = after_one_rollout()
    rewards, begins = np.zeros((RECIPE.rollout_steps, RECIPE.envs), np.float32), np.zeros(RECIPE.envs, np.bool_)
    buffer.observations = buffer.observations.float()
    algorithm._finish_rollout(buffer, cast(Any, algorithm.env), rewards, begins, [])
    buffer.observations[3, 2, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match="an observation is not finite"):
        algorithm._finish_rollout(buffer, cast(Any, algorithm.env), rewards, begins, [])
