"""The rules on arrays: compiled `step` and `observe` for a whole batch, in place, without allocation.

Axes: B environments, H, W, K object slots, C observation planes. The rules are a table by slot, so every family runs
through the same two functions.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.compiled import compiled

ACTIONS = ("up", "right", "down", "left")
"""The meaning of the four actions, in order."""

WALL_PLANE, AGENT_PLANE, FIRST_OBJECT_PLANE = 0, 1, 2


@compiled
def step(
    walls: np.ndarray,
    objects: np.ndarray,
    rewards_of: np.ndarray,
    ends: np.ndarray,
    time_limit: int,
    actions: np.ndarray,
    agent: np.ndarray,
    touched: np.ndarray,
    steps: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
) -> None:
    """Move every agent by one action; true and cue reward leave together.

    An agent that walks into a wall stays where it is. An object counts when it is entered for the first time.

    Args:
        walls: bool [B, H, W].
        objects: int32 [B, K] cells.
        rewards_of: float32 [K, 2], true and cue reward of a slot's first touch.
        ends: bool [K], True for slots that end the episode.
        time_limit: steps after which an episode is truncated.
        actions: int [B], indices into `ACTIONS`.
        agent: int32 [B] cells, changed in place.
        touched: uint32 [B], bit k set once slot k was entered, changed in place.
        steps: int32 [B], changed in place.
        rewards: float32 [B, 2], filled with true and cue reward.
        terminated: bool [B], filled.
        truncated: bool [B], filled.
    """
    width = walls.shape[2]
    slots = objects.shape[1]
    for b in range(walls.shape[0]):
        action = actions[b]
        row, column = divmod(agent[b], width)
        row += (action == 2) - (action == 0)
        column += (action == 1) - (action == 3)
        if not walls[b, row, column]:
            agent[b] = row * width + column
        steps[b] += 1
        true_reward = np.float32(0.0)
        cue_reward = np.float32(0.0)
        ended = False
        for k in range(slots):
            bit = np.uint32(1) << np.uint32(k)
            if objects[b, k] == agent[b] and touched[b] & bit == 0:
                touched[b] |= bit
                true_reward += rewards_of[k, 0]
                cue_reward += rewards_of[k, 1]
                ended |= ends[k]
        rewards[b, 0] = true_reward
        rewards[b, 1] = cue_reward
        terminated[b] = ended
        truncated[b] = not ended and steps[b] >= time_limit


@compiled
def observe(
    walls: np.ndarray,
    objects: np.ndarray,
    plane_of: np.ndarray,
    value_of: np.ndarray,
    agent: np.ndarray,
    planes: np.ndarray,
) -> None:
    """Draw what the agents see into `planes` uint8 [B, C, H, W].

    Plane 0 holds walls, plane 1 the agent, the others one kind of object each. A plane is 0 where its thing is not;
    where it is, walls and agent show as 1 and an object as its slot's value.

    Args:
        walls: bool [B, H, W].
        objects: int32 [B, K] cells.
        plane_of: int64 [K], the plane a slot is drawn on.
        value_of: uint8 [K], how strongly a slot shows.
        agent: int32 [B] cells.
        planes: uint8 [B, C, H, W], overwritten.
    """
    width = walls.shape[2]
    for b in range(walls.shape[0]):
        planes[b] = 0
        for row in range(walls.shape[1]):
            for column in range(width):
                planes[b, 0, row, column] = walls[b, row, column]
        planes[b, 1, agent[b] // width, agent[b] % width] = 1
        for k in range(objects.shape[1]):
            cell = objects[b, k]
            if cell >= 0:
                planes[b, plane_of[k], cell // width, cell % width] = value_of[k]
