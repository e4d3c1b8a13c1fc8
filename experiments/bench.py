"""How fast are the parts on this machine?"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.agents.zoo import zoo_names
from goalmaze.experiments import bench_env, bench_train
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
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return value


def run(config: BenchConfig) -> BenchReport:
    """Measure what the configuration names."""
    keep_large_blocks()
    rows = {"env": bench_env.measure, "eval": _bench_eval, "train": bench_train.measure}[config.name](config.full)
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
