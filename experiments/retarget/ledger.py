"""The ledger: for every method, how well it reads the goal beside how well it steers, and its cost in capability."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from goalmaze.agents.policies import EditContext
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, interval, number
from goalmaze.experiments.retarget.candidates import Candidate, fit_candidate
from goalmaze.experiments.retarget.side_effects import summarise_behaviour
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, place_pattern
from goalmaze.probes.steering.gated_pattern import GatedPattern
from goalmaze.probes.steering.pointwise_network import PointwisePattern

READ_MAZES = 200
"""The read score is computed on at most so many mazes."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method at one site.

    Attributes:
        site: the site.
        method: the steering method.
        is_oracle: whether its edits use more than two cells a maze.
        read: how often it reads the goal's cell, see `read_score`.
        steer: how often the agent reaches the target first under its edit.
        steer_off_path: the same where the goal lies on no shortest path to the target.
        unedited: the same as `steer`, without an edit.
        noise: the same under noise of the edit's norm.
        capability: rate of mazes in which the agent reaches its goal under the edit with that goal as target.
        capability_before: the same without an edit.
    """

    site: str
    method: str
    is_oracle: bool
    read: Rate
    steer: Rate
    steer_off_path: Rate
    unedited: Rate
    noise: Rate
    capability: float
    capability_before: float

    @property
    def steers(self) -> bool:
        """Whether the interval of `steer` lies above those of the unedited agent and of noise."""
        return self.steer.low > max(self.unedited.high, self.noise.high)

    @property
    def capability_change(self) -> float:
        """The change of the rate at which it reaches its goal."""
        return self.capability - self.capability_before

    def json(self) -> JsonObject:
        """Return the entry as plain data."""
        return {
            "site": self.site,
            "method": self.method,
            "oracle": self.is_oracle,
            "read": number(self.read.value),
            "read_interval": interval(self.read),
            "steer": number(self.steer.value),
            "steer_interval": interval(self.steer),
            "steer_off_path": number(self.steer_off_path.value),
            "unedited": number(self.unedited.value),
            "noise": number(self.noise.value),
            "capability_change": number(self.capability_change),
            "steers": self.steers,
        }


@dataclasses.dataclass(frozen=True)
class Ledger(Result):
    """All entries, and the rate of targets reached with the cue physically moved as their reference."""

    entries: tuple[Entry, ...]
    reference: Rate

    def json(self) -> JsonObject:
        """Return the ledger as plain data."""
        return {"moved_cue": number(self.reference.value), "ledger": [entry.json() for entry in self.entries]}

    def blocks(self) -> list[str | Table]:
        """Return the ledger as a table, and its two references."""
        rows = [
            [
                f"{one.site} {one.method}",
                one.read if one.read.levels else "-",
                one.steer,
                formatted(one.steer_off_path.value, ".2f"),
                formatted(one.noise.value, ".2f"),
                formatted(one.capability_change, "+.3f"),
                "steers" if one.steers else "reading without control",
            ]
            for one in self.entries
        ]
        headers = [
            "site, method",
            "reads the goal",
            "steers",
            "steers off path",
            "noise",
            "capability change",
            "result",
        ]
        return [
            Table(headers, rows),
            f"cue physically moved: {self.reference}; unedited: {self.entries[0].unedited}",
        ]


def ledger(
    context: FitContext, task: RetargetingTask, pairs: Sequence[tuple[str, str]], strength: float = 1.0
) -> Ledger:
    """Fit every pair of site and method and evaluate its reading, its steering and its cost.

    Args:
        context: the policy and the mazes that edits are fitted on.
        task: held-out evaluation mazes.
        pairs: sites and names of steering methods, such as `compatible_pairs` gives.
        strength: factor on every edit.
    """
    policy = context.policy
    unedited = task.evaluate(policy).overall.other
    reference = task.evaluate(policy, levels=task.levels_with_cue_moved()).overall.other
    to_goal = task.with_goals_as_targets()
    # Capability is measured with the goal itself as target, where an ideal edit changes nothing.
    before = summarise_behaviour(to_goal.rollout(policy), to_goal.levels, to_goal.goals).arrived
    entries = []
    for site, method in tqdm(pairs, desc="ledger", unit="entry", disable=None):
        one = fit_candidate(context, site, method, strength)
        steered = task.evaluate(policy, one.edits(task))
        noise = task.evaluate(policy, one.noise_edits(task)).overall.other
        after = summarise_behaviour(to_goal.rollout(policy, one.edits(to_goal)), to_goal.levels, to_goal.goals).arrived
        read = read_score(context, task, one)
        entries.append(
            Entry(
                site,
                method,
                is_oracle=one.is_oracle,
                read=read,
                steer=steered.overall.other,
                steer_off_path=steered.off_path.other,
                unedited=unedited,
                noise=noise,
                capability=after,
                capability_before=before,
            )
        )
    return Ledger(tuple(entries), reference)


def read_score(context: FitContext, task: RetargetingTask, one: Candidate) -> Rate:
    """Return how often a candidate reads the goal's cell: the free cell with the highest of its `cell_scores`.

    The rate is over no mazes where all cells score the same, so that nothing is read.
    """
    first = task.take_first(READ_MAZES)
    sides = first.levels.height, first.levels.width
    scores = cell_scores(one, context.activations(first.levels, one.site), sides)
    # An edit that ignores the activation gives all cells the same score, and `argmax` would read cell 0.
    if bool((scores.amax(dim=1) == scores.amin(dim=1)).all()):
        return rate(0, 0)
    free = torch.from_numpy(first.levels.free())
    # A goal is never in a wall, so walls are no answer.
    read = scores.masked_fill(~free, -torch.inf).argmax(dim=1).numpy()
    return rate(int((read == first.goals).sum()), len(read))


def cell_scores(one: Candidate, activation: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return float32 [B, H*W], how much each activation looks to a candidate as if the goal were on each cell.

    An edit that adds a fixed tensor scores the squared error that the tensor explains. An edit that sets values scores
    minus the norm of its change: it changes least where the values are set already.

    Args:
        one: the candidate.
        activation: float32 [B, ...], the site's activation on B mazes.
        sides: H and W of the mazes.
    """
    batch, cells = len(activation), sides[0] * sides[1]
    # The mean over mazes is common to all cells and would favour the entries that resemble it.
    centred = activation - activation.mean(dim=0)
    scores = torch.empty(batch, cells)
    for cell in range(cells):
        added = _added(one.fitted_edit, cell, sides)
        if added is not None:
            # |x|^2 - |x - a|^2 = 2 (x.a - |a|^2 / 2)
            scores[:, cell] = (centred * added).flatten(1).sum(dim=1) - 0.5 * added.square().sum()
        else:
            # Without a goal cell the edit only writes, so its change says how far the cell is from looking like a goal.
            target, no_goal = np.full(batch, cell, np.int32), np.full(batch, ABSENT, np.int32)
            edit = one.fitted_edit.edits(GoalMove(no_goal, target, *sides))[0]
            change = edit(activation, EditContext.at_start(np.arange(batch))) - activation
            scores[:, cell] = -change.flatten(1).norm(dim=1)
    return scores


def _added(fitted_edit: FittedEdit, cell: int, sides: tuple[int, int]) -> Tensor | None:
    """Return float32 [...], what is added for a goal on a cell whatever the activation; None where there is no such."""
    if isinstance(fitted_edit, CellTable):
        return fitted_edit.at_target[cell]
    if isinstance(fitted_edit, GatedPattern | PointwisePattern):
        fitted_edit = fitted_edit.pattern
    if isinstance(fitted_edit, GoalPattern):
        return place_pattern(fitted_edit.at_target, np.array([cell], np.int32), *sides)[0]
    return None
