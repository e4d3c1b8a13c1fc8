"""Target cells, which probes predict and to which edits send agents."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.counter_rng import uniforms
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.probes.squares import check_inside

PURSUED = "pursued"
"""The concept of the cell of the goal or the cue, whichever the agent reaches first."""

NO_STEP = -1
"""The step whose random numbers choose targets. No agent takes it, so targets and actions are independent."""


def target_names(family: Family) -> list[str]:
    """Return the concepts that are cells an agent can pursue."""
    return [family.goal, family.cue, PURSUED]


def has_target_cells(levels: LevelBatch) -> Bools:
    """Return bool [B], whether a level has a cell that `draw_targets` can draw."""
    return np.asarray(_reachable_cells(levels, levels.start).any(axis=1))


def draw_targets(levels: LevelBatch, seed: int) -> Cells:
    """Return int32 [B], in each level a random reachable cell without the agent or an object.

    Raises:
        GoalmazeError: a level has no such cell; the message names the first of them.
    """
    allowed = _reachable_cells(levels, levels.start)
    full = ~allowed.any(axis=1)
    if full.any():
        raise GoalmazeError(
            f"level {int(full.argmax())} has no cell for a target: agent and objects stand on all cells within reach; "
            "remove an object, open a wall, or choose a larger size"
        )
    return _random_cells(allowed, seed, NO_STEP)


def check_targets(levels: LevelBatch, targets: Cells) -> None:
    """Check that every target [B] is a free cell of its maze.

    Raises:
        GoalmazeError: a target is missing, outside the maze or on a wall; the message names the level.
    """
    if targets.shape != (len(levels),):
        raise GoalmazeError(f"{targets.shape} targets do not fit {len(levels)} levels: give one cell for each")
    check_inside(targets, levels.height, levels.width, "target at cell")
    if (targets == ABSENT).any():
        raise GoalmazeError(f"level {int((targets == ABSENT).argmax())}: there is no target; give a cell of the maze")
    on_wall = ~levels.free()[np.arange(len(levels)), targets]
    if on_wall.any():
        b = int(on_wall.argmax())
        row, column = divmod(int(targets[b]), levels.width)
        raise GoalmazeError(f"level {b}: target ({row}, {column}) lies on a wall; choose a free cell")


def relocate_agents(levels: LevelBatch, targets: Cells, seed: int, draw: int = 0) -> LevelBatch:
    """Return the levels with the agent on a random reachable cell without an object or target.

    The agent stays where there is no such cell.

    Args:
        levels: B levels.
        targets: int32 [B], further cells to avoid.
        seed: of the random cells.
        draw: selects other random cells for the same seed.
    """
    allowed = _reachable_cells(levels, targets)
    cells = _random_cells(allowed, seed, draw)
    return levels.started(np.where(allowed.any(axis=1), cells, levels.start))


def _reachable_cells(levels: LevelBatch, avoided: Cells) -> Bools:
    """Return bool [B, H*W], the cells that the agent can reach, without objects and the cells int32 [B] to avoid."""
    allowed = np.asarray(distances(levels, levels.start) < UNREACHABLE)
    rows = np.arange(len(levels))
    for cells in (*levels.objects.T, avoided):
        present = cells != ABSENT
        # Entering a goal ends the episode, and other objects act on the agent, so none is a neutral target.
        allowed[rows[present], cells[present]] = False
    return allowed


def _random_cells(allowed: Bools, seed: int, step: int) -> Cells:
    """Return int32 [B], a random one of the allowed cells bool [B, H*W] of each level; H*W where none is allowed."""
    numbers = np.empty(len(allowed))
    # Counter-based: a level's number depends on seed, row and step alone, so a longer batch begins with the same
    # targets.
    uniforms(seed, np.arange(len(allowed)), step, numbers)
    chosen = np.floor(numbers * allowed.sum(axis=1)).astype(np.int64)
    # The chosen allowed cell comes right after all cells whose cumulative count is at most its number.
    cells: Cells = (allowed.cumsum(axis=1) <= chosen[:, None]).sum(axis=1).astype(np.int32)
    return cells
