"""Path probability: how likely a policy is to walk a shortest path, without sampling any action (Mini et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.networks.base import RecurrentNetwork
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import ACTIONS, cell_steps
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.edits.base import Edit, acting, applied
from goalmaze.probes.edits.goal_move import GoalMove

Floats = NDArray[np.float64]
BATCH = 512


def path_probability(policy: NetworkPolicy, levels: LevelBatch, move: GoalMove, edits: Sequence[Edit] = ()) -> Floats:
    """Return float64 [B], the geometric mean over steps of the probability that the agent walks a shortest path.

    Several shortest paths count together: it is the n-th root of the probability that the agent walks any of them, n
    being their number of steps. A path over the goal's cell ends there and does not count. It is NaN for an agent with
    a memory, whose probabilities on a cell depend on how it came there.

    Args:
        policy: the policy.
        levels: B levels, as the agent sees them.
        move: its `targets` [B] are where the paths lead, its `goals` [B] the cells where an episode ends before.
        edits: applied while the agent walks.
    """
    if isinstance(policy.network, RecurrentNetwork):
        return np.full(len(levels), np.nan)
    to_target, from_start = distances(levels, move.targets), distances(levels, levels.start)
    length = pick(to_target, levels.start)
    # A cell lies on a shortest path exactly if its distances from both ends add up to the length. No move starts on the
    # target.
    on_path = (to_target + from_start == length[:, None]) & (to_target > 0) & (to_target < UNREACHABLE)
    blocked = (move.goals != ABSENT) & (move.goals != move.targets)
    on_path[np.flatnonzero(blocked), move.goals[blocked]] = False
    probabilities = probabilities_on(policy, levels, on_path, from_start, edits)
    # The sum over all shortest paths, by dynamic programming instead of enumeration.
    total = _walk_probability(probabilities, to_target, levels.start, move.targets, levels.width)
    # The n-th root makes paths of different length comparable. The length is 0 where the agent starts on its target.
    return np.where(length < UNREACHABLE, total ** (1 / np.maximum(length, 1)), 0.0)


def probabilities_on(
    policy: NetworkPolicy, levels: LevelBatch, cells: Bools, steps: Cells, edits: Sequence[Edit] = ()
) -> Floats:
    """Return float64 [B, H*W, 4], the probabilities of the moves with the agent on some cells, zero on others.

    Args:
        policy: a policy without memory.
        levels: B levels.
        cells: bool [B, H*W], on which the agent is put.
        steps: int [B, H*W], at which step of its episode the agent is on a cell; edits may act at some steps only.
        edits: of these B levels, applied meanwhile.
    """
    result = np.zeros((*cells.shape, len(ACTIONS)))
    rows, at = np.nonzero(cells)
    first = steps[rows, at] == 0
    for chosen in (first, ~first):
        for part in np.array_split(np.flatnonzero(chosen), max(1, -(-int(chosen.sum()) // BATCH))):
            if len(part):
                b, cell = rows[part], at[part]
                context = EditContext(b, steps[b, cell].astype(np.int64))
                put = levels.take(b).started(cell)
                observations = observations_of(policy, put, context.steps)
                # Edits of the first steps never act on later cells.
                with applied(policy, acting(edits, context)):
                    result[b, cell] = policy.probabilities(b, observations, put.start, context.steps)
    return result


def _walk_probability(probabilities: Floats, to_target: Cells, start: Cells, targets: Cells, width: int) -> Floats:
    """Return float64 [B], the probability to walk from start to target with every move shortening the path."""
    rows = np.arange(len(start))
    reach = np.zeros(to_target.shape)
    reach[rows, start] = 1.0
    length = to_target[rows, start]
    # Dynamic programming by distance: all cells at one distance pass their probability on before those nearer do.
    for distance in range(int(length.max(initial=0, where=length < UNREACHABLE)), 0, -1):
        b, cell = np.nonzero((to_target == distance) & (reach > 0))
        for action, offset in enumerate(cell_steps(width)):
            nearer = to_target[b, cell + offset] == distance - 1
            passed = (reach * probabilities[:, :, action])[b, cell][nearer]
            # `add.at`, because several cells pass their probability on to the same one, and `+=` would count one of
            # them.
            np.add.at(reach, (b[nearer], cell[nearer] + offset), passed)
    return reach[rows, targets]
