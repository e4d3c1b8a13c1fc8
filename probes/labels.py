"""Labels of concepts: what probes predict about a maze and about what the agent does in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import NEVER, Trajectory, rollout
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import unknown
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.targets import PURSUED, draw_targets

LabelType = Literal["cell", "class", "squares", "number"]
"""One cell, class or number for each maze, or one class for each square of it."""

AGENT, TARGET, PURSUES, ACTION, DISTANCE = "agent", "target", "pursues", "next-action", "distance"
ROUTE, LEAVES, OBJECT = "route", "leaves", "object"


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one concept.

    Attributes:
        name: of the concept.
        label_type: what the concept has a label of.
        values: int64 [B], or [B, H*W] for "squares", -1 where there is no label; float32 [B] for "number", NaN where
            there is none.
        classes: the names of the classes; none for "cell" and "number".
    """

    name: str
    label_type: LabelType
    values: Tensor
    classes: tuple[str, ...] = ()


def concept_names(family: Family) -> list[str]:
    """Return the names of all concepts of levels of a family."""
    return [family.goal, family.cue, AGENT, TARGET, PURSUED, PURSUES, ACTION, DISTANCE, ROUTE, LEAVES, OBJECT]


def label_concepts(names: Sequence[str], policy: Policy, levels: LevelBatch, seed: int) -> dict[str, Labels]:
    """Return the labels of concepts of levels before the first step, from one rollout for all.

    * the goal, the cue, `AGENT`: the cell of each
    * `TARGET`: a random cell, a control: nothing in an unedited agent depends on it
    * `PURSUED`, `PURSUES`: the cell of the goal or the cue, whichever the agent reaches first, and which of the two
    * `ACTION`: the agent's next action
    * `DISTANCE`: steps on the shortest path to what it pursues
    * `ROUTE`: for each square whether the agent visits it before it reaches the goal or the cue
    * `LEAVES`: for each square the direction in which the agent first leaves it until then
    * `OBJECT`: for each square the object on it

    Args:
        names: some of `concept_names`.
        policy: the policy of the rollout.
        levels: B levels.
        seed: of the rollout and of the random targets.

    Raises:
        GoalmazeError: a concept is unknown.
    """
    family = levels.family
    for name in names:
        if name not in concept_names(family):
            raise unknown("concept", name, concept_names(family))
    # One rollout for all concepts, so that labels of behaviour describe the same episode. It ends at the cue: what the
    # agent does afterwards is another pursuit.
    trajectory = rollout(policy, levels, seed=seed, until=levels.cells(family.cue))
    return {name: _label(name, trajectory, levels, seed) for name in names}


def _label(name: str, trajectory: Trajectory, levels: LevelBatch, seed: int) -> Labels:
    family = levels.family
    if name in (family.goal, family.cue):
        return _cells(name, levels.cells(name))
    if name == AGENT:
        return _cells(name, levels.start)
    if name == TARGET:
        return _cells(name, draw_targets(levels, seed))
    if name == OBJECT:
        return Labels(name, "squares", _objects(levels), ("nothing", family.goal, family.cue, "both", "other"))
    if name == ROUTE:
        return Labels(name, "squares", (departures(trajectory) != ABSENT).long(), ("off", "on"))
    if name == LEAVES:
        return Labels(name, "squares", departures(trajectory).clamp(min=0), ("never", *ACTIONS, "stays"))
    if name == ACTION:
        return Labels(name, "class", torch.from_numpy(trajectory.actions[0].astype(np.int64)), ACTIONS)
    pursues, cells = _pursued(trajectory, levels)
    if name == PURSUED:
        return _cells(name, cells)
    if name == PURSUES:
        return Labels(name, "class", torch.from_numpy(pursues.astype(np.int64)), (family.goal, family.cue))
    # Without a pursued cell there is no distance; NaN keeps the maze out of fits and scores.
    steps = pick(distances(levels, levels.start), cells)
    return Labels(name, "number", torch.from_numpy(np.where(steps < UNREACHABLE, steps, np.nan).astype(np.float32)))


def _cells(name: str, cells: Cells) -> Labels:
    return Labels(name, "cell", torch.from_numpy(cells.astype(np.int64)))


def _pursued(trajectory: Trajectory, levels: LevelBatch) -> tuple[Cells, Cells]:
    """Return two int32 [B]: 0 or 1 where the goal or the cue is reached first, -1 where neither; and its cell.

    The first is also -1 where goal and cue are on the same cell.
    """
    family = levels.family
    goals, cues = levels.cells(family.goal), levels.cells(family.cue)
    to_goal, to_cue = trajectory.first_visit(goals), trajectory.first_visit(cues)
    reached = np.minimum(to_goal, to_cue) < NEVER
    cells = np.where(reached, np.where(to_cue < to_goal, cues, goals), ABSENT).astype(np.int32)
    # On one cell, goal and cue are reached in the same step, so which of them was pursued is undefined.
    separate = reached & (goals != cues)
    return np.where(separate, to_cue < to_goal, -1).astype(np.int32), cells


def departures(trajectory: Trajectory) -> Tensor:
    """Return int64 [B, H*W], how the agent first leaves a square: 1 to 4 as `ACTIONS`, 5 where it stays, else -1."""
    levels, steps = trajectory.levels, len(trajectory.actions)
    result = np.full((len(levels), levels.height * levels.width), ABSENT, np.int64)
    rows = np.arange(len(levels))
    # Written before the departures: where the agent left its last cell once before, that departure counts.
    result[rows, trajectory.agent[-1]] = 1 + len(ACTIONS)
    # From the last step back, so that the first departure overwrites later ones.
    for step in reversed(range(steps)):
        moved = trajectory.agent[step] != trajectory.agent[step + 1]
        result[rows[moved], trajectory.agent[step, moved]] = 1 + trajectory.actions[step, moved]
    return torch.from_numpy(result)


def _objects(levels: LevelBatch) -> Tensor:
    """Return int64 [B, H*W]: 0 nothing, 1 the goal, 2 the cue, 3 both, 4 another object."""
    family = levels.family
    result = np.zeros((len(levels), levels.height * levels.width), np.int64)
    rows = np.arange(len(levels))
    for slot, kind in enumerate(levels.slots):
        cells, present = levels.objects[:, slot], levels.objects[:, slot] != ABSENT
        label = {family.goal: 1, family.cue: 2}.get(kind, 4)
        before = result[rows[present], cells[present]]
        # The goal's 1 and the cue's 2 add up to the 3 of both. Of any other pair, the object in the earlier slot
        # counts.
        both = (before + label == 3) & (before > 0) & (label < 3)
        result[rows[present], cells[present]] = np.where(both, 3, np.where(before == 0, label, before))
    return torch.from_numpy(result)
