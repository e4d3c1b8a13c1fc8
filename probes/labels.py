"""Concepts: what can be asked of a maze and of what the agent does there; as labels to fit and judge by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import NEVER, Trajectory, rollout
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import unknown
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.targets import PURSUED, draw_targets

LabelType = Literal["cell", "class", "squares", "number"]

AGENT, TARGET, PURSUES, ACTION, DISTANCE = "agent", "target", "pursues", "next-action", "distance"
ROUTE, LEAVES, OBJECT = "route", "leaves", "object"

DIRECTIONS = ("up", "right", "down", "left")


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """The answers to one question.

    Attributes:
        name: of the question.
        kind: "cell" and "class" have an answer a maze, "squares" one for each square, "number" a number.
        values: int64 [B], for squares [B, H*W], -1 where there is no answer; float32 [B] for a number, NaN where not.
        classes: their names; none for cells and numbers.
    """

    name: str
    kind: LabelType
    values: Tensor
    classes: tuple[str, ...] = ()


def concept_names(family: Family) -> list[str]:
    """Return the names of all that can be asked of levels of a family."""
    return [family.goal, family.cue, AGENT, TARGET, PURSUED, PURSUES, ACTION, DISTANCE, ROUTE, LEAVES, OBJECT]


def label_concepts(names: Sequence[str], policy: Policy, levels: LevelBatch, seed: int) -> dict[str, Labels]:
    """Return the labels of each question about levels before the first step, from one rollout for all.

    * the goal's, the cue's and the agent's cell
    * `TARGET`, a cell drawn at random: nothing in an unedited agent can tell it, so reading it is a control
    * `PURSUED` and `PURSUES`, the cell and which of goal and cue the agent goes on to reach first
    * `ACTION`, what it does next; `DISTANCE`, steps of the shortest way to what it pursues
    * `ROUTE`, whether the agent will stand on a square before it has reached goal or cue; `LEAVES`, in which direction
      it first leaves it until then; `OBJECT`, what stands there

    Args:
        names: some of `concept_names`.
        policy: whose doings they are about.
        levels: B levels.
        family: their family.
        seed: of the rollout, and of the targets drawn.

    Raises:
        GoalmazeError: a question is unknown.
    """
    family = levels.family
    for name in names:
        if name not in concept_names(family):
            raise unknown("concept", name, concept_names(family))
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
        return Labels(name, "squares", (_departures(trajectory) != ABSENT).long(), ("off", "on"))
    if name == LEAVES:
        return Labels(name, "squares", _departures(trajectory).clamp(min=0), ("never", *DIRECTIONS, "stays"))
    if name == ACTION:
        return Labels(name, "class", torch.from_numpy(trajectory.actions[0].astype(np.int64)), DIRECTIONS)
    which, cells = _pursued(trajectory, levels)
    if name == PURSUED:
        return _cells(name, cells)
    if name == PURSUES:
        return Labels(name, "class", torch.from_numpy(which.astype(np.int64)), (family.goal, family.cue))
    steps = pick(distances(levels, levels.start), cells)
    return Labels(name, "number", torch.from_numpy(np.where(steps < UNREACHABLE, steps, np.nan).astype(np.float32)))


def _cells(name: str, cells: Cells) -> Labels:
    return Labels(name, "cell", torch.from_numpy(cells.astype(np.int64)))


def _pursued(trajectory: Trajectory, levels: LevelBatch) -> tuple[Cells, Cells]:
    """Return int32 [B] each: 0 or 1 as goal or cue is reached first, -1 where that cannot be told; and its cell."""
    family = levels.family
    goals, cues = levels.cells(family.goal), levels.cells(family.cue)
    to_goal, to_cue = trajectory.first_visit(goals), trajectory.first_visit(cues)
    reached = np.minimum(to_goal, to_cue) < NEVER
    cells = np.where(reached, np.where(to_cue < to_goal, cues, goals), ABSENT).astype(np.int32)
    parted = reached & (goals != cues)
    return np.where(parted, to_cue < to_goal, -1).astype(np.int32), cells


def _departures(trajectory: Trajectory) -> Tensor:
    """Return int64 [B, H*W], how a square is first left: 1 to 4 as `DIRECTIONS`, 5 if the agent ends there, else -1."""
    levels, steps = trajectory.levels, len(trajectory.actions)
    result = np.full((len(levels), levels.height * levels.width), ABSENT, np.int64)
    rows = np.arange(len(levels))
    result[rows, trajectory.agent[-1]] = 1 + len(DIRECTIONS)
    # Backwards, so that the first departure is the one that stays.
    for step in reversed(range(steps)):
        went = trajectory.agent[step] != trajectory.agent[step + 1]
        result[rows[went], trajectory.agent[step, went]] = 1 + trajectory.actions[step, went]
    return torch.from_numpy(result)


def _objects(levels: LevelBatch) -> Tensor:
    family = levels.family
    result = np.zeros((len(levels), levels.height * levels.width), np.int64)
    rows = np.arange(len(levels))
    for slot, kind in enumerate(levels.slots):
        cells, standing = levels.objects[:, slot], levels.objects[:, slot] != ABSENT
        label = {family.goal: 1, family.cue: 2}.get(kind, 4)
        before = result[rows[standing], cells[standing]]
        both = (before + label == 3) & (before > 0) & (label < 3)
        result[rows[standing], cells[standing]] = np.where(both, 3, np.where(before == 0, label, before))
    return torch.from_numpy(result)
