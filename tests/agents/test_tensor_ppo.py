"""`TensorPPO` against stable-baselines3's own PPO, and its recurrent side against plain autograd."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.logger import Logger
from torch import Tensor, nn

from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape, Site
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.training.addressed_draws import GlobalDraws
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.initial_network import initial_network
from goalmaze.agents.training.losses import ppo_loss
from goalmaze.agents.training.ppo import LazyInfos, TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import Minibatch, TensorRolloutBuffer
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.envs.errors import GoalmazeError

MAZES = {"size": 5, "braid": 0.3}
NETWORK = {"channels": 8, "blocks": 2, "hidden": 16}
RECIPE = Recipe(
    parameters=MAZES, network_options=NETWORK, steps=10_000, envs=12, rollout_steps=20, minibatches=4, epochs=2, seed=3
)
ROLLOUT = RECIPE.envs * RECIPE.rollout_steps


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def made(**changes: Any) -> Any:
    """Return the algorithm of the recipe; `TensorPPO` draws as stable-baselines3's PPO does."""
    recipe = dataclasses.replace(RECIPE, **changes)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    algorithm.set_logger(Logger(None, []))
    if isinstance(algorithm, TensorPPO):
        algorithm.draws = GlobalDraws()
    return algorithm


def in_order(buffer: TensorRolloutBuffer) -> NDArray[np.int64]:
    """Return the order of minibatches in which nothing is shuffled."""
    return np.arange(buffer.steps * buffer.envs)


def weights(algorithm: Any) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network_of(algorithm).state_dict().items()}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


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


def after_one_rollout(**changes: Any) -> tuple[TensorPPO, TensorRolloutBuffer]:
    algorithm = made(**changes)
    algorithm.learn(ROLLOUT)
    return algorithm, cast(TensorRolloutBuffer, algorithm.rollout_buffer)


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
