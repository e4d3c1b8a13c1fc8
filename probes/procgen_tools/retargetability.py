"""The retargetability protocol of Mini et al. (2023): heat maps of path probability and their mean by distance.

The goal is removed. For every cell that can be reached, an edit is to send the agent there. The cell's score is the
geometric mean of the probabilities that the edited policy gives the steps of the shortest path to it. The unedited
policy, and the goal really put on the cell, are scored the same way.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.probes.edits.base import Edit, applied

LEVELS = 100
"""Levels of the published protocol."""

BINS = (0, 5, 10, 15, 20, 25, 10_000)
"""Distances from the path to the top right corner, binned as in the published figure; each bin holds its lower end."""

UNEDITED, EDITED, GOAL_MOVED = "unedited", "edited", "goal moved"
TARGETS_AT_ONCE = 8

Floats = NDArray[np.float64]
MakeEdit = Callable[[LevelBatch, Cells], Edit]
"""From levels [N] and the cell [N] to which each is to be sent, to the edit that is to do it."""

Path = tuple[Cells, NDArray[np.int8]]
"""int32 [T], the cells of a path without its end, and int8 [T], the actions taken there."""


@dataclasses.dataclass(frozen=True, eq=False)
class HeatMap:
    """The path probability of every cell of one level that can be reached.

    Attributes:
        cells: int32 [N], without the start.
        scores: float64 [N], path probabilities.
        off_path: int32 [N], steps from each cell to the path from the start to the corner.
    """

    cells: Cells
    scores: Floats
    off_path: Cells


def shortest_path(level: LevelBatch, target: int) -> Path:
    """Return a shortest path from the start of one level to a cell.

    Of several, it is the one whose first differing action comes first in the order of actions.

    Raises:
        GoalmazeError: the cell cannot be reached.
    """
    remaining = distances(level.take([0]), np.array([target], np.int32))[0]
    # In the order of actions: `argmax` below takes the first of several that shorten the path.
    offsets = np.array([-level.width, 1, level.width, -1])
    cell, cells, actions = int(level.start[0]), list[int](), list[int]()
    if remaining[cell] >= UNREACHABLE:
        raise GoalmazeError(f"cell {target} cannot be reached from the start: choose another")
    while cell != target:
        action = int((remaining[cell + offsets] == remaining[cell] - 1).argmax())
        cells.append(cell)
        actions.append(action)
        cell += int(offsets[action])
    return np.array(cells, np.int32), np.array(actions, np.int8)


def heat_map(
    policy: NetworkPolicy, level: LevelBatch, corner: int, make_edit: MakeEdit | None, *, goal_moved: bool
) -> HeatMap:
    """Return the path probabilities of one level.

    Args:
        policy: the policy.
        level: a batch of one.
        corner: a cell, such as that in the top right corner; distances are counted from the path to it.
        make_edit: makes the edit to evaluate; None for none.
        goal_moved: put goal and cue on every target, instead of removing them.
    """
    cleared = level.without_goal_and_cue()
    from_start = distances(cleared, cleared.start)[0]
    targets = np.flatnonzero((from_start < UNREACHABLE) & (from_start > 0)).astype(np.int32)
    paths = [shortest_path(cleared, int(target)) for target in targets]
    scores: list[float] = []
    for first in range(0, len(targets), TARGETS_AT_ONCE):
        # The paths to several targets share one forward pass, because those of one target are too few to fill it.
        part = slice(first, first + TARGETS_AT_ONCE)
        scores += _scores(policy, cleared, targets[part], paths[part], make_edit, goal_moved)
    return HeatMap(targets, np.array(scores), _off_path(cleared, corner, targets))


def _scores(
    policy: NetworkPolicy,
    cleared: LevelBatch,
    targets: Cells,
    paths: Sequence[Path],
    make_edit: MakeEdit | None,
    goal_moved: bool,
) -> list[float]:
    """Return the path probability of each target, from one forward pass over all the cells of their paths."""
    lengths = [len(cells) for cells, _ in paths]
    starts, ends = np.concatenate([cells for cells, _ in paths]), np.repeat(targets, lengths)
    levels = cleared.take(np.zeros(len(starts), np.intp)).started(starts)
    if goal_moved:
        levels = _with_goal_at(levels, ends)
    observations, rows = observations_of(policy, levels), np.arange(len(levels))
    with applied(policy, [] if make_edit is None else [make_edit(levels, ends)]):
        probabilities = policy.probabilities(rows, observations, levels.start)
    chosen = probabilities[rows, np.concatenate([actions for _, actions in paths])]
    # The bound keeps the logarithm finite where float32 rounds a probability to 0.
    logs = np.log(np.maximum(chosen.astype(np.float64), 1e-12))
    return [float(np.exp(some.mean())) for some in np.split(logs, np.cumsum(lengths)[:-1])]


def _with_goal_at(levels: LevelBatch, cells: Cells) -> LevelBatch:
    """Return the levels with the goal at cells [B], and with the cue there if it is visible."""
    family = levels.family
    visible = any(kind.name == family.cue and kind.shows_on for kind in family.object_types)
    return levels.with_goal_and_cue_at(cells) if visible else levels.moved(family.goal, cells)


def _off_path(level: LevelBatch, corner: int, cells: Cells) -> Cells:
    """Return int32 [N], the steps from each cell to the nearest one on the path from the start to the corner."""
    path, _ = shortest_path(level, corner)
    on_path = np.append(path, corner)
    many = level.take(np.zeros(len(on_path), np.intp))
    nearest: Cells = distances(many, on_path.astype(np.int32)).min(axis=0)[cells]
    return nearest


@dataclasses.dataclass(frozen=True)
class BinMean:
    """The mean path probability of the cells in one bin.

    Attributes:
        condition: `UNEDITED`, `EDITED` or `GOAL_MOVED`.
        low: the bin's lower end, in steps off the path to the corner.
        cells: number of cells.
        mean: of their path probabilities.
    """

    condition: str
    low: int
    cells: int
    mean: float


@dataclasses.dataclass(frozen=True)
class Retargetability:
    """The published figure: mean path probability by distance from the path to the corner.

    Attributes:
        levels: number of levels.
        bins: for each condition, those bins of `BINS` that hold a cell.
    """

    levels: int
    bins: tuple[BinMean, ...]

    def mean(self, condition: str) -> float:
        """Return a condition's mean over all cells."""
        own = [one for one in self.bins if one.condition == condition]
        # Weighted by cells: the mean over all cells, not over bins.
        return float(np.average([one.mean for one in own], weights=[one.cells for one in own]))


def retargetability(
    policy: NetworkPolicy,
    family: Family,
    make_edit: MakeEdit,
    corners: Callable[[LevelBatch], Cells],
    *,
    levels: int = LEVELS,
    seed: int = 0,
) -> Retargetability:
    """Evaluate an edit by the published protocol, with the unedited policy and the goal really moved.

    Args:
        policy: the policy.
        family: of its levels.
        make_edit: makes the edit.
        corners: from levels [B] to the cells [B] in their top right corners.
        levels: number of evaluation levels.
        seed: of the levels.

    Raises:
        GoalmazeError: there are no levels.
    """
    if levels < 1:
        raise GoalmazeError(f"levels is {levels}: choose 1 or more")
    batch = family.levels(seed, np.arange(levels), NO_SHIFT, EVALUATION)
    conditions: dict[str, tuple[MakeEdit | None, bool]] = {
        UNEDITED: (None, False),
        EDITED: (make_edit, False),
        GOAL_MOVED: (None, True),
    }
    bins: list[BinMean] = []
    for condition, (edit, goal_moved) in conditions.items():
        singles = (batch.take([b]) for b in range(levels))
        maps = [heat_map(policy, one, int(corners(one)[0]), edit, goal_moved=goal_moved) for one in singles]
        bins += _binned(condition, maps)
    return Retargetability(levels, tuple(bins))


def _binned(condition: str, maps: Sequence[HeatMap]) -> list[BinMean]:
    scores, off_path = np.concatenate([one.scores for one in maps]), np.concatenate([one.off_path for one in maps])
    bins = []
    for low, high in itertools.pairwise(BINS):
        own = scores[(off_path >= low) & (off_path < high)]
        if len(own):
            bins.append(BinMean(condition, low, len(own), float(own.mean())))
    return bins
