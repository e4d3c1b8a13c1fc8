"""`GpuPPO` with recordings that stand in for CUDA graphs learns what `TensorPPO` learns."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from other_device import OTHER, other_device
from plans import NETWORK
from recordings import StandIn
from stable_baselines3.common.logger import Logger
from torch import Tensor

from goalmaze.agents.training import algorithms, gpu_ppo
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.cuda_graphs import Outputs, RecordedFunction
from goalmaze.agents.training.gpu_ppo import GpuPPO
from goalmaze.agents.training.halves import Half, joined_ends
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import MazeVecEnv

RECIPE = Recipe(
    parameters={"size": 5}, network_options=NETWORK, envs=8, rollout_steps=16, minibatches=4, seed=3, device="cpu"
)
ROLLOUTS = 4


@pytest.fixture
def standins(monkeypatch: pytest.MonkeyPatch) -> list[StandIn]:
    """Let `GpuPPO` take the place of `TensorPPO`, and return the recordings that it makes."""
    made: list[StandIn] = []

    def recorded(
        function: Callable[[], Outputs], device: torch.device, changed: Callable[[], Sequence[Tensor]] = tuple
    ) -> RecordedFunction:
        made.append(StandIn())
        return RecordedFunction(function, changed, made[-1])

    monkeypatch.setattr(gpu_ppo, "recorded", recorded)
    monkeypatch.setitem(algorithms.CLASSES, "ppo", GpuPPO)
    return made


def learned(**changes: Any) -> tuple[TensorPPO, dict[str, float]]:
    """Return the algorithm after some rollouts, and what it logged at the end."""
    recipe = dataclasses.replace(RECIPE, **changes)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    assert isinstance(algorithm, TensorPPO)
    algorithm.set_logger(Logger(None, []))
    algorithm.learn(ROLLOUTS * recipe.envs * recipe.rollout_steps)
    return algorithm, {name: value for name, value in algorithm.logger.name_to_value.items() if "time" not in name}


def distance(one: TensorPPO, other: TensorPPO) -> float:
    """Return the largest difference of two weights."""
    pairs = zip(network_of(one).state_dict().values(), network_of(other).state_dict().values(), strict=True)
    return max(float((mine - theirs).abs().max()) for mine, theirs in pairs)


@pytest.mark.parametrize("network", ["grid", "lstm"])
def test_recorded_passes_learn_the_same(network: str, request: pytest.FixtureRequest) -> None:
    expected, log = learned(network=network)
    standins = request.getfixturevalue("standins")
    algorithm, recorded_log = learned(network=network)
    assert isinstance(algorithm, GpuPPO)
    # Not bit for bit: values of episodes that the time limit ended are computed in batches of another size.
    assert distance(algorithm, expected) < 1e-6
    assert recorded_log == pytest.approx(log, rel=1e-4, abs=1e-6)
    passes, updates = standins
    # One update a minibatch, and for each half one pass a step and for the values after the rollout; more where
    # episodes were cut.
    assert updates.replays == ROLLOUTS * RECIPE.epochs * RECIPE.minibatches
    assert passes.replays > ROLLOUTS * 2 * (RECIPE.rollout_steps + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GpuPPO, "overlap", False)
        by_turns, log_by_turns = learned(network=network)
    assert distance(by_turns, algorithm) == 0
    assert log_by_turns == recorded_log


def test_the_actions_of_a_half_are_computed_while_the_other_half_advances(
    standins: list[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    launch, advance = GpuPPO._launch, MazeVecEnv.advance

    def launched(self: GpuPPO, half: Half, t: int, *arguments: Any) -> None:
        order.append(f"launch {t} {half.rows.start}")
        launch(self, half, t, *arguments)

    def advanced(self: MazeVecEnv, actions: Any) -> Any:
        order.append(f"advance {len(actions)}")
        return advance(self, actions)

    monkeypatch.setattr(GpuPPO, "_launch", launched)
    monkeypatch.setattr(MazeVecEnv, "advance", advanced)
    monkeypatch.setattr(sys.modules[__name__], "ROLLOUTS", 1)
    learned(rollout_steps=3, minibatches=2)
    first = ["launch 0 0", "launch 0 4"]
    between = ["advance 4", "launch {} 0", "advance 4", "launch {} 4"]
    expected = [*first, *(one.format(t) for t in (1, 2) for one in between), "advance 4", "advance 4"]
    assert order == expected


@pytest.mark.parametrize("observation", ["planes", "rgb"])
def test_parts_of_environments_do_what_the_whole_does(observation: str) -> None:
    recipe = dataclasses.replace(RECIPE, observation=observation, shaping_kind="potential")
    whole, halved = (make_environments(recipe) for _ in range(2))
    whole.reset()
    halved.reset()
    parts = [halved.part(rows) for rows in (slice(0, 3), slice(3, 8))]
    rng = np.random.default_rng(0)
    for _ in range(200):
        actions = rng.integers(4, size=8)
        rewards, dones, ends = whole.advance(actions)
        steps = [part.advance(some) for part, some in zip(parts, (actions[:3], actions[3:]), strict=True) if part]
        np.testing.assert_array_equal(np.concatenate([one[0] for one in steps]), rewards)
        np.testing.assert_array_equal(np.concatenate([one[1] for one in steps]), dones)
        for ours, theirs in zip(joined_ends([one[2] for one in steps], (slice(0, 3), slice(3, 8))), ends, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(halved.observations, whole.observations)
    assert whole.record.counts > 20
    for name, array in whole.snapshot().items():
        np.testing.assert_array_equal(halved.snapshot()[name], array, name)


def test_a_limit_on_the_divergence_is_not_recorded(standins: list[StandIn]) -> None:
    changes = {"algorithm_options": {"target_kl": 1e-4}}
    algorithm, _ = learned(**changes)
    assert len(standins) == 1
    algorithms.CLASSES["ppo"] = TensorPPO
    expected, _ = learned(**changes)
    assert distance(algorithm, expected) < 1e-6


def test_a_cpu_trains_without_recordings() -> None:
    algorithm, _ = learned()
    assert type(algorithm) is TensorPPO


def test_no_tensor_is_left_on_the_cpu(standins: list[StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"network": "lstm", "envs": 4, "rollout_steps": 8, "minibatches": 2}
    expected, log = learned(**changes)
    with other_device():
        monkeypatch.setattr(algorithms, "find_device", lambda _name: OTHER)
        algorithm, moved_log = learned(**changes)
        assert algorithm.device == OTHER
        weights = {name: tensor.cpu() for name, tensor in network_of(algorithm).state_dict().items()}
    assert len(standins) == 4
    for name, tensor in network_of(expected).state_dict().items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-6, rtol=0)
    assert moved_log == pytest.approx(log, rel=1e-4, abs=1e-6)
