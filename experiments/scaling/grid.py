"""The rows of a grid of trained runs: exact regret and preference of every agent at every checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.training.run import read_recipe
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache, digest, weights_digest
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.formation.exact import CellPolicy, cell_policy
from goalmaze.experiments.formation.measures.base import Snapshot, StudyLevels
from goalmaze.experiments.formation.measures.cue_first import preference
from goalmaze.experiments.formation.registration import registered
from goalmaze.experiments.formation.series import Run, load_run, measures_code
from goalmaze.experiments.scaling.rates import RateRow
from goalmaze.experiments.scaling.registration import registered_scaling
from goalmaze.experiments.scaling.rows import ScaleRow

DISCOUNT = 0.9
"""Discount of the return, that of the default recipe."""

DEFAULT_CACHE = Path("~/.cache/goalmaze/scaling")


class _Measured(msgspec.Struct, frozen=True):
    """What was measured in one network."""

    regret: float
    preference: float


def grid_rows(runs: Sequence[str], cache: Path | None = None) -> list[ScaleRow]:
    """Return the rows of runs with a series of checkpoints, of populations or single agents.

    Args:
        runs: their names; each has one width and one number of blocks.
        cache: the folder that keeps measurements; `DEFAULT_CACHE` by default.

    Raises:
        GoalmazeError: a run is missing, or its network has no channels and blocks.
    """
    kept = MeasurementCache(cache or DEFAULT_CACHE)
    loaded = [load_run(name) for name in runs]
    wanted = [(run, steps) for run in loaded for steps in spaced(run.steps, registered_scaling().spacing)]
    return [
        row for run, steps in progress(wanted, "measuring the grid", "checkpoint") for row in _rows(run, steps, kept)
    ]


def rate_rows(runs: Sequence[str], cache: Path | None = None) -> list[RateRow]:
    """Return what is needed to choose a learning rate, of runs as in `grid_rows`: their regrets at the end.

    Raises:
        GoalmazeError: as `grid_rows`, or a run is no run folder.
    """
    kept = MeasurementCache(cache or DEFAULT_CACHE)
    rows = []
    for name in progress(list(runs), "measuring runs", "run"):
        run, (recipe, _) = load_run(name), read_recipe(Path(name))
        last = _rows(run, run.steps[-1], kept)
        rows.append(RateRow(last[0].width, recipe.learning_rate, run.steps[-1], tuple(one.regret for one in last)))
    return rows


def spaced(steps: Sequence[int], ratio: float) -> tuple[int, ...]:
    """Return the steps after 0 of which each is at least a ratio above the one before, and the last.

    Example:
        >>> spaced((0, 10, 12, 13, 20, 21), 1.25)
        (10, 13, 20, 21)
    """
    kept: list[int] = []
    for one in steps:
        if one > 0 and (not kept or one >= ratio * kept[-1] or one == steps[-1]):
            kept.append(one)
    return tuple(kept)


def _rows(run: Run, steps: int, cache: MeasurementCache) -> list[ScaleRow]:
    networks = run.networks(steps)
    levels = StudyLevels.of(run.family, networks[0].shape.spec, registered())
    return [_row(run, *one, steps, levels, cache) for one in zip(run.agents, networks, strict=True)]


def _row(run: Run, agent: str, network: Network, steps: int, levels: StudyLevels, cache: MeasurementCache) -> ScaleRow:
    width, blocks = (getattr(network.options, name, None) for name in ("channels", "blocks"))
    if not isinstance(width, int) or not isinstance(blocks, int):
        raise GoalmazeError(f"{run.name} has a network without channels and blocks: train --network grid")
    found = _measured(network, levels, cache)
    parameters = sum(one.numel() for one in network.parameters())
    seed = int(agent) if agent.isdigit() else 0
    return ScaleRow(width, blocks, parameters, steps, seed, found.regret, found.preference)


def _measured(network: Network, levels: StudyLevels, cache: MeasurementCache) -> _Measured:
    pool = levels.pool
    settings = {
        "weights": weights_digest(network),
        "levels": digest([pool.levels.hashes(), levels.series.hashes()]),
        "code": [measures_code(), hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()],
    }
    found = cache.get("scaling", settings, _Measured)
    if found is None:
        policy = cell_policy(NetworkPolicy(network), pool.levels, pool.goals)
        preferred = preference(Snapshot(network, levels, registered()), levels.series).score
        found = _Measured(normalised_regret(policy, pool.goals), preferred)
        cache.put("scaling", settings, found)
    return found


def normalised_regret(policy: CellPolicy, goals: NDArray[np.int32], discount: float = DISCOUNT) -> float:
    """Return 1 - mean discounted return / mean optimal one, for a reward of 1 at the goal; without a time limit.

    Args:
        policy: on all cells of B levels but the goal's.
        goals: int32 [B], the cells of the goals.
        discount: for each step.
    """
    best = discount ** pick(distances(policy.levels, goals), policy.levels.start).astype(np.float64)
    return float(1 - policy.discounted_arrival(goals, discount).mean() / best.mean())
