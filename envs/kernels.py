"""The rules on arrays: compiled stepping, observing and renewing of a whole batch, in place, without allocation.

Axes: B environments, H, W, K object slots, C observation planes. The rules are a table by slot (`goalmaze.envs.rules`),
    so
every family runs through the same functions. Only what changes is redrawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from goalmaze.envs.compiled import below, compiled, draw
from goalmaze.envs.generation import World, generate
from goalmaze.envs.rules import (
    AFTER,
    CHASES,
    CUE_REWARD,
    ENDS,
    FILLS,
    GIVES,
    LAMP,
    LEADS,
    MISLEADS,
    MOTION,
    NEEDS,
    PLANE,
    REQUIRED,
    REWARD,
    SECOND_PLANE,
    SPARES,
    STILL,
    VALUE,
    VANISHES,
    WHILE_LIT,
)
from goalmaze.envs.solving import flood

ACTIONS = ("up", "right", "down", "left")
"""The meaning of the four actions, in order."""

WALL_PLANE, AGENT_PLANE, FIRST_OBJECT_PLANE = 0, 1, 2


class State(NamedTuple):
    """Where B episodes stand, as arrays that change in place.

    Attributes:
        width: columns W.
        walls: bool [B, H*W].
        start: int32 [B], the agents' first cells.
        placed: int32 [B, K], where the objects stood at the start, `ABSENT` where missing.
        objects: int32 [B, K], where they stand now.
        agent: int32 [B], cells.
        held: int32 [B], items the agent carries.
        touched: uint64 [B], bit k set once slot k was entered with effect.
        steps: int32 [B], steps taken.
        rewards: float32 [B, 2], true and cue reward of the last step.
        terminated: bool [B], whether the last step ended the episode by the rules.
        truncated: bool [B], whether the last step was the last one allowed.
        ended: bool [B], whether the step before that ended the episode.
        planes: uint8 [B, C, H*W], what the agents see.
        marks: uint8 [B, H*W], 1 where an object stood at the start.
        routes: int32 [B, L], where a leading object stands after each step; L is 0 where nothing leads.
        luck: uint64 [B], the random stream that wandering objects draw from; at first the same on equal start and
            objects.
    """

    width: int
    walls: Any
    start: Any
    placed: Any
    objects: Any
    agent: Any
    held: Any
    touched: Any
    steps: Any
    rewards: Any
    terminated: Any
    truncated: Any
    ended: Any
    planes: Any
    marks: Any
    routes: Any
    luck: Any


@compiled
def step(state: State, table: np.ndarray, time_limit: int, actions: np.ndarray) -> None:
    """Move every agent by one of `actions` int [B]; an action outside 0 to 3 stays. See `State` for what changes."""
    slots = table.shape[0]
    anything_moves = _anything_moves(table)
    for b in range(actions.shape[0]):
        action = actions[b]
        cell = state.agent[b]
        beside = cell + (action == 1) - (action == 3) + state.width * ((action == 2) - (action == 0))
        there = cell if state.walls[b, beside] else beside
        state.planes[b, AGENT_PLANE, cell] = 0
        state.planes[b, AGENT_PLANE, there] = 1
        state.agent[b] = there
        state.steps[b] += 1
        state.rewards[b, 0] = 0
        state.rewards[b, 1] = 0
        state.terminated[b] = False
        state.truncated[b] = state.steps[b] >= time_limit
        if not (anything_moves or state.marks[b, there]):
            continue
        ended = False
        for k in range(slots):
            at = state.objects[b, k]
            motion = int(table[k, MOTION]) if anything_moves else STILL
            if motion != STILL and at >= 0 and (motion >= LEADS or at != there):
                goal = _next_cell(
                    state.walls[b],
                    state.routes[b],
                    state.luck[b : b + 1],
                    state.width,
                    motion,
                    at,
                    there,
                    state.steps[b],
                )
                if goal != at:
                    _put(state.objects[b], state.planes[b], table, k, goal)
            if state.objects[b, k] == there and not state.touched[b] >> np.uint64(k) & np.uint64(1):
                ended |= _enter(state, table, b, k)
        state.terminated[b] = ended
        state.truncated[b] &= not ended


@compiled
def play(
    state: State, table: np.ndarray, time_limit: int, actions: np.ndarray, world: World, numbers: np.ndarray
) -> None:
    """Step; where an episode had ended before, begin the next one on a fresh level instead.

    Args:
        state: changed in place.
        table: float32 [K, COLUMNS], the rules.
        time_limit: steps after which an episode is truncated.
        actions: int [B].
        world: how levels are made.
        numbers: int64 [B], the index of each environment's next level, advanced by B when used.
    """
    for b in range(actions.shape[0]):
        state.ended[b] = state.terminated[b] or state.truncated[b]
    step(state, table, time_limit, actions)
    for b in range(actions.shape[0]):
        if state.ended[b]:
            renew(state, table, b, world, numbers)


@compiled
def renew(state: State, table: np.ndarray, b: int, world: World, numbers: np.ndarray) -> None:
    """Put a fresh level into environment b and begin an episode on it."""
    walls = state.walls[b].reshape((-1, state.width))
    generate(world, numbers[b], walls, state.start[b : b + 1], state.placed[b])
    numbers[b] += state.agent.shape[0]
    begin(state, table, b)


@compiled
def renew_rows(state: State, table: np.ndarray, rows: np.ndarray, world: World, numbers: np.ndarray) -> None:
    """Put fresh levels into environments `rows` int64 [b] and begin episodes on them."""
    for b in rows:
        renew(state, table, b, world, numbers)


@compiled
def begin_rows(state: State, table: np.ndarray, rows: np.ndarray) -> None:
    """Begin episodes in environments `rows` int64 [b] on the levels they have."""
    for b in rows:
        begin(state, table, b)


@compiled
def begin(state: State, table: np.ndarray, b: int) -> None:
    """Begin an episode on the level environment b has, and draw all it shows."""
    state.agent[b] = state.start[b]
    state.held[b] = 0
    state.touched[b] = 0
    state.steps[b] = 0
    state.rewards[b, 0] = 0
    state.rewards[b, 1] = 0
    state.terminated[b] = False
    state.truncated[b] = False
    if _anything_moves(table):
        state.luck[b] = state.start[b]
        for k in range(table.shape[0]):
            state.luck[b] += np.uint64(state.placed[b, k])
            state.luck[b] = draw(state.luck[b : b + 1])
    if state.routes.shape[1] > 0:
        _plan_route(state, table, b)
    walls, planes, marks = state.walls[b], state.planes[b], state.marks[b]
    planes[:] = 0
    marks[:] = 0
    for cell in range(walls.shape[0]):
        planes[WALL_PLANE, cell] = walls[cell]
    planes[AGENT_PLANE, state.start[b]] = 1
    for k in range(table.shape[0]):
        at = state.placed[b, k]
        state.objects[b, k] = at
        if at >= 0:
            marks[at] = 1
            _show(planes, table, k, at)


@compiled
def _anything_moves(table: np.ndarray) -> bool:
    """Return whether any object of the rules float32 [K, COLUMNS] moves."""
    moves = False
    for k in range(table.shape[0]):
        moves |= table[k, MOTION] != STILL
    return moves


@compiled
def _enter(state: State, table: np.ndarray, b: int, k: int) -> bool:
    """Apply what follows from standing on slot k's object, and return whether it ends the episode."""
    before = int(table[k, AFTER])
    if before >= 0 and not state.touched[b] >> np.uint64(before) & np.uint64(1):
        return False
    lamp = int(table[k, LAMP])
    if lamp >= 0 and (state.objects[b, lamp] >= 0) != (table[k, WHILE_LIT] > 0):
        return False
    if table[k, NEEDS] > 0:
        if state.held[b] == 0:
            return False
        _use_item(state, table, b)
    state.touched[b] |= np.uint64(1) << np.uint64(k)
    if table[k, SPARES] > 0 and state.held[b] > 0:
        _use_item(state, table, b)
    else:
        state.rewards[b, 0] += table[k, REWARD]
        state.rewards[b, 1] += table[k, CUE_REWARD]
    if table[k, GIVES] > 0:
        state.held[b] += 1
        _put(state.objects[b], state.planes[b], table, k, k)
    elif table[k, VANISHES] > 0:
        _put(state.objects[b], state.planes[b], table, k, -1)
    return table[k, ENDS] > 0 or (table[k, REQUIRED] + table[k, GIVES] > 0 and _nothing_left(state, table, b))


@compiled
def _use_item(state: State, table: np.ndarray, b: int) -> None:
    """Take one item out of the top wall, where items held are kept for all to see."""
    state.held[b] -= 1
    for k in range(table.shape[0]):
        if table[k, GIVES] > 0 and state.objects[b, k] == k:
            _put(state.objects[b], state.planes[b], table, k, -1)
            return


@compiled
def _nothing_left(state: State, table: np.ndarray, b: int) -> bool:
    """Return whether every required object was entered or can no longer be, for want of an item; False without any."""
    items = state.held[b]
    for k in range(table.shape[0]):
        if table[k, GIVES] > 0 and state.objects[b, k] > k:
            items += 1
    any_required = False
    for k in range(table.shape[0]):
        if table[k, REQUIRED] > 0 and state.placed[b, k] >= 0:
            any_required = True
            closed = not state.touched[b] >> np.uint64(k) & np.uint64(1)
            if closed and (table[k, NEEDS] == 0 or items > 0):
                return False
    return any_required


@compiled
def _next_cell(
    walls: np.ndarray,
    routes: np.ndarray,
    luck: np.ndarray,
    width: int,
    motion: int,
    cell: int,
    agent: int,
    steps: int,
) -> int:
    """Return where a moving object goes: walls bool [H*W], routes int32 [L] and luck uint64 [1] of its environment."""
    if motion >= LEADS:
        return routes[min(steps, routes.shape[0] - 1)]
    way = _towards(cell, agent, width) if motion == CHASES else below(luck, 4)
    beside = cell + (way == 1) - (way == 3) + width * ((way == 2) - (way == 0))
    return cell if walls[beside] else beside


@compiled
def _towards(cell: int, target: int, width: int) -> int:
    """Return the way from `cell` towards another cell along the longer distance, vertically where both are equal."""
    down = target // width - cell // width
    right = target % width - cell % width
    if abs(down) >= abs(right):
        return 2 if down > 0 else 0
    return 1 if right > 0 else 3


@compiled
def _put(objects: np.ndarray, planes: np.ndarray, table: np.ndarray, k: int, cell: int) -> None:
    """Put slot k's object on another cell, or nowhere, and redraw: objects int32 [K], planes uint8 [C, H*W]."""
    left = objects[k]
    objects[k] = cell
    for plane in range(FIRST_OBJECT_PLANE, planes.shape[0]):
        planes[plane, left] = 0
    for j in range(table.shape[0]):
        if objects[j] == left or table[j, FILLS] > 0:
            _show(planes, table, j, objects[j])
    _show(planes, table, k, cell)


@compiled
def _show(planes: np.ndarray, table: np.ndarray, k: int, cell: int) -> None:
    """Draw slot k's object at a cell of planes uint8 [C, H*W]; an absent one draws nothing."""
    if cell < 0:
        return
    value = np.uint8(table[k, VALUE])
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0 and table[k, FILLS] > 0:
            planes[plane, :] = value
        elif plane >= 0:
            planes[plane, cell] = value


@compiled
def _plan_route(state: State, table: np.ndarray, b: int) -> None:
    """Lay down where a leading object stands after each step: along shortest paths to the required objects in turn."""
    width = state.width
    slots, length = table.shape[0], state.routes.shape[1]
    distance = np.empty(state.walls.shape[1], np.int32)
    queue = np.empty(state.walls.shape[1], np.int32)
    for leader in range(slots):
        motion = int(table[leader, MOTION])
        if (motion != LEADS and motion != MISLEADS) or state.placed[b, leader] < 0:
            continue
        cell = state.placed[b, leader]
        state.routes[b] = cell
        filled = 1
        for i in range(slots):
            k = i if motion == LEADS else slots - 1 - i
            if table[k, REQUIRED] == 0 or state.placed[b, k] < 0:
                continue
            flood(state.walls[b].reshape((-1, width)), state.placed[b, k], distance, queue)
            while filled < length and distance[cell] > 0:
                for way in range(4):
                    beside = cell + (way == 1) - (way == 3) + width * ((way == 2) - (way == 0))
                    if distance[beside] == distance[cell] - 1:
                        cell = beside
                        break
                state.routes[b, filled] = cell
                filled += 1
        state.routes[b, filled:] = cell
