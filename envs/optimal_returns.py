"""Optimal returns: the largest sum of true rewards that is possible on a level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import Bools, Cells
from goalmaze.envs.engine import rules
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.compile import compiled
from goalmaze.envs.jit.flood import flood
from goalmaze.envs.level_checks import LevelArrays

MAX_PRIZES = 12
"""The largest number of objects per level that the search for the best order can handle."""


def best_returns(
    levels: LevelArrays, table: NDArray[np.float32], time_limit: int, discount: float
) -> NDArray[np.float64]:
    """Return float64 [B], the largest sum of true rewards that is possible on each level.

    It is exact where nothing moves: the search covers every order of the objects that give a reward, or that are needed
    for one, along shortest paths around all objects that end the episode, within the time limit. Where objects that
    cost reward move, it is an upper bound: the return if none of them ever reached the agent.

    Args:
        levels: B levels.
        table: float32 [K, COLUMNS], the rules, see `goalmaze.envs.engine.rules`.
        time_limit: steps after which an episode is truncated.
        discount: a reward at the t-th step counts ``discount ** (t - 1)`` times.

    Raises:
        GoalmazeError: a level holds more than `MAX_PRIZES` such objects.
    """
    prizes = _prizes(table, levels.objects)
    most = int(prizes.sum(axis=1).max(initial=0))
    if most > MAX_PRIZES:
        raise GoalmazeError(
            f"{most} objects that matter are more than the {MAX_PRIZES} that the best return is found for"
        )
    best = np.zeros(len(levels.start))
    _best_returns(levels.walls, levels.start, levels.objects, table, prizes, time_limit, discount, best)
    return best


def is_exact(table: NDArray[np.float32]) -> bool:
    """Return whether `best_returns` is exact under these rules: nothing with an effect moves."""
    moves = table[:, rules.MOTION] != rules.STILL
    columns = [rules.REWARD, rules.ENDS, rules.GIVES, rules.NEEDS, rules.REQUIRED]
    return not (table[moves][:, columns] != 0).any()


def paying(table: NDArray[np.float32], objects: Cells, column: int = rules.REWARD) -> Bools:
    """Return bool [B, K], True for objects [B, K] in the level with a positive reward in a column of the rules."""
    return np.asarray(acting(table, objects) & (table[:, column] > 0))


def _prizes(table: NDArray[np.float32], objects: Cells) -> Bools:
    """Return bool [B, K], True for objects that give a reward, or an item that such objects need."""
    works = acting(table, objects)
    pays = paying(table, objects)
    wanted = (pays & (table[:, rules.NEEDS] > 0)).any(axis=1, keepdims=True)
    return np.asarray(pays | (works & (table[:, rules.GIVES] > 0) & wanted))


def acting(table: NDArray[np.float32], objects: Cells) -> Bools:
    """Return bool [B, K], True for objects that are in the level and have effects with its lamp as it is."""
    works = objects >= 0
    for k, row in enumerate(table):
        lamp = int(row[rules.LAMP])
        if lamp >= 0:
            works[:, k] &= (objects[:, lamp] >= 0) == (row[rules.WHILE_LIT] > 0)
    return np.asarray(works)


@compiled
def _best_returns(
    walls: np.ndarray,
    start: np.ndarray,
    objects: np.ndarray,
    table: np.ndarray,
    prizes: np.ndarray,
    time_limit: int,
    discount: float,
    best: np.ndarray,
) -> None:
    """Fill `best` float64 [B]; prizes bool [B, K] are the objects to be entered in the best order."""
    for b in range(best.shape[0]):
        slots = np.flatnonzero(prizes[b])
        paths = _lengths(walls[b], start[b], objects[b], table, slots)
        best[b] = _best_order(paths, table, slots, time_limit, discount)


@compiled
def _lengths(walls: np.ndarray, start: int, objects: np.ndarray, table: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return int32 [n + 1, n], the steps to each of n slots from each other and, last, from the start."""
    n = slots.shape[0]
    paths = np.empty((n + 1, n), np.int32)
    distance = np.empty(walls.size, np.int32)
    queue = np.empty(walls.size, np.int32)
    for i in range(n):
        blocked = walls.copy()
        for k in range(objects.shape[0]):
            if (
                table[k, rules.ENDS] > 0
                and objects[k] >= 0
                and objects[k] != objects[slots[i]]
                and _ends(table, objects, k)
                and not _comes_after(table, k, slots[i])
            ):
                blocked[objects[k] // walls.shape[1], objects[k] % walls.shape[1]] = True
        # Distances are symmetric, so one search from each object gives the paths to it from everywhere.
        flood(blocked, objects[slots[i]], distance, queue)
        for j in range(n):
            paths[j, i] = distance[objects[slots[j]]]
        paths[n, i] = distance[start]
    return paths


@compiled
def _ends(table: np.ndarray, objects: np.ndarray, k: int) -> bool:
    """Return whether entering slot k ends the episode, its lamp being as it is."""
    lamp = int(table[k, rules.LAMP])
    return lamp < 0 or (objects[lamp] >= 0) == (table[k, rules.WHILE_LIT] > 0)


@compiled
def _comes_after(table: np.ndarray, k: int, first: int) -> bool:
    """Return whether slot k has no effect before slot `first` was entered, so that it ends no path to it."""
    before = int(table[k, rules.AFTER])
    while before >= 0:
        if before == first:
            return True
        before = int(table[before, rules.AFTER])
    return False


@compiled
def _best_order(paths: np.ndarray, table: np.ndarray, slots: np.ndarray, time_limit: int, discount: float) -> float:
    """Return the best return over all orders, by dynamic programming over (slots entered, the last of them, time)."""
    n = slots.shape[0]
    # Held and Karp's algorithm (1962) with time as a third coordinate, since discounting and the limit depend on it.
    # -1 marks states that cannot be reached.
    worth = np.full((2**n, n, time_limit + 1), -1.0)
    best = 0.0
    for done in range(2**n):
        for last in range(n + 1):
            if (last == n) != (done == 0) or (last < n and not done >> last & 1):
                continue
            # Nothing follows an object that ends the episode.
            if last < n and table[slots[last], rules.ENDS] > 0:
                continue
            for then in range(n):
                if done >> then & 1 or not _may_enter(table, slots, done, then):
                    continue
                reward = table[slots[then], rules.REWARD]
                length = paths[last, then]
                for time in range(time_limit + 1 - length):
                    value = worth[done, last, time] if last < n else (0.0 if time == 0 else -1.0)
                    if value < 0:
                        continue
                    value += reward * discount ** (time + length - 1)
                    now = done | 1 << then
                    worth[now, then, time + length] = max(worth[now, then, time + length], value)
                    best = max(best, value)
    return best


@compiled
def _may_enter(table: np.ndarray, slots: np.ndarray, done: int, then: int) -> bool:
    """Return whether prize `then` has an effect once the prizes in the bits of `done` were entered."""
    # An object that must come before is struck out when it is among those entered.
    before = int(table[slots[then], rules.AFTER])
    items = 0
    for i in range(slots.shape[0]):
        if done >> i & 1:
            items += int(table[slots[i], rules.GIVES]) - int(table[slots[i], rules.NEEDS])
            if slots[i] == before:
                before = -1
    return before < 0 and (table[slots[then], rules.NEEDS] == 0 or items > 0)
