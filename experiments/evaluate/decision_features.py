"""The geometry of a decision: what a choice between goal and cue may follow from."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.decisions import Decisions, Floats, shortening

NEAR = (3, 6)
"""Steps within which the room around a thing is counted."""

WAYS = ("up", "right", "down", "left")
AROUND = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)


FEATURES = (
    "steps to goal",
    "steps to cue",
    "steps to goal less steps to cue",
    "goal nearer",
    "straight line to goal",
    "straight line to cue",
    "straight line to goal less to cue",
    "straight line from goal to cue",
    "cosine of the angle between them",
    "goal to the top right corner",
    "cue to the top right corner",
    "agent to the top right corner",
    "goal above",
    "goal to the right",
    "cue above",
    "cue to the right",
    "steps taken before",
    "steps from start to goal less to cue",
    *(f"{way} leads to the {thing}" for thing in ("goal", "cue") for way in WAYS),
    *(f"room within {near} steps of the {thing}" for near in NEAR for thing in ("goal", "cue")),
    *(f"free at {i:+d},{j:+d} of the {thing}" for thing in ("agent", "goal", "cue") for i, j in AROUND),
)
"""What a choice is explained by; see `features`. Row and column offsets are given as +1,-1: below, to the left."""


def features(levels: LevelBatch, found: Decisions) -> Floats:
    """Return float64 [N, F], the geometry of each decision, in the order of `FEATURES`; lengths over maze size."""
    family = levels.family
    goals = metrics.lone(levels, family.goal)[found.rows]
    cues = metrics.lone(levels, family.cue)[found.rows]
    to_goal, to_cue = (distances(levels, metrics.lone(levels, kind)) for kind in (family.goal, family.cue))
    agent, goal, cue = (np.stack(np.divmod(cells, levels.width), axis=1) for cells in (found.cells, goals, cues))
    corner = np.array([1, levels.width - 2])
    ahead, aside = (goal - agent).astype(np.float64), (cue - agent).astype(np.float64)
    far_goal, far_cue = np.linalg.norm(ahead, axis=1), np.linalg.norm(aside, axis=1)
    from_start = distances(levels, levels.start)[found.rows]
    columns = [
        found.to_goal,
        found.to_cue,
        found.to_goal - found.to_cue,
        levels.width * np.sign(found.to_cue - found.to_goal),
        far_goal,
        far_cue,
        far_goal - far_cue,
        np.linalg.norm(goal - cue, axis=1),
        levels.width * (ahead * aside).sum(axis=1) / (far_goal * far_cue),
        np.linalg.norm(goal - corner, axis=1),
        np.linalg.norm(cue - corner, axis=1),
        np.linalg.norm(agent - corner, axis=1),
        -ahead[:, 0],
        ahead[:, 1],
        -aside[:, 0],
        aside[:, 1],
        found.steps,
        pick(from_start, goals) - pick(from_start, cues),
    ]
    lengths = np.stack(columns, axis=1) / levels.width
    ways = [shortening(levels, way, found.rows, found.cells) for way in (to_goal, to_cue)]
    rooms = [(way[found.rows] <= near).sum(axis=1) for near in NEAR for way in (to_goal, to_cue)]
    free = [_surroundings(levels, found, cells) for cells in (found.cells, goals, cues)]
    return np.column_stack([lengths, *ways, *rooms, *free]).astype(np.float64)


def _surroundings(levels: LevelBatch, found: Decisions, cells: Cells) -> Floats:
    """Return float64 [N, 8], whether each square around cells [N] is free, in the order of `AROUND`."""
    offsets = np.array([i * levels.width + j for i, j in AROUND])
    return np.asarray(levels.free()[found.rows[:, None], cells[:, None] + offsets], np.float64)
