"""The rules on arrays: compiled functions that step, observe and renew a whole batch in place, without allocation.

The rules are a table with one row per slot (`goalmaze.envs.engine.rules`), so every family runs through the same
functions. Only what changes is redrawn.

Axes: B environments, H rows, W columns, K object slots, C observation planes.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import DOWN, LEFT, RIGHT, UP
from goalmaze.envs.engine.leader_paths import plan_leader_paths
from goalmaze.envs.engine.level_generation import LevelDistribution, generate
from goalmaze.envs.engine.rules import (
    AFTER,
    CHASES,
    CUE_REWARD,
    ENDS,
    FILLS,
    GIVES,
    LAMP,
    LEADS,
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
from goalmaze.envs.engine.state import AGENT_PLANE, MARK, WALL, WALL_PLANE, State
from goalmaze.envs.jit.compile import compiled, inlined
from goalmaze.envs.jit.counter_rng import below, draw


@compiled
def step(state: State, table: np.ndarray, time_limit: int, actions: np.ndarray) -> None:
    """Move every agent by one of `actions` int [B]; an action outside 0 to 3 stays. See `State` for what changes."""
    _count_step(state, time_limit)
    first_mover = _first_mover(table)
    for b in range(actions.shape[0]):
        _move(state, table, b, actions[b], first_mover)


@compiled
def play(
    state: State,
    table: np.ndarray,
    time_limit: int,
    actions: np.ndarray,
    distribution: LevelDistribution,
    numbers: np.ndarray,
) -> None:
    """Step; where an episode had ended before, begin the next one on a fresh level instead.

    Args:
        state: changed in place.
        table: float32 [K, COLUMNS], the rules.
        time_limit: steps after which an episode is truncated.
        actions: int [B].
        distribution: how levels are made.
        numbers: int64 [B], the index of each environment's next level, advanced by B when used.
    """
    _count_step(state, time_limit)
    first_mover = _first_mover(table)
    ended = state.ended
    rng = np.empty(1, np.uint64)
    for b in range(actions.shape[0]):
        if ended[b]:
            _renew(state, table, b, distribution, numbers, rng)
            if state.leader_paths.shape[1] > 0:
                plan_leader_paths(state, table, b)
        else:
            _move(state, table, b, actions[b], first_mover)


@inlined
def _count_step(state: State, time_limit: int) -> None:
    """Count a step of every episode, which earned nothing yet, and note which had ended."""
    state.rewards[:] = 0
    for b in range(state.steps.shape[0]):
        state.ended[b] = state.terminated[b] | state.truncated[b]
        state.terminated[b] = False
        state.steps[b] += 1
        state.truncated[b] = state.steps[b] >= time_limit


@inlined
def _move(state: State, table: np.ndarray, b: int, action: int, first_mover: int) -> None:
    """Move one agent, then what else moves, and apply what follows."""
    cell = state.agent[b]
    beside = cell + (action == RIGHT) - (action == LEFT) + state.width * ((action == DOWN) - (action == UP))
    there = cell if state.squares[b, beside] & WALL else beside
    state.planes[b, AGENT_PLANE, cell] = 0
    state.planes[b, AGENT_PLANE, there] = 1
    state.agent[b] = there
    marked = state.squares[b, there] & MARK
    if marked or first_mover < table.shape[0]:
        _meet(state, table, b, there, 0 if marked else first_mover)


@inlined
def _meet(state: State, table: np.ndarray, b: int, there: int, first: int) -> None:
    """Let the objects from slot `first` on move, and apply what follows from standing on one of them."""
    ended = False
    for k in range(first, table.shape[0]):
        at = state.objects[b, k]
        motion = int(table[k, MOTION])
        if motion != STILL and at >= 0 and (motion >= LEADS or at != there):
            goal = _next_cell(state, b, motion, at, there)
            if goal != at:
                _put(state, table, b, k, goal)
                at = goal
        if at == there and not state.touched[b] >> np.uint64(k) & np.uint64(1):
            ended |= _enter(state, table, b, k)
    state.terminated[b] = ended
    state.truncated[b] &= not ended


@compiled
def renew_rows(
    state: State, table: np.ndarray, rows: np.ndarray, distribution: LevelDistribution, numbers: np.ndarray
) -> None:
    """Put fresh levels into environments `rows` int64 [b] and begin episodes on them."""
    rng = np.empty(1, np.uint64)
    for b in rows:
        _renew(state, table, b, distribution, numbers, rng)
        if state.leader_paths.shape[1] > 0:
            plan_leader_paths(state, table, b)


@compiled
def begin_rows(state: State, table: np.ndarray, rows: np.ndarray) -> None:
    """Begin episodes in environments `rows` int64 [b] on the levels they have."""
    for b in rows:
        _lay_out(state, table, b)
        if state.leader_paths.shape[1] > 0:
            plan_leader_paths(state, table, b)


@inlined
def _renew(
    state: State, table: np.ndarray, b: int, distribution: LevelDistribution, numbers: np.ndarray, rng: np.ndarray
) -> None:
    """Put a fresh level into environment b and lay it out; `rng` uint64 [1] is scratch."""
    walls = state.squares[b].reshape((-1, state.width))
    generate(distribution, numbers[b], walls, state.start[b : b + 1], state.placed[b], rng)
    numbers[b] += state.agent.shape[0]
    _lay_out(state, table, b)


@inlined
def _lay_out(state: State, table: np.ndarray, b: int) -> None:
    """Put everything where it stands at the start of an episode, and draw it."""
    state.agent[b] = state.start[b]
    state.held[b] = 0
    state.touched[b] = 0
    state.steps[b] = 0
    state.rewards[b, 0] = 0
    state.rewards[b, 1] = 0
    state.terminated[b] = False
    state.truncated[b] = False
    squares, planes = state.squares[b], state.planes[b]
    planes[:] = 0
    for cell in range(squares.shape[0]):
        squares[cell] &= WALL
        planes[WALL_PLANE, cell] = squares[cell]
    planes[AGENT_PLANE, state.start[b]] = 1
    for k in range(table.shape[0]):
        at = state.placed[b, k]
        state.objects[b, k] = at
        if at >= 0:
            squares[at] |= MARK
            _show(state, table, b, k, at)
    if _first_mover(table) < table.shape[0]:
        state.luck[b] = state.start[b]
        for k in range(table.shape[0]):
            state.luck[b] += np.uint64(state.placed[b, k])
            state.luck[b] = draw(state.luck[b : b + 1])


@inlined
def _first_mover(table: np.ndarray) -> int:
    """Return the first slot of the rules float32 [K, COLUMNS] whose object moves, K if none does."""
    for k in range(table.shape[0]):
        if table[k, MOTION] != STILL:
            return k
    return table.shape[0]


@inlined
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
        _put(state, table, b, k, k)
    elif table[k, VANISHES] > 0:
        _put(state, table, b, k, -1)
    return table[k, ENDS] > 0 or (table[k, REQUIRED] + table[k, GIVES] > 0 and _nothing_left(state, table, b))


@inlined
def _use_item(state: State, table: np.ndarray, b: int) -> None:
    """Take one item out of the top wall, where items held are kept for all to see."""
    state.held[b] -= 1
    for k in range(table.shape[0]):
        if table[k, GIVES] > 0 and state.objects[b, k] == k:
            _put(state, table, b, k, -1)
            return


@inlined
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


@inlined
def _next_cell(state: State, b: int, motion: int, cell: int, agent: int) -> int:
    """Return where an object goes that moves, from its cell, while the agent stands on another."""
    if motion >= LEADS:
        return state.leader_paths[b, min(state.steps[b], state.leader_paths.shape[1] - 1)]
    action = _towards(cell, agent, state.width) if motion == CHASES else below(state.luck[b : b + 1], 4)
    beside = cell + (action == RIGHT) - (action == LEFT) + state.width * ((action == DOWN) - (action == UP))
    return cell if state.squares[b, beside] & WALL else beside


@inlined
def _towards(cell: int, target: int, width: int) -> int:
    """Return the action that leads from `cell` towards another cell along the longer of the two distances.

    Where the distances are equal it is the vertical one.
    """
    from_row, to_row = np.uint32(cell) // np.uint32(width), np.uint32(target) // np.uint32(width)
    down = np.int64(to_row) - np.int64(from_row)
    right = target - cell - down * width
    if abs(down) >= abs(right):
        return DOWN if down > 0 else UP
    return RIGHT if right > 0 else LEFT


@inlined
def _put(state: State, table: np.ndarray, b: int, k: int, cell: int) -> None:
    """Put slot k's object on another cell, or nowhere, and redraw what it uncovers."""
    left = state.objects[b, k]
    state.objects[b, k] = cell
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0:
            state.planes[b, plane, left] = 0
    for j in range(table.shape[0]):
        if state.objects[b, j] == left or table[j, FILLS] > 0:
            _show(state, table, b, j, state.objects[b, j])
    _show(state, table, b, k, cell)


@inlined
def _show(state: State, table: np.ndarray, b: int, k: int, cell: int) -> None:
    """Draw slot k's object at a cell; an absent one draws nothing."""
    if cell < 0:
        return
    value = np.uint8(table[k, VALUE])
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0 and table[k, FILLS] > 0:
            state.planes[b, plane, :] = value
        elif plane >= 0:
            state.planes[b, plane, cell] = value
