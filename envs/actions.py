"""The actions: names, moves and keys of the four, and what each of Procgen's fifteen actions does.

An action is an index into `ACTIONS`. Nothing else in goalmaze states an order of directions of its own.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError

Number = TypeVar("Number", bound=np.generic)


def _constant(array: NDArray[Number]) -> NDArray[Number]:
    array.flags.writeable = False
    return array


UP, RIGHT, DOWN, LEFT = range(4)

ACTIONS = ("up", "right", "down", "left")
"""The names of the actions, in order."""

MOVES: NDArray[np.int64] = _constant(np.array([[-1, 0], [0, 1], [1, 0], [0, -1]], np.int64))
"""int64 [4, 2], by how many rows down and columns to the right each action moves."""

SDL_KEYS = (0x40000052, 0x4000004F, 0x40000051, 0x40000050)
"""SDL's codes of the arrow keys, one for each action."""

ANSI_KEYS = ("[A", "[C", "[B", "[D")
"""What a terminal sends after the escape character for the arrow keys, one for each action."""

LETTER_KEYS = ("k", "l", "j", "h")
"""The letters that mean the actions in a terminal, as in vi."""


def cell_steps(width: int) -> Cells:
    """Return int32 [4], what each action adds to the agent's cell in a maze of `width` columns."""
    return (MOVES @ (width, 1)).astype(np.int32)


PROCGEN_ACTIONS = 15
"""The number of Procgen's actions."""

PROCGEN_GROUPS = {"up": (5,), "right": (6, 7, 8), "down": (3,), "left": (0, 1, 2), "stay": (4, 9, 10, 11, 12, 13, 14)}
"""What an action does → Procgen's actions that do it; the first four in the order of `ACTIONS`."""

PROCGEN_MOVES = tuple(PROCGEN_GROUPS[name] for name in ACTIONS)
"""Procgen's actions that move, one group for each of `ACTIONS`."""

PROCGEN_STAY = 4
"""One of Procgen's actions that stay."""

PROCGEN_OWN: NDArray[np.int32] = _constant(np.arange(PROCGEN_ACTIONS, dtype=np.int32))
"""int32 [15], Procgen's own actions in order."""

PROCGEN_FOUR: NDArray[np.int32] = _constant(np.array([5, 7, 3, 1], np.int32))
"""int32 [4], the one of Procgen's actions that stands for each of `ACTIONS`."""

PROCGEN_GROUP_OF: NDArray[np.int64] = _constant(
    np.array([next(g for g, group in enumerate(PROCGEN_GROUPS.values()) if a in group) for a in range(PROCGEN_ACTIONS)])
)
"""int64 [15], the group of each of Procgen's actions."""

PROCGEN_TO_ACTION: NDArray[np.int64] = _constant(np.where(len(ACTIONS) > PROCGEN_GROUP_OF, PROCGEN_GROUP_OF, -1))
"""int64 [15], which of `ACTIONS` each of Procgen's actions is; -1 stays."""


ACTION_COUNTS = (len(ACTIONS), PROCGEN_ACTIONS)
"""The numbers of actions that an agent can have."""


def check_action_count(count: int) -> None:
    """Refuse a network with another number of actions than an agent can have.

    Raises:
        GoalmazeError: naming the numbers that are possible.
    """
    if count not in ACTION_COUNTS:
        raise GoalmazeError(
            f"the network has {count} actions: agents in mazes have {len(ACTIONS)}, or Procgen's {PROCGEN_ACTIONS}"
        )


def action_error(action: object, count: int, who: str = "") -> GoalmazeError:
    """Return the error for an action that is no integer from 0 to `count` - 1.

    Args:
        action: what was given.
        count: number of actions, one of `ACTION_COUNTS`.
        who: whose action it is, such as "environment 3: ".
    """
    effects = ", ".join(ACTIONS)
    if count == PROCGEN_ACTIONS:
        effects = ", ".join(f"{name} {' '.join(map(str, group))}" for name, group in PROCGEN_GROUPS.items())
    return GoalmazeError(f"{who}action {action} is none of 0 to {count - 1}: {effects}")


def check_actions(actions: ArrayLike, batch: int, count: int) -> None:
    """Refuse actions that are not integers [B] from 0 to `count` - 1.

    Raises:
        GoalmazeError: naming the shape, the type, or the first environment whose action is out of range.
    """
    given = np.asarray(actions)
    if given.shape != (batch,) or given.dtype.kind not in "iu":
        raise GoalmazeError(f"actions are {given.dtype} of shape {given.shape}: give one integer for each of {batch}")
    outside = np.flatnonzero((given < 0) | (given >= count))
    if len(outside):
        raise action_error(given[outside[0]], count, f"environment {outside[0]}: ")


def group_probabilities(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32 [B, 5], the probability of each of `PROCGEN_GROUPS`, from those of Procgen's actions [B, 15]."""
    sums = [probabilities[:, list(group)].sum(axis=1) for group in PROCGEN_GROUPS.values()]
    return np.stack(sums, axis=1).astype(np.float32)
