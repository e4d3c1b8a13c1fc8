"""Cells: those a probe is asked to read, and those to send an agent to."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.counter_rng import uniforms
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.probes.squares import check_inside

PURSUED = "pursued"
"""The cell of the object, goal or cue, that the agent goes on to reach first."""

NO_STEP = -1
"""The step at which targets draw their luck: none that an agent takes, so target and actions are independent."""


def target_names(family: Family) -> list[str]:
    """Return the names of what can be asked of levels of a family."""
    return [family.goal, family.cue, PURSUED]


def draw_targets(levels: LevelBatch, seed: int) -> Cells:
    """Return int32 [B], for every level a random cell the agent can reach, apart from its start and all objects."""
    open_cells = distances(levels, levels.start) < UNREACHABLE
    rows = np.arange(len(levels))
    open_cells[rows, levels.start] = False
    for k in range(levels.objects.shape[1]):
        standing = levels.objects[:, k] != ABSENT
        open_cells[rows[standing], levels.objects[standing, k]] = False
    luck = np.empty(len(levels))
    uniforms(seed, rows, NO_STEP, luck)
    chosen = np.floor(luck * open_cells.sum(axis=1)).astype(np.int64)
    targets: Cells = (open_cells.cumsum(axis=1) <= chosen[:, None]).sum(axis=1).astype(np.int32)
    return targets


def check_targets(levels: LevelBatch, targets: Cells) -> None:
    """Refuse targets [B] that no agent can be sent to: missing, outside the maze, on a wall.

    Raises:
        GoalmazeError: for example "level 17: target (3, 9) lies on a wall; choose a free cell".
    """
    if targets.shape != (len(levels),):
        raise GoalmazeError(f"{targets.shape} targets do not fit {len(levels)} levels: give one cell for each")
    check_inside(targets, levels.height, levels.width, "target at cell")
    if (targets == ABSENT).any():
        raise GoalmazeError(f"level {int((targets == ABSENT).argmax())}: there is no target; give a cell of the maze")
    walled = ~levels.free()[np.arange(len(levels)), targets]
    if walled.any():
        b = int(walled.argmax())
        row, column = divmod(int(targets[b]), levels.width)
        raise GoalmazeError(f"level {b}: target ({row}, {column}) lies on a wall; choose a free cell")


def put_elsewhere(levels: LevelBatch, targets: Cells, seed: int, draw: int = 0) -> LevelBatch:
    """Return the levels with the agent on another cell that it can reach, apart from objects and targets [B].

    Args:
        levels: B of them.
        targets: cells left out.
        seed: of the draw.
        draw: its number; other numbers give other cells.
    """
    free = distances(levels, levels.start) < UNREACHABLE
    rows = np.arange(len(levels))
    for cells in (*levels.objects.T, targets):
        free[rows[cells >= 0], cells[cells >= 0]] = False
    luck = np.empty(len(levels))
    uniforms(seed, rows, draw, luck)
    chosen = np.floor(luck * free.sum(axis=1)).astype(np.int64)
    cells = (free.cumsum(axis=1) <= chosen[:, None]).sum(axis=1)
    return levels.started(np.where(free.any(axis=1), cells, levels.start))
