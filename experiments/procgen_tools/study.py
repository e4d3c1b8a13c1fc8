"""What an agent does on Procgen's maze by region of the cheese, under steering vectors, and under edits of its goal.

Three measurements of published studies, each with the controls that it had and those that it lacked: solved levels by
the size of the region in which the cheese lies (Langosco et al., 2022), the cheese vector and the top-right vector, and
the path probability of every cell while the goal is removed and its activations are written elsewhere (Mini et al.,
2023).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import FITTING, NO_SHIFT, LevelBatch
from goalmaze.envs.procgen.family import ProcgenMaze
from goalmaze.envs.procgen.fields import corners, opened
from goalmaze.envs.procgen.levels import CHEESE, ProcgenLevels
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.evaluate.metrics import Outcomes, goal_visits, off_each_others_path, outcomes
from goalmaze.experiments.statistics.bootstrap import Interval, bootstrap_levels
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.activations import is_rectified, level_activations
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.procgen_tools.retargetability import BINS, HeatMap, MakeEdit, heat_map
from goalmaze.probes.steering.fit import fit_edit

ANYWHERE = "goal-anywhere"
FIT_SEED = 1

UNEDITED, MOVED = "unedited", "cheese moved"
"""Conditions of heat maps beside the steering methods."""


@dataclasses.dataclass(frozen=True)
class RegionRow:
    """An agent on levels whose cheese lies in the top right `region` × `region` cells of the maze.

    Attributes:
        region: rows and columns.
        solved: fraction of levels in which it reached the cheese in Procgen's 500 steps.
    """

    region: int
    solved: Rate


@dataclasses.dataclass(frozen=True)
class VectorRow:
    """What an agent reached first while a vector was added at every step.

    Attributes:
        vector: its name.
        strength: factor on it.
        outcomes: cheese, top right corner or neither first, over levels in which neither lies on the way to the other.
    """

    vector: str
    strength: float
    outcomes: Outcomes


@dataclasses.dataclass(frozen=True)
class HeatRow:
    """Mean path probability of cells at similar distances from the path to the top right corner, the goal removed.

    Attributes:
        condition: `UNEDITED`, `MOVED` or the name of a steering method.
        low: least distance, in steps; None for all cells.
        cells: number of cells.
        mean: mean over levels of the means over their cells, with an interval that covers levels.
    """

    condition: str
    low: int | None
    cells: int
    mean: Interval


def procgen_family(agent: Agent) -> ProcgenMaze:
    """Return the family of an agent.

    Raises:
        GoalmazeError: it is not `ProcgenMaze`.
    """
    if not isinstance(agent.family, ProcgenMaze):
        raise GoalmazeError(
            f"agent {agent.name} was trained on {agent.family.name}: these measurements are those of ProcgenMaze"
        )
    return agent.family


def by_region(agent: Agent, regions: Sequence[int], levels: int, seed: int = 0) -> tuple[RegionRow, ...]:
    """Return how many levels an agent solves by the region of the cheese.

    Args:
        agent: of family `ProcgenMaze`.
        regions: rows and columns of the regions.
        levels: number of held-out levels a region; the same mazes for all regions.
        seed: of levels and actions.
    """
    family, rows = procgen_family(agent), []
    for region in progress(regions, "regions", "region"):
        own = make_family(family.name, {**family.parameters, "region": region})
        trajectory = rollout(agent.policy, own.levels(seed, count=levels), seed=seed)
        rows.append(RegionRow(region, rate(int((goal_visits(trajectory) < NEVER).sum()), levels)))
    return tuple(rows)


def by_vector(agent: Agent, site: str, levels: int, seed: int = 0) -> tuple[VectorRow, ...]:
    """Return what an agent reaches first while vectors are subtracted and added at a site.

    As in the study, each level has its own vectors, differences of activations before its first step: with the cheese
    and without it, with an open path to the top right corner and without it. Controls: the cheese vector of the next
    level, and noise whose norm in each level is that of its cheese vector.

    Args:
        agent: of family `ProcgenMaze`.
        site: of the vectors.
        levels: number of held-out levels; those count in which neither cheese nor corner lies on the way to the other.
        seed: of levels, actions and noise.
    """
    family, policy = procgen_family(agent), agent.policy
    drawn = cast(ProcgenLevels, family.levels(seed, count=levels, shift=ANYWHERE))
    apart = off_each_others_path(drawn, drawn.cells(CHEESE), corners(drawn))
    chosen = drawn.take(np.flatnonzero(apart))
    if not len(chosen):
        raise GoalmazeError(f"cheese and corner are apart in none of {levels} levels: choose more")
    cheese = difference(policy, chosen, chosen.removed(CHEESE), site)
    vectors = {
        "cheese": cheese,
        "top right": difference(policy, opened(chosen), chosen, site),
        "cheese of another level": cheese.roll(1, dims=0),
        "noise": noise_like(cheese, seed),
    }
    conditions = [("none", 0.0), *itertools.product(vectors, (-1.0, 1.0))]
    rectified = is_rectified(level_activations(policy, chosen, site))
    goal, corner = chosen.cells(CHEESE), corners(chosen)
    rows = []
    for name, strength in progress(conditions, "vectors", "vector"):
        edits = [] if name == "none" else [Add(site, delta=vectors[name], strength=strength, rectified=rectified)]
        with applied(policy, edits):
            trajectory = rollout(policy, chosen, seed=seed)
        found = outcomes(trajectory.first_visit(goal), trajectory.first_visit(corner))
        rows.append(VectorRow(name, strength, found))
    return tuple(rows)


def difference(policy: NetworkPolicy, present: LevelBatch, absent: LevelBatch, site: str) -> Tensor:
    """Return float32 [B, ...], the differences of a site's activations before the first step of two batches."""
    return level_activations(policy, present, site) - level_activations(policy, absent, site)


def noise_like(vectors: Tensor, seed: int) -> Tensor:
    """Return Gaussian noise with the norms of vectors [B, ...], at the places that some vector changes."""
    noise = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(seed)) * (vectors != 0).any(dim=0)
    ratio: Tensor = vectors.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return (noise.flatten(1) * ratio[:, None]).reshape(vectors.shape)


def heat_maps(
    agent: Agent, site: str, methods: Sequence[str], levels: int, fit_levels: int, seed: int = 0
) -> dict[str, list[HeatMap]]:
    """Return the path probabilities of all cells, without an edit, with the cheese moved, and by steering method.

    Args:
        agent: of family `ProcgenMaze`.
        site: that the methods edit.
        methods: names of steering methods.
        levels: number of held-out levels.
        fit_levels: number of levels that the methods are fitted on.
        seed: of the levels.

    Returns:
        Condition → a map for each level.
    """
    family, policy = procgen_family(agent), agent.policy
    conditions: dict[str, tuple[MakeEdit | None, bool]] = {UNEDITED: (None, False), MOVED: (None, True)}
    fitting = family.levels(FIT_SEED, count=fit_levels, shift=ANYWHERE, split=FITTING)
    for method in progress(methods, "fitting", "method"):
        fitted = fit_edit(agent, method, site, fitting, seed)

        def make_edit(some: LevelBatch, cells: Cells, fitted: FittedEdit = fitted) -> Edit:
            return fitted.edits(GoalMove.on(some, cells))[0]

        conditions[method] = (make_edit, False)
    batch = cast(ProcgenLevels, family.levels(seed, count=levels, shift=NO_SHIFT))
    corner = corners(batch)
    return {
        condition: [
            heat_map(policy, batch.take([b]), int(corner[b]), edit, goal_moved=moved)
            for b in progress(range(levels), condition, "level")
        ]
        for condition, (edit, moved) in conditions.items()
    }


def heat_rows(maps: dict[str, list[HeatMap]]) -> tuple[HeatRow, ...]:
    """Return the mean path probability by condition and distance, the last row of each over all cells."""
    rows = []
    for condition, own in maps.items():
        for low, high in (*itertools.pairwise(BINS), (None, BINS[-1])):
            inside = [(one.off_path >= (low or 0)) & (one.off_path < high) for one in own]
            means = [one.scores[mask].mean() for one, mask in zip(own, inside, strict=True) if mask.any()]
            if means:
                cells = int(sum(mask.sum() for mask in inside))
                rows.append(HeatRow(condition, low, cells, bootstrap_levels(np.array(means))))
    return tuple(rows)
