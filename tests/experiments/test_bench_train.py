"""`goalmaze bench train`: four rates by turns, and the lower bound on the time of the network."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
import torch
from plans import SMALL_RECIPE

from goalmaze.experiments.bench import train as bench_train


def test_the_bench_measures_all_four_by_turns() -> None:
    torch.set_num_threads(1)
    recipe = dataclasses.replace(SMALL_RECIPE, envs=32, minibatches=4)
    row = bench_train.compare(recipe, turns=2)
    rates = {name: value for name, value in row.items() if name.endswith("steps_per_s")}
    assert set(rates) == {"steps_per_s", "bound_steps_per_s", "sb3_steps_per_s", "sb3_same_recipe_steps_per_s"}
    assert all(value > 0 for value in rates.values())
    assert min(row["of_bound"], row["times_sb3"], row["times_sb3_same_recipe"]) > 0


def test_the_bound_takes_as_long_as_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass of the network made longer by a known time shows in the bound, and as often as it should."""
    torch.set_num_threads(1)
    from goalmaze.agents.training.algorithms import make_algorithm, make_environments

    algorithm = make_algorithm(SMALL_RECIPE, make_environments(SMALL_RECIPE))
    algorithm.learn(256)
    bound = bench_train.NetworkAlone(algorithm)  # type: ignore[arg-type]
    bound._policy.optimizer.param_groups[0]["lr"] = 1e-3
    true, passes = bound._policy.outputs, []

    def slow(seen: torch.Tensor) -> Any:
        passes.append(len(seen))
        time.sleep(0.01)
        return true(seen)

    monkeypatch.setattr(bound._policy, "outputs", slow)
    before = {name: tensor.clone() for name, tensor in algorithm.policy.state_dict().items()}
    assert bound.rate() < 256 / (18 * 0.01)
    assert passes == [16] * 16 + [128] * 2
    assert all(np.array_equal(tensor, before[name]) for name, tensor in algorithm.policy.state_dict().items())
    moved = [not np.array_equal(tensor, before[name]) for name, tensor in bound._policy.state_dict().items()]
    assert sum(moved) > len(moved) / 2
