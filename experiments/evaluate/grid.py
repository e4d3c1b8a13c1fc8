"""Agents away from their training distribution: under every shift, and with one family parameter (a dial) varied."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.mazes.carving import ALGORITHMS
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.comparison import (
    PairwiseComparison,
    SeedGroupScore,
    compare_seed_groups,
    seed_group_tables,
)
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_policy
from goalmaze.experiments.evaluate.setup import families_of, require_comparable, require_compatible, seed_groups, varied
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, proportions_test

SHIFT = "shift"
TRAINING_ONLY = ("correlation", "mixture")
"""Dials that change the training distribution alone: their levels under a shift would be the same for every value."""

KINDS = ("training distribution", "a dial varied", "under shifts")
"""Kinds of conditions. Means are taken within a kind: one over all would hide a loss under shifts behind the rest."""

DialValue: TypeAlias = bool | int | float | str
"""A value of a family parameter."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One distribution of levels: a shift of the family, with one of its parameters varied or none.

    Attributes:
        dial: the parameter that is varied; `SHIFT` where none is.
        value: its value; the shift where no parameter is varied.
        shift: of the levels.
    """

    dial: str
    value: DialValue
    shift: str

    @property
    def name(self) -> str:
        """Its name in tables."""
        if self.dial == SHIFT:
            return "as trained" if self.shift == NO_SHIFT else self.shift
        return f"{self.dial} {self.value}" + ("" if self.shift == NO_SHIFT else f", {self.shift}")

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.shift != NO_SHIFT:
            return KINDS[2]
        return KINDS[0] if self.dial == SHIFT else KINDS[1]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One agent under one condition.

    Attributes:
        agent: its name.
        condition: of the levels.
        evaluation: what it did; None where it cannot act there.
        reason: why it cannot act there.
        p_value: that its capability equals that on the training distribution, Holm-adjusted over the agent's grid.
    """

    agent: str
    condition: Condition
    evaluation: Evaluation | None
    reason: str = ""
    p_value: float = 1.0

    @property
    def changed(self) -> bool:
        """Whether its capability differs significantly from that on the training distribution."""
        return self.p_value < ALPHA

    def json(self) -> JsonObject:
        """Return the cell as plain data."""
        return {
            "agent": self.agent,
            "dial": self.condition.dial,
            "value": self.condition.value,
            "shift": self.condition.shift,
            "capability_changed": self.changed,
            "p_value": round(self.p_value, 4),
            "evaluation": None if self.evaluation is None else self.evaluation.json(),
            "cannot": self.reason or None,
        }


@dataclasses.dataclass(frozen=True)
class GridSummary(Record):
    """The seed groups of a grid over conditions of one kind, in which every agent can act.

    Attributes:
        conditions: the kind of the conditions, see `KINDS`.
        number: of conditions.
        seed_groups: their scores.
        pairs: of seed groups.
    """

    conditions: str
    number: int
    seed_groups: tuple[SeedGroupScore, ...]
    pairs: tuple[PairwiseComparison, ...]


@dataclasses.dataclass(frozen=True)
class Grid(Result):
    """Agents by conditions, and their seed groups over each kind of conditions.

    Attributes:
        agents: their names.
        family: trained on.
        parameters: agent → the parameters of the family that it was trained on.
        levels: number of held-out levels a condition.
        conditions: in the order of the table.
        cells: by agent and condition.
        summaries: the seed groups, separately on the training distribution, with a dial varied, and under shifts.
        overlaps: how many levels of the training distribution each agent has met in training.
        pictures: files of figures.
    """

    agents: tuple[str, ...]
    family: str
    parameters: dict[str, JsonObject]
    levels: int
    conditions: tuple[Condition, ...]
    cells: dict[tuple[str, Condition], Cell]
    summaries: tuple[GridSummary, ...]
    overlaps: tuple[TrainingOverlap, ...] = ()
    pictures: tuple[Path, ...] = ()

    def trained_on(self, agent: str) -> Family:
        """Return the family that an agent was trained on."""
        return make_family(self.family, self.parameters[agent])

    def json(self) -> JsonObject:
        """Return the grid as plain data."""
        return {
            "family": self.family,
            "parameters": self.parameters,
            "levels": self.levels,
            "agents": list(self.agents),
            "cells": [cell.json() for cell in self.cells.values()],
            "summaries": [one.json() for one in self.summaries],
            "training_overlaps": [one.json() for one in self.overlaps],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> list[str | Table]:
        """Return a table for each agent, tables of seed groups and pairs, and the files of the figures."""
        heading = (
            f"{self.family}, {self.levels} held-out levels a condition; "
            "95 % intervals cover levels, not training seeds\n"
            f"*: capability differs from that on the training distribution (Holm-adjusted p < {ALPHA} over the grid)"
        )
        overlaps = [f"as trained, {one.sentence}" for one in self.overlaps]
        files = ["\n".join(f"wrote {path}" for path in self.pictures)] if self.pictures else []
        groups: list[str | Table] = []
        for one in self.summaries:
            conditions = "condition" if one.number == 1 else "conditions"
            groups += [f"{one.conditions} ({one.number} {conditions}):", *seed_group_tables(one.seed_groups, one.pairs)]
        return ["\n".join([heading, *overlaps]), *map(self._table, self.agents), *groups, *files]

    def _table(self, agent: str) -> Table:
        headers = ["condition", "reaches goal or cue", "", "directness", "solved", "cue preference", "levels"]
        return Table(headers, [_row(self.cells[agent, condition]) for condition in self.conditions], title=agent)


def _row(cell: Cell) -> list[object]:
    one = cell.evaluation
    if one is None:
        return [cell.condition.name, "cannot act here", "", "-", "-", "-", "-"]
    able = one.capability
    return [
        cell.condition.name,
        able.arrived,
        "*" * cell.changed,
        formatted(able.directness.value, ".2f"),
        formatted(one.solved.value, ".3f"),
        one.preference,
        one.preference.levels,
    ]


def grid(
    agents: Sequence[Agent],
    *,
    dials: Mapping[str, Sequence[DialValue]] | None = None,
    levels: int = 512,
    seed: int = 0,
    greedy: bool = False,
    families: Sequence[Family] | None = None,
) -> Grid:
    """Evaluate agents under every shift and with one family parameter at a time varied.

    Args:
        agents: of one family and size.
        dials: family parameter → the values to try; `default_dials` of the family by default.
        levels: number of held-out levels a condition.
        seed: of the levels and of the sampled actions.
        greedy: take the likeliest action instead of sampling.
        families: the family that each agent is evaluated on; the ones that they were trained on by default.

    Raises:
        GoalmazeError: agents are of different families or sizes, one is named twice, a dial is unknown, or a value is
            out of range.

    Example:
        >>> import goalmaze as gm
        >>> result = gm.grid([gm.load("zoo:green-exit")], dials={"braid": [1.0]}, levels=16)
        >>> [condition.name for condition in result.conditions][:2]
        ['as trained', 'moved-sign']
    """
    require_comparable(agents)
    trained_on = families_of(agents, families)
    conditions = conditions_of(trained_on, dials)
    cells: dict[tuple[str, Condition], Cell] = {}
    with tqdm(total=len(agents) * len(conditions), desc="grid", unit="condition", disable=None) as bar:
        for agent, family in zip(agents, trained_on, strict=True):
            row = []
            for condition in conditions:
                row.append(_cell(agent, family, condition, levels, seed, greedy))
                bar.update()
            cells |= {(agent.name, cell.condition): cell for cell in _tested(row)}
    return Grid(
        agents=tuple(agent.name for agent in agents),
        family=trained_on[0].name,
        parameters={agent.name: family.parameters for agent, family in zip(agents, trained_on, strict=True)},
        levels=levels,
        conditions=conditions,
        cells=cells,
        summaries=_summaries(agents, conditions, cells),
        overlaps=tuple(
            quick_overlap(agent, family.levels(seed, count=levels))
            for agent, family in zip(agents, trained_on, strict=True)
        ),
    )


def default_dials(family: Family) -> dict[str, list[DialValue]]:
    """Return the dials of a family with the values that are tried by default."""
    size = family.size
    dials: dict[str, list[DialValue]] = {
        "size": [s for s in (size - 4, size - 2, size + 2, size + 4, size + 8) if s >= 5],
        "braid": [0.0, 0.3, 0.6, 1.0],
        "algorithm": list(ALGORITHMS),
        "correlation": [1.0, 0.9, 0.5, 0.0],
        "salience": [1, 2, 4, 8],
    }
    return {dial: values for dial, values in dials.items() if dial in family.dials}


def conditions_of(
    families: Sequence[Family], dials: Mapping[str, Sequence[DialValue]] | None = None
) -> tuple[Condition, ...]:
    """Return every shift, and every value of every dial in distribution and under the distinguishing shift.

    Args:
        families: one kind of family, as each agent was trained on it; a value that all of them have is left out.
        dials: family parameter → values; `default_dials` of the first family by default.

    Raises:
        GoalmazeError: a dial is unknown, a value is out of range, or all values of a dial are those trained on.
    """
    family = families[0]
    conditions = [Condition(SHIFT, shift, shift) for shift in (NO_SHIFT, *family.shifts)]
    for dial, values in (default_dials(family) if dials is None else dials).items():
        _check_dial(dial, family)
        # The value of training is in the grid already, as the condition without a dial.
        new = [value for value in values if any(value != getattr(one, dial) for one in families)]
        if dials is not None and not new:
            raise GoalmazeError(
                f"the grid along {dial} is empty: {dial} is {getattr(family, dial)} already; give other values"
            )
        shifts = (NO_SHIFT,) if dial in TRAINING_ONLY else (NO_SHIFT, family.distinguishing_shift)
        conditions += [Condition(dial, value, shift) for shift in shifts for value in new]
    # Every value is tried before any agent acts: a bad one must not end an hour of work.
    for condition in conditions:
        varied_family(family, condition)
    return tuple(conditions)


def read_dials(texts: Sequence[str], family: Family) -> dict[str, list[DialValue]] | None:
    """Return dials written as NAME or NAME=VALUE,VALUE; None where there are none.

    Raises:
        GoalmazeError: a dial is unknown, or has no default values and none are given.
    """
    return dict(_dial(text, family) for text in texts) if texts else None


def _dial(text: str, family: Family) -> tuple[str, list[DialValue]]:
    name, equals, values = text.partition("=")
    _check_dial(name, family)
    if not equals:
        defaults = default_dials(family)
        if name not in defaults:
            raise GoalmazeError(f"--dials {text}: there are no default values; write --dials {name}=VALUE,VALUE")
        return name, defaults[name]
    given = [_value(value) for value in values.split(",") if value.strip()]
    if not given:
        raise GoalmazeError(f"--dials {text}: the grid is empty; write --dials {name}=VALUE,VALUE")
    # A value that is given twice would be evaluated twice; the order of the first mention is kept.
    return name, list(dict.fromkeys(given))


def _check_dial(name: str, family: Family) -> None:
    if name not in family.dials:
        raise unknown(f"dial of {family.name}", name, family.dials)


def _value(text: str) -> DialValue:
    """Return a value from the command line: a number or a truth value where it is one in JSON, otherwise text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text.strip()
    return value if isinstance(value, bool | int | float | str) else text.strip()


def varied_family(family: Family, condition: Condition) -> Family:
    """Return the family with the condition's dial at its value.

    Raises:
        GoalmazeError: the value is out of range.
    """
    return family if condition.dial == SHIFT else varied(family, {condition.dial: condition.value})


def _cell(agent: Agent, family: Family, condition: Condition, levels: int, seed: int, greedy: bool) -> Cell:
    try:
        changed = require_compatible(agent, varied_family(family, condition))
    except GoalmazeError as error:
        # An agent that cannot act at one size leaves a gap in the grid, not an error of the whole grid.
        return Cell(agent.name, condition, None, str(error))
    batch = changed.levels(seed, count=levels, shift=condition.shift)
    evaluation = evaluate_policy(agent.name, agent.policy, batch, shift=condition.shift, seed=seed, greedy=greedy)
    return Cell(agent.name, condition, evaluation)


def _tested(row: Sequence[Cell]) -> list[Cell]:
    """Return an agent's cells with the p-values of their capability against that of the first, the training one."""
    base = row[0].evaluation
    if base is None:
        return list(row)
    others = [(cell.condition, cell.evaluation) for cell in row[1:] if cell.evaluation is not None]
    p_values = holm([proportions_test(one.capability.arrived, base.capability.arrived) for _, one in others])
    adjusted = dict(zip((condition for condition, _ in others), p_values, strict=True))
    return [dataclasses.replace(cell, p_value=adjusted.get(cell.condition, 1.0)) for cell in row]


def _summaries(
    agents: Sequence[Agent], conditions: Sequence[Condition], cells: Mapping[tuple[str, Condition], Cell]
) -> tuple[GridSummary, ...]:
    """Return the seed groups over each kind of conditions that occurs."""
    groups, summaries = seed_groups(agents), []
    for kind in KINDS:
        # Only conditions in which all agents act: a mean over different conditions would compare the conditions.
        common = [
            c for c in conditions if c.kind == kind and all(cells[one.name, c].evaluation is not None for one in agents)
        ]
        evaluations = {
            agent.name: [one for c in common if (one := cells[agent.name, c].evaluation) is not None]
            for agent in agents
        }
        if common:
            summaries.append(GridSummary(kind, len(common), *compare_seed_groups(groups, evaluations)))
    return tuple(summaries)
