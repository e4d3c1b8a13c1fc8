"""How fast are the parts on this machine?"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.loading import load_agent
from goalmaze.agents.ppo import make_learner
from goalmaze.agents.recipe import Recipe
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sb3 import MazeVecEnv
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.episodes import Episodes
from goalmaze.envs.families import make_family
from goalmaze.envs.families.base import TRAINING
from goalmaze.experiments.configs import BenchConfig
from goalmaze.experiments.report import table

MINIMUM_SECONDS = 1.0


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
        cells = [[f"{v:,.0f}" if isinstance(v, float) else v for v in row.values()] for row in self.rows]
        return table(list(self.rows[0]), cells)


def run(config: BenchConfig) -> BenchReport:
    """Measure what the configuration names."""
    keep_large_blocks()
    rows = {"env": _bench_env, "eval": _bench_eval, "train": _bench_train}[config.name](config.full)
    return BenchReport(config.name, tuple(rows))


def _bench_env(full: bool) -> list[dict[str, Any]]:
    """Levels made and steps taken, observed, with fresh levels where episodes end."""
    rows = []
    settings = (
        [(size, batch) for size in (9, 13, 25) for batch in (64, 1024, 4096)] if full else [(9, 1024), (13, 1024)]
    )
    for size, batch in tqdm(settings, desc="bench env", disable=None):
        family = make_family("GreenExit", {"size": size})
        fresh = functools.partial(family.levels, 0, np.arange(batch), split=TRAINING)
        walk = _Walk(Episodes(family, fresh()), np.random.default_rng(0).integers(0, 4, (64, batch)))
        rows.append(
            {
                "family": family.name,
                "size": size,
                "observation": "planes",
                "batch": batch,
                "threads": 1,
                "steps_per_s": _per_second(walk.step, batch),
                "levels_per_s": _per_second(fresh, batch),
            }
        )
    return rows


class _Walk:
    """Random steps, observed, with a fresh level wherever an episode ends."""

    def __init__(self, episodes: Episodes, actions: NDArray[np.int64]) -> None:
        self.episodes, self.actions, self.number = episodes, actions, 0

    def step(self) -> None:
        """Take one step everywhere."""
        episodes = self.episodes
        episodes.step(self.actions[self.number % len(self.actions)])
        self.number += 1
        ended = np.flatnonzero(episodes.done)
        if len(ended):
            indices = self.number * len(episodes) + ended
            episodes.begin(ended, episodes.family.levels(0, indices, split=TRAINING))
        episodes.observe()


def _bench_eval(full: bool) -> list[dict[str, Any]]:
    """Whole episodes of a zoo agent."""
    agent = load_agent(f"zoo:{zoo_names()[0]}")
    rows = []
    for count in tqdm((512, 2048, 8192) if full else (1024,), desc="bench eval", disable=None):
        levels = agent.family.levels(0, np.arange(count))
        steps = int(rollout(agent.policy, levels, agent.family).steps.sum())
        episodes = _per_second(functools.partial(rollout, agent.policy, levels, agent.family), count)
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


def _per_second(task: Callable[[], object], units: int) -> float:
    """Return units of work done per second by calling a task over and over, after one call to warm up."""
    task()
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < MINIMUM_SECONDS:
        task()
        done += units
    return done / (time.perf_counter() - begun)
