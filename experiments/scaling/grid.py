"""The rows of a grid of trained runs: exact regret and preference of every agent at every checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.formation.exact import CellPolicy, cell_policy
from goalmaze.experiments.formation.measures.base import Snapshot, StudyLevels
from goalmaze.experiments.formation.measures.cue_first import preference
from goalmaze.experiments.formation.registration import registered
from goalmaze.experiments.formation.series import Run, load_run
from goalmaze.experiments.scaling.rows import ScaleRow

DISCOUNT = 0.9
"""Discount of the return, that of the default recipe."""


def grid_rows(runs: Sequence[str]) -> list[ScaleRow]:
    """Return the rows of runs with a series of checkpoints, of populations or single agents.

    Args:
        runs: their names; each has one width and one number of blocks.

    Raises:
        GoalmazeError: a run is missing, or its network has no channels and blocks.
    """
    return [row for name in progress(list(runs), "measuring the grid", "run") for row in _run_rows(load_run(name))]


def _run_rows(run: Run) -> list[ScaleRow]:
    rows, levels = [], None
    for steps in run.steps:
        for agent, network in zip(run.agents, run.networks(steps), strict=True):
            levels = levels or StudyLevels.of(run.family, network.shape.spec, registered())
            rows.append(_row(run, agent, steps, network, levels))
    return rows


def _row(run: Run, agent: str, steps: int, network: Network, levels: StudyLevels) -> ScaleRow:
    width, blocks = (getattr(network.options, name, None) for name in ("channels", "blocks"))
    if not isinstance(width, int) or not isinstance(blocks, int):
        raise GoalmazeError(f"{run.name} has a network without channels and blocks: train --network grid")
    pool = levels.pool
    policy = cell_policy(NetworkPolicy(network), pool.levels, pool.goals)
    return ScaleRow(
        width,
        blocks,
        sum(one.numel() for one in network.parameters()),
        steps,
        int(agent) if agent.isdigit() else 0,
        normalised_regret(policy, pool.goals),
        preference(Snapshot(network, levels, registered()), levels.series).score,
    )


def normalised_regret(policy: CellPolicy, goals: NDArray[np.int32], discount: float = DISCOUNT) -> float:
    """Return 1 - mean discounted return / mean optimal one, for a reward of 1 at the goal; without a time limit.

    Args:
        policy: on all cells of B levels but the goal's.
        goals: int32 [B], the cells of the goals.
        discount: for each step.
    """
    best = discount ** pick(distances(policy.levels, goals), policy.levels.start).astype(np.float64)
    return float(1 - policy.discounted_arrival(goals, discount).mean() / best.mean())
