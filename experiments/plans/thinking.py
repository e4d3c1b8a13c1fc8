"""Whether thinking longer before the first action solves more levels, at sizes that the agent was trained on or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy

from goalmaze.agents.loading import Agent
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.statistics.intervals import Rate


@dataclasses.dataclass(frozen=True)
class ThinkingRow:
    """How many held-out levels an agent solves after some extra passes on the first observation.

    Attributes:
        size: rows and columns of the mazes, in cells.
        think: number of extra passes.
        solved: rate of levels on which all true reward was earned.
        gained: levels that it solves with the extra passes only.
        lost: levels that it solves without them only.
        p: of as uneven a split of gained and lost levels by chance (exact McNemar test, two-sided).
        detour: steps taken over fewest steps, mean over the levels that it solves.
    """

    size: int
    think: int
    solved: Rate
    gained: int
    lost: int
    p: float
    detour: float

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        return {
            "size": self.size,
            "think": self.think,
            "solved": number(self.solved.value),
            "solved_interval": interval(self.solved),
            "gained": self.gained,
            "lost": self.lost,
            "p": number(self.p),
            "detour": number(self.detour),
        }

    def row(self) -> list[object]:
        """Return the row of the table."""
        return [
            f"{self.size}x{self.size}",
            self.think,
            self.solved,
            self.gained,
            self.lost,
            f"{self.p:.3f}",
            f"{self.detour:.2f}",
        ]


def think_longer(
    agent: Agent, think: Sequence[int], sizes: Sequence[int], *, levels: int, seed: int, greedy: bool = True
) -> list[ThinkingRow]:
    """Return what the agent solves with each number of extra passes at each size, always on the same levels.

    Args:
        agent: a recurrent agent.
        think: numbers of extra passes; 0 is evaluated in any case, for the comparison.
        sizes: rows and columns of the mazes.
        levels: number of held-out levels of each size.
        seed: of the levels, and of the actions where they are sampled.
        greedy: take the likeliest action, so that the levels gained are no accident of sampling.
    """
    counts = sorted({0, *think})
    jobs = [(size, steps) for size in sizes for steps in counts]
    rows: list[ThinkingRow] = []
    solved_without = np.empty(0, np.bool_)
    for size, steps in progress(jobs, "thinking", "evaluation"):
        if steps == 0:
            batch = agent.family.resized(size).levels(seed, count=levels, shift=NO_SHIFT)
            facts = SolvedLevels.of(batch)
        with agent.policy.thinking(steps):
            one = evaluate_policy(
                agent.name, agent.policy, batch, shift=NO_SHIFT, seed=seed, greedy=greedy, facts=facts
            )
        solved = one.episodes.solved
        if steps == 0:
            solved_without = solved
        gained, lost = int((solved & ~solved_without).sum()), int((solved_without & ~solved).sum())
        p = float(scipy.stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
        rows.append(ThinkingRow(size, steps, one.solved, gained, lost, p, one.detour))
    return rows
