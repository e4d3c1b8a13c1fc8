"""The features of a decision point: distances, directions and free cells around agent, goal and cue."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.cells import Cells
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.decisions import Decisions, Floats, shortening

NEAR = (3, 6)
"""Steps within which the cells around an object are counted."""

NEIGHBOURS = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
"""Row and column offsets of the eight cells around a cell."""

FEATURES = (
    "steps to goal",
    "steps to cue",
    "steps to goal minus steps to cue",
    "goal nearer",
    "Euclidean distance to goal",
    "Euclidean distance to cue",
    "Euclidean distance to goal minus to cue",
    "Euclidean distance from goal to cue",
    "cosine of the angle between goal and cue",
    "Euclidean distance of the goal to the top right corner",
    "Euclidean distance of the cue to the top right corner",
    "Euclidean distance of the agent to the top right corner",
    "rows up to the goal",
    "columns right to the goal",
    "rows up to the cue",
    "columns right to the cue",
    "steps taken before",
    "steps from start to goal minus to cue",
    *(f"{direction} shortens the path to the {kind}" for kind in ("goal", "cue") for direction in ACTIONS),
    *(f"cells within {near} steps of the {kind}" for near in NEAR for kind in ("goal", "cue")),
    *(f"cell at {i:+d},{j:+d} of the {kind} is free" for kind in ("agent", "goal", "cue") for i, j in NEIGHBOURS),
)
"""The names of the F features; see `features`. Offsets are rows and columns: +1,-1 is below, to the left."""


def features(levels: LevelBatch, points: Decisions) -> Floats:
    """Return float64 [N, F], the features of N decision points in the order of `FEATURES`; lengths over maze width."""
    family = levels.family
    goals, cues = (metrics.single_object(levels, kind) for kind in (family.goal, family.cue))
    to_goal, to_cue = distances(levels, goals), distances(levels, cues)
    from_start = distances(levels, levels.start)[points.rows]
    # From one row a level to one row a decision point.
    goals, cues = goals[points.rows], cues[points.rows]
    agent, goal, cue = (np.stack(np.divmod(cells, levels.width), axis=1) for cells in (points.cells, goals, cues))
    # The top right free corner, where the goal lies in training in Procgen's maze and in Corner.
    corner = np.array([1, levels.width - 2])
    goal_vector, cue_vector = (goal - agent).astype(np.float64), (cue - agent).astype(np.float64)
    goal_length, cue_length = np.linalg.norm(goal_vector, axis=1), np.linalg.norm(cue_vector, axis=1)
    # Signs and cosines are no lengths: they are multiplied by the width that all columns are divided by below.
    columns = [
        points.to_goal,
        points.to_cue,
        points.to_goal - points.to_cue,
        levels.width * np.sign(points.to_cue - points.to_goal),
        goal_length,
        cue_length,
        goal_length - cue_length,
        np.linalg.norm(goal - cue, axis=1),
        levels.width * (goal_vector * cue_vector).sum(axis=1) / (goal_length * cue_length),
        np.linalg.norm(goal - corner, axis=1),
        np.linalg.norm(cue - corner, axis=1),
        np.linalg.norm(agent - corner, axis=1),
        # Rows count downwards: the sign turns them into "up".
        -goal_vector[:, 0],
        goal_vector[:, 1],
        -cue_vector[:, 0],
        cue_vector[:, 1],
        points.steps,
        pick(from_start, goals) - pick(from_start, cues),
    ]
    lengths = np.stack(columns, axis=1) / levels.width
    actions = [shortening(levels, steps, points.rows, points.cells) for steps in (to_goal, to_cue)]
    counts = [(steps[points.rows] <= near).sum(axis=1) for near in NEAR for steps in (to_goal, to_cue)]
    free = [_free_neighbours(levels, points, cells) for cells in (points.cells, goals, cues)]
    return np.column_stack([lengths, *actions, *counts, *free]).astype(np.float64)


def _free_neighbours(levels: LevelBatch, points: Decisions, cells: Cells) -> Floats:
    """Return float64 [N, 8], 1 where a cell around cells [N] is free, in the order of `NEIGHBOURS`."""
    # Cells are numbered row by row, and the border is walled, so that no offset leaves the maze.
    offsets = np.array([i * levels.width + j for i, j in NEIGHBOURS])
    return np.asarray(levels.free()[points.rows[:, None], cells[:, None] + offsets], np.float64)
