"""Path probabilities: how likely a policy is to go the shortest way to a cell, and the heat map of Mini et al. (2023).

Their protocol, `retargetability`: the goal is taken away; for every cell that can be reached, an edit is to send the
agent there; the cell's score is the geometric mean of the chances that the edited policy gives the steps of the
shortest way to it. Beside it stand the policy without an edit, and the goal put on the cell.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.policies import NetworkPolicy, Probabilities
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.probes.edits.base import Edit, applied

SEEDS = 100
"""Levels of the published protocol."""

BINS = (0, 5, 10, 15, 20, 25, 10_000)
"""Distances from the way to the top right corner, as the published figure bins them; each bin holds its lower end."""

UNEDITED, EDITED, GOAL_MOVED = "unedited", "edited", "goal moved"

Floats = NDArray[np.float64]
EditFor = Callable[[LevelBatch, Cells], Edit]
"""From levels [N] and the cell [N] to which each is to be sent, to the edit that is to do it."""


@dataclasses.dataclass(frozen=True, eq=False)
class HeatMap:
    """The path probability of every cell of one level that can be reached.

    Attributes:
        cells: int32 [N], the start left out.
        scores: float64 [N], geometric means of chances, 0 to 1.
        aside: int32 [N], steps from each cell to the way from the start to the corner.
    """

    cells: Cells
    scores: Floats
    aside: Cells


def shortest_way(levels: LevelBatch, target: int) -> tuple[Cells, NDArray[np.int8]]:
    """Return int32 [T], the cells of a shortest way from the start of one level to a cell, without its end, and the
    actions int8 [T] taken there; of several ways that whose first differing step comes first among the actions.

    Raises:
        GoalmazeError: the cell cannot be reached.
    """
    away = distances(levels.take([0]), np.array([target], np.int32))[0]
    moves = np.array([-levels.width, 1, levels.width, -1])
    cell, cells, actions = int(levels.start[0]), list[int](), list[int]()
    if away[cell] >= UNREACHABLE:
        raise GoalmazeError(f"cell {target} cannot be reached from the start: choose another")
    while cell != target:
        action = int((away[cell + moves] == away[cell] - 1).argmax())
        cells.append(cell)
        actions.append(action)
        cell += int(moves[action])
    return np.array(cells, np.int32), np.array(actions, np.int8)


def heat_map(
    policy: NetworkPolicy, level: LevelBatch, corner: int, edit_for: EditFor | None, *, moved: bool
) -> HeatMap:
    """Return the path probabilities of one level.

    Args:
        policy: who acts.
        level: a batch of one.
        corner: the cell whose way distances are counted from, such as that in the top right corner.
        edit_for: the edit to judge; None for none.
        moved: put goal and cue on every target, instead of taking them away.
    """
    bare = level.without_goal_and_cue()
    away = distances(bare, bare.start)[0]
    targets = np.flatnonzero((away < UNREACHABLE) & (away > 0)).astype(np.int32)
    ways = [shortest_way(bare, int(target)) for target in targets]
    scores = [0.0] * len(targets)
    for first in range(0, len(targets), 8):
        part = slice(first, first + 8)
        scores[part] = _scores(policy, bare, targets[part], ways[part], edit_for, moved)
    return HeatMap(targets, np.array(scores), _aside(bare, corner, targets))


def _scores(
    policy: NetworkPolicy,
    bare: LevelBatch,
    targets: Cells,
    ways: Sequence[tuple[Cells, NDArray[np.int8]]],
    edit_for: EditFor | None,
    moved: bool,
) -> list[float]:
    """Return the path probability of each target, from one forward pass over all the cells of their ways."""
    family = bare.family
    lengths = [len(cells) for cells, _ in ways]
    starts, ends = np.concatenate([cells for cells, _ in ways]), np.repeat(targets, lengths)
    levels = bare.take(np.zeros(len(starts), np.intp)).started(starts)
    if moved:
        levels = levels.moved(family.goal, ends)
        shown = any(kind.name == family.cue and kind.shows_on for kind in family.object_types)
        levels = levels.moved(family.cue, ends) if shown else levels
    chances = _acting(policy, levels, [] if edit_for is None else [edit_for(levels, ends)])
    taken = chances[np.arange(len(starts)), np.concatenate([actions for _, actions in ways])]
    logs = np.log(np.maximum(taken.astype(np.float64), 1e-12))
    return [float(np.exp(some.mean())) for some in np.split(logs, np.cumsum(lengths)[:-1])]


def _acting(policy: NetworkPolicy, levels: LevelBatch, edits: Sequence[Edit]) -> Probabilities:
    seen = observations_of(policy, levels)
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), seen, levels.start)


def _aside(level: LevelBatch, corner: int, cells: Cells) -> Cells:
    """Return int32 [N], the steps from each cell to the nearest one on the way from the start to the corner."""
    way, _ = shortest_way(level, corner)
    on_way = np.append(way, corner)
    many = level.take(np.zeros(len(on_way), np.intp))
    nearest: Cells = distances(many, on_way.astype(np.int32)).min(axis=0)[cells]
    return nearest


@dataclasses.dataclass(frozen=True)
class Retargetability:
    """The published protocol's figure: path probability by distance from the way to the corner.

    Attributes:
        levels: how many.
        rows: for each condition and bin of `BINS`, its mean over cells, with the number of them.
    """

    levels: int
    rows: tuple[dict[str, Any], ...]

    def mean(self, condition: str) -> float:
        """Return a condition's mean over all cells."""
        own = [row for row in self.rows if row["condition"] == condition]
        return float(np.average([row["score"] for row in own], weights=[row["cells"] for row in own]))


def retargetability(
    policy: NetworkPolicy,
    family: Family,
    edit_for: EditFor,
    corners: Callable[[LevelBatch], Cells],
    *,
    levels: int = SEEDS,
    seed: int = 0,
) -> Retargetability:
    """Judge an edit by the published protocol, beside the unedited policy and the goal moved.

    Args:
        policy: who acts.
        family: its world.
        edit_for: the edit.
        corners: from levels [B] to the cells [B] in their top right corners.
        levels: how many held-out levels; the published figure has 100.
        seed: of the levels.

    Raises:
        GoalmazeError: there are no levels.
    """
    if levels < 1:
        raise GoalmazeError(f"levels is {levels}: choose 1 or more")
    batch = family.levels(seed, np.arange(levels), NO_SHIFT, EVALUATION)
    conditions: dict[str, tuple[EditFor | None, bool]] = {
        UNEDITED: (None, False),
        EDITED: (edit_for, False),
        GOAL_MOVED: (None, True),
    }
    rows = []
    for condition, (edit, moved) in conditions.items():
        maps = [
            heat_map(policy, one, int(corners(one)[0]), edit, moved=moved)
            for one in (batch.take([b]) for b in range(levels))
        ]
        rows += _binned(condition, maps)
    return Retargetability(levels, tuple(rows))


def _binned(condition: str, maps: Sequence[HeatMap]) -> list[dict[str, Any]]:
    scores, aside = np.concatenate([one.scores for one in maps]), np.concatenate([one.aside for one in maps])
    rows = []
    for low, high in itertools.pairwise(BINS):
        own = scores[(aside >= low) & (aside < high)]
        if len(own):
            rows.append({"condition": condition, "from": low, "cells": len(own), "score": float(own.mean())})
    return rows
