"""`goalmaze bench train`: four rates by turns, and the lower bound on the time of the network."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pytest
import torch
from plans import SMALL_RECIPE

from goalmaze.experiments.bench import curriculum as bench_curriculum
from goalmaze.experiments.bench import train as bench_train
from goalmaze.experiments.bench.command import BenchReport


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


def test_a_curriculum_is_timed_beside_domain_randomisation() -> None:
    torch.set_num_threads(1)
    recipe = dataclasses.replace(
        SMALL_RECIPE, curriculum="accel", curriculum_options={"score": "regret"}, learning_rate=0.0
    )
    row = bench_curriculum.compare(recipe, turns=2, filled=3)
    assert list(row) == ["curriculum", "score", "buffer", "steps_per_s", "dr_steps_per_s", "cost", "rollout_cost"]
    assert row["buffer"] > 0
    assert min(row["steps_per_s"], row["dr_steps_per_s"]) > 0
    assert min(row["cost"], row["rollout_cost"]) > -1
    # Rows of both kinds are printed, each under their own heads.
    report = BenchReport("train", ({"size": 9, "network": "grid"}, row, row))
    assert [len(table.rows) for table in report.blocks()] == [1, 2]  # type: ignore[union-attr]
