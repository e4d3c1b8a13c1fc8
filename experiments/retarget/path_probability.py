"""How likely is the shortest way? The measure of Mini et al. (2023), without the luck of sampled actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import ABSENT, Cells
from goalmaze.envs.engine.kernels import ACTIONS
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.edits.base import Edit, FirstSteps, applied

Chances = NDArray[np.float64]
BATCH = 512


def path_chances(
    policy: NetworkPolicy,
    levels: LevelBatch,
    goals: Cells,
    targets: Cells,
    edits: Sequence[Edit] = (),
) -> Chances:
    """Return float64 [B], the geometric mean over steps of the chance that the agent goes a shortest way.

    Of several shortest ways any will do: it is the n-th root of the chance of all of them together, n steps long. A way
    over the goal's cell ends there and does not count. An edit at the first steps only counts at the start's cell. NaN
    for an agent with a memory, whose chances depend on how it came to a cell.

    Args:
        policy: the agent.
        family: of the levels.
        levels: B of them, as the agent sees them.
        goals: int32 [B], the cells at which episodes end before the target, `ABSENT` for none.
        targets: int32 [B].
        edits: in force while it walks.
    """
    if isinstance(policy.network, RecurrentNetwork):
        return np.full(len(levels), np.nan)
    to_target, from_start = distances(levels, targets), distances(levels, levels.start)
    length = pick(to_target, levels.start)
    on_way = (to_target + from_start == length[:, None]) & (to_target > 0) & (to_target < UNREACHABLE)
    blocked = (goals != ABSENT) & (goals != targets)
    on_way[np.flatnonzero(blocked), goals[blocked]] = False
    chances = _chances_on(policy, levels, on_way, edits)
    total = _walked(chances, to_target, levels.start, targets, levels.width)
    return np.where(length < UNREACHABLE, total ** (1 / np.maximum(length, 1)), 0.0)


def _chances_on(policy: NetworkPolicy, levels: LevelBatch, cells: NDArray[np.bool_], edits: Sequence[Edit]) -> Chances:
    """Return float64 [B, H*W, 4], the chances of moves with the agent on each of some cells bool [B, H*W], else 0."""
    found = np.zeros((*cells.shape, len(ACTIONS)))
    rows, places = np.nonzero(cells)
    lasting = [edit for edit in edits if not isinstance(edit, FirstSteps)]
    first = levels.start[rows] == places
    for chosen, active in ((first, edits), (~first, lasting)):
        for part in np.array_split(np.flatnonzero(chosen), max(1, -(-int(chosen.sum()) // BATCH))):
            own = rows[part]
            put = levels.take(own).started(places[part])
            if len(part):
                with applied(policy, [_unclocked(edit) for edit in active]):
                    seen = observations_of(policy, put)
                    found[own, places[part]] = policy.begin(put).probabilities(own, seen, put.start)
    return found


def _unclocked(edit: Edit) -> Edit:
    return edit.edit if isinstance(edit, FirstSteps) else edit


def _walked(chances: Chances, to_target: Cells, start: Cells, targets: Cells, width: int) -> Chances:
    """Return float64 [B], the chance to walk from the start to the target with every move shortening the way."""
    rows = np.arange(len(start))
    here = np.zeros(to_target.shape)
    here[rows, start] = 1.0
    steps = (-width, 1, width, -1)
    for distance in range(
        int(to_target[rows, start].max(initial=0, where=to_target[rows, start] < UNREACHABLE)), 0, -1
    ):
        b, cell = np.nonzero((to_target == distance) & (here > 0))
        for action, step in enumerate(steps):
            nearer = to_target[b, cell + step] == distance - 1
            np.add.at(here, (b[nearer], cell[nearer] + step), (here * chances[:, :, action])[b, cell][nearer])
    return here[rows, targets]
