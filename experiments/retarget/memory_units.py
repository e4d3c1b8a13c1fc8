"""The smallest number of units of a memory that carry the goal: found on fitting mazes, tested on held-out ones.

Units are ranked by integrated gradients (Sundararajan et al., 2017) from no edit to the whole edit, on walks of the
fitting mazes. The edit is then restricted to the first k of them. Beside it stand the edit without them, as many units
at random, and what a linear probe reads from these units alone.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from goalmaze.agents.rollout import rollout
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.tables import Table, interval, number
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.rewrite_subject import Subject
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.edits.cell_table import CellTable
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.readout.linear import GlobalFitter
from goalmaze.probes.rewriting.scaled_channels import with_channel_factors
from goalmaze.probes.rewriting.walks import Walks

Units = NDArray[np.intp]
"""Numbers of units, int [k]."""

ENOUGH = 0.95
"""Fraction of the whole edit's rate on selection mazes that a set of units must reach."""

PATH = (0.125, 0.375, 0.625, 0.875)
"""Fractions of the whole edit at which the gradient is taken."""

STRENGTHS = (1.0, 2.0, 3.0, 4.0, 6.0)
"""Factors on a restricted edit; the best one on fitting mazes is used."""

WALKS = 512
"""Walks that the gradient is averaged over."""


@dataclasses.dataclass(frozen=True)
class UnitCount:
    """A number k of units, in the order of their rank.

    Attributes:
        units: k.
        only: rate of targets, goal off the path, with the edit in these units alone.
        without: the same with the edit in all other units.
        random: the same in k other units, drawn at random.
        read: accuracy of a linear probe of the goal's cell on these units alone.
    """

    units: int
    only: Rate
    without: Rate
    random: Rate
    read: Rate

    def json(self) -> JsonObject:
        """Return the count as plain data."""
        rates = {name: getattr(self, name) for name in ("only", "without", "random", "read")}
        return {"units": self.units} | {
            name: {"value": number(one.value), **interval(one)} for name, one in rates.items()
        }


@dataclasses.dataclass(frozen=True)
class MemoryUnits:
    """How many units of a memory carry the goal.

    Attributes:
        site: the site.
        total: number of units of the site, channels where it is a map.
        ranked: the units, the most important first.
        smallest: the smallest number of them that is enough on fitting mazes.
        counts: what some numbers of units do in held-out mazes; the smallest one is among them.
        untrained_read: accuracy of the probe on all units of an untrained network.
    """

    site: str
    total: int
    ranked: tuple[int, ...]
    smallest: int
    counts: tuple[UnitCount, ...]
    untrained_read: Rate

    def json(self) -> JsonObject:
        """Return the units as plain data."""
        return {
            "site": self.site,
            "total": self.total,
            "smallest": self.smallest,
            "units": list(self.ranked[: self.smallest]),
            "counts": [one.json() for one in self.counts],
            "untrained_read": {"value": number(self.untrained_read.value), **interval(self.untrained_read)},
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading and a table."""
        rows = [[f"{one.units}", one.only, one.without, one.random, one.read] for one in self.counts]
        return [
            f"{self.smallest} of {self.total} units of {self.site} are enough for {ENOUGH} of the whole edit on "
            "fitting mazes\ntarget off path in held-out mazes, with the edit in the first k units only; without "
            "them; in k random units",
            Table(["units", "only", "without", "random", "goal's cell read"], rows),
            f"goal's cell read from all units of an untrained network: {self.untrained_read}",
        ]


def carrying_units(subject: Subject, one: Candidate, untrained: Subject) -> MemoryUnits:
    """Return the smallest number of units whose part of a table is enough.

    Args:
        subject: the agent.
        one: a candidate whose fitted edit is a table of cells.
        untrained: an untrained network on the same mazes, as the baseline of the probe.
    """
    assert isinstance(one.fitted_edit, CellTable), "units are ranked in tables of cells"
    total = one.fitted_edit.at_target.shape[1]
    ranked = _ranked(subject, one)
    whole = _selected(subject, one, ranked)[0]
    tried: dict[int, float] = {}

    def is_enough(count: int) -> bool:
        tried[count] = _selected(subject, one, ranked[:count])[0]
        return tried[count] >= ENOUGH * whole

    # Doubled until it is enough, then bisected; more units do not always do more, but nearly always.
    high = 1
    while high < total and not is_enough(high):
        high = min(2 * high, total)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    counts = sorted({max(1, high // 2), high})
    rng = np.random.default_rng(subject.task.seed)
    evaluated = [_count(subject, one, ranked, count, rng) for count in counts]
    read = _read(untrained, one.site, np.arange(total))
    return MemoryUnits(one.site, total, tuple(int(unit) for unit in ranked), high, tuple(evaluated), read)


def _ranked(subject: Subject, one: Candidate) -> Units:
    """Return the units, those first whose part of the edit makes optimal actions likelier."""
    context = subject.context
    levels = context.levels.take(np.arange(min(len(context.levels), WALKS // 4)))
    walks = Walks.drawn(dataclasses.replace(context, levels=levels), subject.after)
    table = one.fitted_edit
    assert isinstance(table, CellTable)
    gradient = torch.zeros(table.at_target.shape[1])
    for fraction in PATH:
        factors = torch.full_like(gradient, fraction, requires_grad=True)
        loss = walks.loss(with_channel_factors(table, factors).edits(walks.move, one.strength))
        gradient += torch.autograd.grad(loss, factors)[0]
    # Ascending: the loss falls most where the gradient is lowest.
    return np.argsort(gradient.numpy(), kind="stable")


def _restricted(one: Candidate, units: Units) -> Candidate:
    """Return a candidate whose table is zero but in some units."""
    table = one.fitted_edit
    assert isinstance(table, CellTable)
    mask = torch.zeros(table.at_target.shape[1])
    mask[torch.from_numpy(units)] = 1
    return dataclasses.replace(one, fitted_edit=with_channel_factors(table, mask))


def _selected(subject: Subject, one: Candidate, units: Units) -> tuple[float, Candidate]:
    """Return the rate on selection mazes with the edit in some units alone, and the edit at its best strength."""
    return subject.with_best_strength(_restricted(one, units), strengths=STRENGTHS)


def _count(
    subject: Subject,
    one: Candidate,
    ranked: Units,
    count: int,
    rng: np.random.Generator,
) -> UnitCount:
    """Return what the first `count` units do in held-out mazes."""
    # From the others, as far as there are enough: a random draw that holds the units themselves is no control.
    others = ranked[count:] if 2 * count <= len(ranked) else ranked
    sets = (ranked[:count], ranked[count:], rng.permutation(others)[:count])
    rates = []
    for units in sets:
        edits = subject.timed(_selected(subject, one, units)[1].edits(subject.task)) if len(units) else []
        rates.append(subject.task.evaluate(subject.policy, edits).off_path.other)
    only, without, random = rates
    return UnitCount(count, only, without, random, _read(subject, one.site, ranked[:count]))


def _read(subject: Subject, site: str, units: Units) -> Rate:
    """Return the accuracy in held-out mazes of a probe of the goal's cell, fitted to some units on fitting mazes."""
    memories, task, index = subject.memories(site), subject.task, torch.from_numpy(units)
    actions = rollout(subject.policy, task.levels, seed=task.seed).actions if subject.after > 1 else None
    remembered = activations_along(subject.policy, task.levels, site, subject.after, actions)
    probe = GlobalFitter(memories.activations[:, index]).fit_cells(
        torch.from_numpy(memories.goals).long(), memories.size[0] * memories.size[1]
    )
    predicted = probe(remembered[:, index]).numpy()
    return rate(int((predicted == task.goals).sum()), len(task.goals))
