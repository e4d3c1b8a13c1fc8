"""The rules on arrays: compiled functions that step, observe and renew a whole batch in place, without allocation.

The rules are a table with one row per slot (`goalmaze.envs.engine.rules`), so every family runs through the same
functions. Only what changes is redrawn.

Functions that are called once for every environment are `inlined`: the arrays of `State` are then not passed again.

Axes: B environments, H rows, W columns, K object slots, C observation planes.
"""

from __future__ import annotations

import numpy as np

from goalmaze.envs.actions import DOWN, LEFT, RIGHT, UP
from goalmaze.envs.engine.leader_paths import plan_leader_paths
from goalmaze.envs.engine.level_generation import LevelAddresses, LevelDistribution, generate
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
    VISIBLE_STEPS,
    WHILE_LIT,
)
from goalmaze.envs.engine.state import AGENT_PLANE, MARK, WALL, WALL_PLANE, State
from goalmaze.envs.jit.compile import compiled, inlined
from goalmaze.envs.jit.counter_rng import below, draw


@compiled
def step(state: State, table: np.ndarray, time_limit: int, actions: np.ndarray) -> None:
    """Step every episode by one of `actions` int [B]; an action outside 0 to 3 stays. `state` changes in place."""
    _count_step(state, time_limit)
    # Read from the rules once per call, not once per environment.
    first_mover, hiding = _first_mover(table), _any_hidden(table)
    for b in range(actions.shape[0]):
        _move(state, table, b, actions[b], first_mover)
        if hiding:
            _hide_objects(state, table, b)


@compiled
def play(
    state: State,
    table: np.ndarray,
    time_limit: int,
    actions: np.ndarray,
    distribution: LevelDistribution,
    addresses: LevelAddresses,
) -> None:
    """Step every episode; where one had ended before, begin the next one on a fresh level instead.

    Args:
        state: changed in place.
        table: float32 [K, COLUMNS], the rules.
        time_limit: steps after which an episode is truncated.
        actions: int [B].
        distribution: how levels are made.
        addresses: of the next levels; its indices are advanced when used.
    """
    _count_step(state, time_limit)
    first_mover, hiding = _first_mover(table), _any_hidden(table)
    ended = state.ended
    # One array for all environments: `inlined` functions cannot allocate.
    rng = np.empty(1, np.uint64)
    for b in range(actions.shape[0]):
        if ended[b]:
            _renew(state, table, b, distribution, addresses, rng)
            if state.leader_paths.shape[1] > 0:
                plan_leader_paths(state, table, b)
        else:
            _move(state, table, b, actions[b], first_mover)
            if hiding:
                _hide_objects(state, table, b)


@inlined
def _count_step(state: State, time_limit: int) -> None:
    """Count a step of every episode, clear its rewards, and note which episodes had ended before."""
    state.rewards[:] = 0
    for b in range(state.steps.shape[0]):
        state.ended[b] = state.terminated[b] | state.truncated[b]
        state.terminated[b] = False
        state.steps[b] += 1
        # Decided before the rules are applied; `_apply_objects` takes it back where the step also terminates.
        state.truncated[b] = state.steps[b] >= time_limit


@inlined
def _move(state: State, table: np.ndarray, b: int, action: int, first_mover: int) -> None:
    """Move one agent, then the objects that move, and apply the effects of the objects it stands on."""
    cell = state.agent[b]
    # Sums of comparisons instead of branches: actions are random to the processor, so branches would be mispredicted.
    # An action out of range adds nothing. The border is wall, so no cell ahead is ever outside the arrays.
    ahead = cell + (action == RIGHT) - (action == LEFT) + state.width * ((action == DOWN) - (action == UP))
    there = cell if state.squares[b, ahead] & WALL else ahead
    state.planes[b, AGENT_PLANE, cell] = 0
    state.planes[b, AGENT_PLANE, there] = 1
    state.agent[b] = there
    # Most steps end on a square where no object has ever been, in a family where none moves: they are done here.
    marked = state.squares[b, there] & MARK
    if marked or first_mover < table.shape[0]:
        _apply_objects(state, table, b, there, 0 if marked else first_mover)


@inlined
def _apply_objects(state: State, table: np.ndarray, b: int, there: int, first: int) -> None:
    """Move the objects from slot `first` on, and apply the effects of those on the agent's cell `there`."""
    ended = False
    for k in range(first, table.shape[0]):
        at = state.objects[b, k]
        motion = int(table[k, MOTION])
        # A chasing or wandering object that shares the agent's cell has met it and stays; a leader walks on.
        if motion != STILL and at >= 0 and (motion >= LEADS or at != there):
            target = _next_cell(state, b, motion, at, there)
            if target != at:
                _put(state, table, b, k, target)
                at = target
        # An effect happens once for each object: bit k of `entered` is the record of it.
        if at == there and not state.entered[b] >> np.uint64(k) & np.uint64(1):
            ended |= _enter(state, table, b, k)
    state.terminated[b] = ended
    # Gymnasium: an episode that the rules end is not truncated as well.
    state.truncated[b] &= not ended


@compiled
def renew_rows(
    state: State, table: np.ndarray, rows: np.ndarray, distribution: LevelDistribution, addresses: LevelAddresses
) -> None:
    """Put fresh levels into environments `rows` int64 [b] and begin episodes on them."""
    rng = np.empty(1, np.uint64)
    for b in rows:
        _renew(state, table, b, distribution, addresses, rng)
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
    state: State,
    table: np.ndarray,
    b: int,
    distribution: LevelDistribution,
    addresses: LevelAddresses,
    rng: np.ndarray,
) -> None:
    """Put a fresh level into environment b and lay it out; `rng` uint64 [1] is scratch."""
    # The maze is carved right into `squares`, which holds bytes: True is 1, the bit `WALL`.
    walls = state.squares[b].reshape((-1, state.width))
    seed, index = addresses.seeds[b], addresses.indices[b]
    generate(distribution, seed, index, walls, state.start[b : b + 1], state.placed[b], rng)
    # The r-th of n environments of a seed plays the levels r, r + n, r + 2n and so on, however long its episodes last.
    addresses.indices[b] = index + addresses.stride
    _lay_out(state, table, b)


@inlined
def _lay_out(state: State, table: np.ndarray, b: int) -> None:
    """Reset an episode to the start of its level, and draw all observation planes."""
    state.agent[b] = state.start[b]
    state.items[b] = 0
    state.entered[b] = 0
    state.steps[b] = 0
    state.rewards[b, 0] = 0
    state.rewards[b, 1] = 0
    state.terminated[b] = False
    state.truncated[b] = False
    squares, planes = state.squares[b], state.planes[b]
    planes[:] = 0
    for cell in range(squares.shape[0]):
        # This clears the marks of the episode before.
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
        # The stream depends on the level alone, so equal levels have equal episodes in any row. Sum and scrambling
        # alternate: without the scrambling, levels with equal sums of cells would share a stream.
        state.streams[b] = state.start[b]
        for k in range(table.shape[0]):
            state.streams[b] += np.uint64(state.placed[b, k])
            state.streams[b] = draw(state.streams[b : b + 1])


@compiled
def skip_to(state: State, table: np.ndarray, steps: np.ndarray) -> None:
    """Count `steps` int32 [B] steps in the episodes, in which nothing moved, and hide what shows no longer."""
    for b in range(steps.shape[0]):
        state.steps[b] = steps[b]
        for k in range(table.shape[0]):
            if not _is_visible(state, table, b, k):
                _clear_planes(state, table, b, k)
        for k in range(table.shape[0]):
            _show(state, table, b, k, state.objects[b, k])


@inlined
def _first_mover(table: np.ndarray) -> int:
    """Return the first slot of the rules float32 [K, COLUMNS] whose object moves, or K if none moves."""
    for k in range(table.shape[0]):
        if table[k, MOTION] != STILL:
            return k
    return table.shape[0]


@inlined
def _any_hidden(table: np.ndarray) -> bool:
    """Return whether the rules float32 [K, COLUMNS] hide any object later in an episode."""
    hidden = False
    for k in range(table.shape[0]):
        hidden |= table[k, VISIBLE_STEPS] > 0
    return hidden


@inlined
def _is_visible(state: State, table: np.ndarray, b: int, k: int) -> bool:
    """Return whether slot k's object shows in the observation after the steps taken so far."""
    # No step has been taken before the first observation, which counts as the first of the visible ones.
    return table[k, VISIBLE_STEPS] == 0 or state.steps[b] < table[k, VISIBLE_STEPS]


@inlined
def _clear_planes(state: State, table: np.ndarray, b: int, k: int) -> None:
    """Clear the planes on which slot k's object shows, with all that shares them."""
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0:
            state.planes[b, plane, :] = 0


@inlined
def _hide_objects(state: State, table: np.ndarray, b: int) -> None:
    """Clear the planes of the objects that stop showing with this observation, and draw again what shares them."""
    any_hidden = False
    for k in range(table.shape[0]):
        # Once in an episode: later nothing draws the object, see `_show`.
        if table[k, VISIBLE_STEPS] > 0 and state.steps[b] == table[k, VISIBLE_STEPS]:
            any_hidden = True
            _clear_planes(state, table, b, k)
    if any_hidden:
        for k in range(table.shape[0]):
            _show(state, table, b, k, state.objects[b, k])


@inlined
def _enter(state: State, table: np.ndarray, b: int, k: int) -> bool:
    """Apply the effects of standing on slot k's object, and return whether the episode ends."""
    before = int(table[k, AFTER])
    if before >= 0 and not state.entered[b] >> np.uint64(before) & np.uint64(1):
        return False
    lamp = int(table[k, LAMP])
    if lamp >= 0 and (state.objects[b, lamp] >= 0) != (table[k, WHILE_LIT] > 0):
        return False
    # The order of these tests is part of the rules: without its precondition, an object uses up no item.
    if table[k, NEEDS] > 0:
        if state.items[b] == 0:
            return False
        _use_item(state, table, b)
    state.entered[b] |= np.uint64(1) << np.uint64(k)
    if table[k, SPARES] > 0 and state.items[b] > 0:
        _use_item(state, table, b)
    else:
        state.rewards[b, 0] += table[k, REWARD]
        state.rewards[b, 1] += table[k, CUE_REWARD]
    if table[k, GIVES] > 0:
        state.items[b] += 1
        # Cell k is the k-th square of the top wall, where an observation shows the item of slot k as held.
        _put(state, table, b, k, k)
    elif table[k, VANISHES] > 0:
        _put(state, table, b, k, -1)
    return table[k, ENDS] > 0 or (table[k, REQUIRED] + table[k, GIVES] > 0 and _nothing_left(state, table, b))


@inlined
def _use_item(state: State, table: np.ndarray, b: int) -> None:
    """Remove one item from the top wall, where the observation shows the items held."""
    state.items[b] -= 1
    for k in range(table.shape[0]):
        if table[k, GIVES] > 0 and state.objects[b, k] == k:
            _put(state, table, b, k, -1)
            return


@inlined
def _nothing_left(state: State, table: np.ndarray, b: int) -> bool:
    """Return whether no required object can be entered any more; False where there are none.

    One can be entered if it was not yet, and if it needs an item that is held or still lies in the maze.
    """
    items = state.items[b]
    for k in range(table.shape[0]):
        # Cell k means held and -1 gone, so only an item that still lies in the maze is above k.
        if table[k, GIVES] > 0 and state.objects[b, k] > k:
            items += 1
    any_required = False
    for k in range(table.shape[0]):
        if table[k, REQUIRED] > 0 and state.placed[b, k] >= 0:
            any_required = True
            pending = not state.entered[b] >> np.uint64(k) & np.uint64(1)
            if pending and (table[k, NEEDS] == 0 or items > 0):
                return False
    return any_required


@inlined
def _next_cell(state: State, b: int, motion: int, cell: int, agent: int) -> int:
    """Return the next cell of a moving object, from its cell and the agent's."""
    if motion >= LEADS:
        # Planned in advance: the path depends on the level alone. The last cell repeats after the path's end.
        return state.leader_paths[b, min(state.steps[b], state.leader_paths.shape[1] - 1)]
    action = _towards(cell, agent, state.width) if motion == CHASES else below(state.streams[b : b + 1], 4)
    ahead = cell + (action == RIGHT) - (action == LEFT) + state.width * ((action == DOWN) - (action == UP))
    return cell if state.squares[b, ahead] & WALL else ahead


@inlined
def _towards(cell: int, target: int, width: int) -> int:
    """Return the action that leads from `cell` towards another cell along the longer of the two distances.

    Where the distances are equal it is the vertical one.
    """
    # Unsigned 32-bit division is the fastest that numba offers; cells are never negative here.
    from_row, to_row = np.uint32(cell) // np.uint32(width), np.uint32(target) // np.uint32(width)
    down = np.int64(to_row) - np.int64(from_row)
    right = target - cell - down * width
    if abs(down) >= abs(right):
        return DOWN if down > 0 else UP
    return RIGHT if right > 0 else LEFT


@inlined
def _put(state: State, table: np.ndarray, b: int, k: int, cell: int) -> None:
    """Move slot k's object to another cell, or out of the level, and redraw what it uncovers."""
    previous = state.objects[b, k]
    state.objects[b, k] = cell
    # Clearing the cell may erase other objects that share it and a plane, so those are drawn again below.
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0:
            state.planes[b, plane, previous] = 0
    for j in range(table.shape[0]):
        if state.objects[b, j] == previous or table[j, FILLS] > 0:
            _show(state, table, b, j, state.objects[b, j])
    _show(state, table, b, k, cell)


@inlined
def _show(state: State, table: np.ndarray, b: int, k: int, cell: int) -> None:
    """Draw slot k's object at a cell; an absent or a hidden one draws nothing."""
    if cell < 0 or not _is_visible(state, table, b, k):
        return
    value = np.uint8(table[k, VALUE])
    for column in (PLANE, SECOND_PLANE):
        plane = int(table[k, column])
        if plane >= 0 and table[k, FILLS] > 0:
            state.planes[b, plane, :] = value
        elif plane >= 0:
            state.planes[b, plane, cell] = value
