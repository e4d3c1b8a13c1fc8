"""How fast are the parts on this machine?"""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.loading import load_agent
from goalmaze.agents.ppo import make_learner
from goalmaze.agents.recipe import Recipe
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sb3 import MazeVecEnv
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.families import make_family
from goalmaze.experiments import bench_env
from goalmaze.experiments.bench_env import per_second
from goalmaze.experiments.configs import BenchConfig
from goalmaze.experiments.report import table


@dataclasses.dataclass(frozen=True)
class BenchReport:
    """Measurements as rows with the same keys, and the threads they were made with."""

    name: str
    rows: tuple[dict[str, Any], ...]

    def json(self) -> dict[str, Any]:
        """Return the rows as plain data."""
        return {"bench": self.name, "torch_threads": torch.get_num_threads(), "rows": list(self.rows)}

    def text(self) -> str:
        """Return an aligned table."""
        columns = list(self.rows[0])
        return table(columns, [[_cell(row[column]) for column in columns] for row in self.rows])


def _cell(value: object) -> object:
    if value is None:
        return "-"
    return f"{value:,.0f}" if isinstance(value, float) else value


def run(config: BenchConfig) -> BenchReport:
    """Measure what the configuration names."""
    keep_large_blocks()
    rows = {"env": bench_env.measure, "eval": _bench_eval, "train": _bench_train}[config.name](config.full)
    return BenchReport(config.name, tuple(rows))


def _bench_eval(full: bool) -> list[dict[str, Any]]:
    """Whole episodes of a zoo agent."""
    agent = load_agent(f"zoo:{zoo_names()[0]}")
    rows = []
    for count in tqdm((512, 2048, 8192) if full else (1024,), desc="bench eval", disable=None):
        levels = agent.family.levels(0, np.arange(count))
        steps = int(rollout(agent.policy, levels, agent.family).steps.sum())
        episodes = per_second(functools.partial(rollout, agent.policy, levels, agent.family), count)
        rows.append({"levels": count, "episodes_per_s": episodes, "steps_per_s": episodes * steps / count})
    return rows


def _bench_train(full: bool) -> list[dict[str, Any]]:
    """Environment steps per second of training as it is done, rollouts and updates together."""
    rows = []
    for size in tqdm((9, 13) if full else (9,), desc="bench train", disable=None):
        recipe = Recipe(parameters={"size": size})
        rollout_size = recipe.envs * recipe.rollout_steps
        learner = make_learner(
            recipe, MazeVecEnv(make_family(recipe.family, recipe.parameters), recipe.envs, 0, recipe.shaping)
        )
        learner.learn(rollout_size)
        begun = time.perf_counter()
        learner.learn(4 * rollout_size)
        rows.append({"size": size, "steps_per_s": 4 * rollout_size / (time.perf_counter() - begun)})
    return rows
