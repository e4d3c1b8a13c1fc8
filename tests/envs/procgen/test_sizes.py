"""Solved levels by the size of the maze, beside agents whose rates are known."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.procgen.codec import parse
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.levels import CHEESE
from goalmaze.experiments.procgen_tools.sizes import by_size

FAMILY = ProcgenMaze(mode="hard", region=5)


def test_a_seeker_solves_every_size_and_a_random_walk_the_small_ones() -> None:
    seeking, walking = (by_size(policy, FAMILY, 48, seed=3) for policy in (Seeker(CHEESE), RandomWalker()))
    assert [row.solved.value for row in seeking] == [1.0] * len(seeking)
    assert sum(row.solved.levels for row in seeking) == 48
    assert walking[0].solved.value > 0.7
    assert walking[-1].solved.value < 0.5
    paths = [row.path for row in seeking]
    assert paths == sorted(paths)
    assert paths == [row.path for row in walking]


def test_sizes_are_those_that_procgens_states_say() -> None:
    levels = FAMILY.levels(3, np.arange(48))
    sizes = [parse(state).maze_dim for state in levels.states()]
    rows = by_size(Seeker(CHEESE), FAMILY, 48, seed=3)
    assert [row.solved.levels for row in rows] == [
        sum(row.smallest <= size <= row.largest for size in sizes) for row in rows
    ]
    # Another way to the size: how far the free cells reach.
    for level, size in zip(levels.walls, sizes, strict=True):
        free = np.flatnonzero(~level.all(axis=0))
        assert free[-1] - free[0] + 1 == size


def test_an_agent_of_another_family_is_refused_in_one_line() -> None:
    command = [sys.executable, "-m", "goalmaze.experiments.procgen_tools.sizes", "zoo:green-exit", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "these measurements are those of ProcgenMaze" in done.stderr
    assert not done.stdout


def test_the_report_is_json() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "goalmaze.experiments.procgen_tools.sizes"]
    done = subprocess.run(
        [*command, "zoo:procgen-region5/0", "--levels", "12", "--json"], capture_output=True, text=True, check=True
    )
    assert sum(row["solved"]["levels"] for row in json.loads(done.stdout)["sizes"]) == 12
