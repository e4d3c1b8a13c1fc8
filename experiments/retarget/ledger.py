"""The ledger: for every method, how well it reads the goal beside how well it steers and what that costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from goalmaze.envs.cells import ABSENT
from goalmaze.experiments.common.tables import interval, number, table
from goalmaze.experiments.retarget.candidates import Candidate, find_candidate
from goalmaze.experiments.retarget.side_effects import conduct
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.composition import Found, edits_of
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern, spread
from goalmaze.probes.information import uses_only_cells

READ_MAZES = 200


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method at one site.

    Attributes:
        site: where.
        method: which.
        fair: whether it knows cells at most.
        read: how often it reads the goal's cell: the cell at which writing the goal would change least, or, for what is
            added whatever stands there, at which what would be added fits best.
        steer: how often the agent reaches the target first under its edit.
        clear: the same where the goal is off the way.
        unedited: of the agent without an edit.
        noise: under noise of the edit's norm.
        capability: share of mazes in which it reaches its own goal under the edit that names that goal.
        before: the same without an edit.
    """

    site: str
    method: str
    fair: bool
    read: Rate
    steer: Rate
    clear: Rate
    unedited: Rate
    noise: Rate
    capability: float
    before: float

    @property
    def steers(self) -> bool:
        """Whether the steering's interval lies above that of the unedited agent and of noise."""
        return self.steer.low > max(self.unedited.high, self.noise.high)

    @property
    def capability_change(self) -> float:
        """How much more often it reaches its own goal."""
        return self.capability - self.before

    def json(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return {
            "site": self.site,
            "method": self.method,
            "upper_bound": not self.fair,
            "read": number(self.read.value),
            "read_interval": interval(self.read),
            "steer": number(self.steer.value),
            "steer_interval": interval(self.steer),
            "steer_off_path": number(self.clear.value),
            "unedited": number(self.unedited.value),
            "noise": number(self.noise.value),
            "capability_change": number(self.capability_change),
            "steers": self.steers,
        }


@dataclasses.dataclass(frozen=True)
class Ledger:
    """All entries, and the mark of the moved cue."""

    entries: tuple[Entry, ...]
    mark: Rate

    def json(self) -> dict[str, Any]:
        """Return the ledger as plain data."""
        return {"moved_cue": number(self.mark.value), "ledger": [entry.json() for entry in self.entries]}

    def text(self) -> str:
        """Return the ledger as a table."""
        rows = [
            [
                f"{one.site} {one.method}",
                one.read if one.read.levels else "-",
                one.steer,
                f"{one.clear.value:.2f}",
                f"{one.noise.value:.2f}",
                f"{one.capability_change:+.3f}",
                "steers" if one.steers else "reading without control",
            ]
            for one in self.entries
        ]
        headers = ["site, method", "reads the goal", "steers", "goal off the way", "noise", "capability", ""]
        return f"{table(headers, rows)}\ncue physically moved: {self.mark}; unedited: {self.entries[0].unedited}"


def keep_ledger(
    context: FitContext, task: RetargetingTask, pairs: Sequence[tuple[str, str]], strength: float = 1.0
) -> Ledger:
    """Return an entry for every site and method.

    Args:
        workshop: mazes to find edits on.
        errand: others, that judge.
        pairs: sites and names of steering methods, such as `suited` gives.
        strength: of the edits.
    """
    policy = context.policy
    unedited = task.run(policy).everywhere.other
    mark = task.cue_moved().run(policy).everywhere.other
    home = task.stay()
    before = conduct(home.play(policy), home.levels, home.goals).arrived
    entries = []
    for site, method in tqdm(pairs, desc="ledger", unit="entry", disable=None):
        one = find_candidate(context, site, method, strength)
        arrivals, noise = task.run(policy, one.edits(task)), task.run(policy, task.noise(one.found, strength))
        after = conduct(home.play(policy, one.edits(home)), home.levels, home.goals).arrived
        entries.append(
            Entry(
                site,
                method,
                uses_only_cells(one.found.uses),
                read_score(context, task, one),
                arrivals.everywhere.other,
                arrivals.off_path.other,
                unedited,
                noise.everywhere.other,
                after,
                before,
            )
        )
    return Ledger(tuple(entries), mark)


def read_score(context: FitContext, task: RetargetingTask, one: Candidate) -> Rate:
    """Return how often a method reads the goal's cell (see `cell_scores`); of no mazes where it reads nothing."""
    first = task.first(READ_MAZES)
    sides = first.levels.height, first.levels.width
    scores = cell_scores(one, context.read(first.levels, one.site), sides)
    if bool((scores.amax(dim=1) == scores.amin(dim=1)).all()):
        return rate(0, 0)
    free = torch.from_numpy(first.levels.free())
    read = scores.masked_fill(~free, -torch.inf).argmax(dim=1).numpy()
    return rate(int((read == first.goals).sum()), len(read))


def cell_scores(one: Candidate, held: Tensor, sides: tuple[int, int]) -> Tensor:
    """Return float32 [B, H*W], how much activations [B, ...] look to a method as if the goal were on each cell.

    What adds the same whatever stands there fits best where it explains most of the squared activation; what sets
    values has least to change where they are set already. All the same where a method has no cell in view.

    Args:
        one: what was found by the method.
        held: what the site holds.
        sides: H and W of the mazes.
    """
    batch, cells = len(held), sides[0] * sides[1]
    centred = held - held.mean(dim=0)
    scores = torch.empty(batch, cells)
    for cell in range(cells):
        written = _written(one.found, cell, sides)
        if written is not None:
            scores[:, cell] = (centred * written).flatten(1).sum(dim=1) - 0.5 * written.square().sum()
        else:
            there, nowhere = np.full(batch, cell, np.int32), np.full(batch, ABSENT, np.int32)
            edit = edits_of(one.found, GoalMove(nowhere, there, *sides))[0]
            scores[:, cell] = -(edit(held, np.arange(batch)) - held).flatten(1).norm(dim=1)
    return scores


def _written(found: Found, cell: int, sides: tuple[int, int]) -> Tensor | None:
    """Return float32 [...], what is added at one level for a goal on a cell; None where that hangs on what stands."""
    if isinstance(found, CellTable):
        return found.arriving[cell]
    pattern = found if isinstance(found, GoalPattern) else getattr(found, "pattern", None)
    return None if pattern is None else spread(pattern.arriving, np.array([cell], np.int32), *sides)[0]
