"""Solved levels by the size of the maze: ``python -m goalmaze.experiments.procgen_tools.sizes AGENT [--levels N]``.

Procgen draws mazes of every odd size up to that of its mode. Small mazes are most of them, so the rate over all levels
says little about the large ones, whose paths are long.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import cast

import numpy as np

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels
from goalmaze.envs.procgen.patches import squares
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.printing import print_result
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.procgen_tools.study import procgen_family
from goalmaze.experiments.statistics.intervals import Rate, rate

SIZES = ((3, 7), (9, 11), (13, 15), (17, 19), (21, 23), (25, 25))
"""Smallest and largest maze of each row, rows and columns in cells."""


@dataclasses.dataclass(frozen=True)
class SizeRow:
    """An agent on the levels whose mazes have one of some sizes.

    Attributes:
        smallest: rows and columns of the smallest of these mazes.
        largest: the same of the largest.
        path: mean length of the shortest path to the cheese, in steps; NaN without levels.
        solved: fraction of these levels in which the agent reached the cheese in Procgen's 500 steps.
    """

    smallest: int
    largest: int
    path: float
    solved: Rate


def by_size(policy: Policy, family: ProcgenMaze, levels: int, seed: int = 0) -> tuple[SizeRow, ...]:
    """Return how many levels of the training distribution a policy solves by the size of the maze.

    Args:
        policy: the policy.
        family: the family.
        levels: number of held-out levels, of all sizes.
        seed: of levels and actions.
    """
    drawn = cast(ProcgenLevels, family.levels(seed, count=levels, shift=NO_SHIFT))
    cheese = drawn.cells(CHEESE)
    sizes = np.array([squares(state).maze_dim for state in drawn.states()])
    path = pick(distances(drawn, drawn.start), cheese)
    solved = rollout(policy, drawn, seed=seed).first_visit(cheese) < NEVER
    rows = []
    for smallest, largest in SIZES:
        among = (sizes >= smallest) & (sizes <= largest)
        if among.any():
            counted = rate(int(solved[among].sum()), int(among.sum()))
            rows.append(SizeRow(smallest, largest, float(path[among].mean()), counted))
    return tuple(rows)


@dataclasses.dataclass(frozen=True)
class SizeReport(Result):
    """What one agent solves by the size of the maze.

    Attributes:
        header: agent and levels.
        rows: rows by size.
    """

    header: ResultHeader
    rows: tuple[SizeRow, ...]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {**self.header.json(), "sizes": [dataclasses.asdict(row) for row in self.rows]}

    def blocks(self) -> Sequence[str | Table]:
        """Return the table and what its intervals cover."""
        rows = [
            [f"{row.smallest} to {row.largest}", row.solved.levels, formatted(row.path, ".0f"), row.solved]
            for row in self.rows
        ]
        title = f"{self.header.agent}: solved levels by the size of the maze"
        return [Table(["size", "levels", "steps needed", "solved"], rows, title), "intervals cover levels"]


def measure(name: str, levels: int) -> SizeReport:
    """Return the report of the agent of a name on a number of held-out levels.

    Raises:
        GoalmazeError: there is no such agent, or it is not of `ProcgenMaze`.
    """
    agent = load_agent(name)
    family = procgen_family(agent)
    header = ResultHeader(agent.name, family.name, family.size, levels, 0)
    return SizeReport(header, by_size(agent.policy, family, levels))


def main() -> int:
    """Print the report of the agent that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agent", help="a run folder or zoo:NAME, of family ProcgenMaze")
    parser.add_argument("--levels", type=int, default=512, help="held-out levels")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    return print_result(lambda: measure(chosen.agent, chosen.levels), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
