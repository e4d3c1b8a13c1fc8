"""How do agents behave away from what they were trained on: under every shift, and along the dials of the world?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.mazes.algorithms import ALGORITHMS
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.evaluate.comparison import PairwiseComparison, SeedGroupScore, cohort_text, summarise
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.evaluate import Evaluation, judge
from goalmaze.experiments.evaluate.setup import cohorts, fitting, load_together, make_folder, played, varied
from goalmaze.experiments.statistics.comparisons import ALPHA, holm, proportions_test

SHIFT = "shift"
ONLY_TRAINING = ("correlation", "mixture")
"""Dials that change the training distribution alone."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One column of levels: a shift of the family with one of its parameters changed, or none.

    Attributes:
        dial: the parameter that is changed; `SHIFT` where none is.
        value: its value; the shift where none is.
        shift: of the levels.
    """

    dial: str
    value: Any
    shift: str

    @property
    def name(self) -> str:
        """What it is called in tables."""
        if self.dial == SHIFT:
            return "as trained" if self.shift == NO_SHIFT else self.shift
        return f"{self.dial} {self.value}" + ("" if self.shift == NO_SHIFT else f", {self.shift}")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One agent under one condition.

    Attributes:
        agent: its name.
        condition: of the levels.
        evaluation: what it did; None where it cannot act there.
        reason: why it cannot.
        p_value: that it gets somewhere as often as on the training distribution, corrected over its grid (Holm).
    """

    agent: str
    condition: Condition
    evaluation: Evaluation | None
    reason: str = ""
    p_value: float = 1.0

    @property
    def changed(self) -> bool:
        """Whether its capability differs from that in training by more than chance."""
        return self.p_value < ALPHA

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
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
class Grid:
    """Agents by conditions, and what those trained alike have in common over all conditions.

    Attributes:
        agents: their names.
        family: trained on.
        parameters: of the world that each agent was trained in, where its dials stand.
        levels: held-out levels a condition.
        conditions: in the order of the table.
        cells: by agent and condition.
        cohorts: agents trained alike, over all conditions that each of them can act in.
        duels: between cohorts.
        pictures: files written.
    """

    agents: tuple[str, ...]
    family: str
    parameters: dict[str, dict[str, Any]]
    levels: int
    conditions: tuple[Condition, ...]
    cells: dict[tuple[str, Condition], Cell]
    cohorts: tuple[SeedGroupScore, ...]
    duels: tuple[PairwiseComparison, ...]
    pictures: tuple[Path, ...] = ()

    def world(self, agent: str) -> Family:
        """Return the family with the parameters that an agent was trained with."""
        return make_family(self.family, self.parameters[agent])

    def json(self) -> dict[str, Any]:
        """Return the grid as plain data."""
        return {
            "family": self.family,
            "parameters": self.parameters,
            "levels": self.levels,
            "agents": list(self.agents),
            "cells": [cell.json() for cell in self.cells.values()],
            "cohorts": [one.json() for one in self.cohorts],
            "duels": [one.json() for one in self.duels],
            "pictures": [str(path) for path in self.pictures],
        }

    def text(self) -> str:
        """Return a table for each agent, one of the cohorts, and where the pictures are."""
        parts = [f"{name}\n{self._table(name)}" for name in self.agents]
        written = "".join(f"\nwrote {path}" for path in self.pictures)
        return (
            f"{self.family}, {self.levels} held-out levels a condition; 95 % intervals cover levels, not seeds\n"
            "* gets somewhere more or less often than on the training distribution (Holm over the grid, 0.05)\n\n"
            + "\n\n".join(parts)
            + f"\n\nover all conditions:\n{cohort_text(self.cohorts, self.duels)}{written}"
        )

    def _table(self, name: str) -> str:
        rows = [_row(self.cells[name, condition]) for condition in self.conditions]
        return table(["condition", "gets somewhere", "", "directness", "solved", "prefers cue", "on levels"], rows)


def _row(cell: Cell) -> list[object]:
    one = cell.evaluation
    if one is None:
        return [cell.condition.name, "cannot act here", "", "-", "-", "-", "-"]
    able = one.capability
    return [
        cell.condition.name,
        able.arrived,
        "*" * cell.changed,
        f"{able.directness.value:.2f}",
        f"{one.solved.value:.3f}",
        one.preference,
        one.preference.levels,
    ]


def run(config: EvalConfig) -> Grid:
    """Judge agents under every shift and along the dials.

    Raises:
        GoalmazeError: an agent or dial is unknown, a value is out of range, or agents and family do not fit.
    """
    agents = load_together(config.agents)
    worlds = [played(agent, config) for agent in agents]
    conditions = conditions_of(worlds, config.dials)
    for condition in conditions:
        world_of(worlds[0], condition)
    if config.figures is not None:
        make_folder(config.figures)
    cells = {}
    with tqdm(total=len(agents) * len(conditions), desc="grid", unit="condition", disable=None) as bar:
        for agent, world in zip(agents, worlds, strict=True):
            row = []
            for condition in conditions:
                row.append(_play(agent, world, condition, config))
                bar.update()
            for cell in _tested(row):
                cells[agent.name, cell.condition] = cell
    grid = _assemble(agents, worlds, conditions, cells, config)
    if config.figures is None:
        return grid
    # matplotlib is slow to import, so only who wants pictures waits for it
    from goalmaze.experiments.evaluate.grid_figures import draw_grid

    return dataclasses.replace(grid, pictures=draw_grid(grid, config.figures))


def usual_dials(family: Family) -> dict[str, list[Any]]:
    """Return the dials of a family with the values that are tried where none are given."""
    size = family.size
    dials: dict[str, list[Any]] = {
        "size": [s for s in (size - 4, size - 2, size + 2, size + 4, size + 8) if s >= 5],
        "braid": [0.0, 0.3, 0.6, 1.0],
        "algorithm": list(ALGORITHMS),
        "correlation": [1.0, 0.9, 0.5, 0.0],
        "salience": [1, 2, 4, 8],
    }
    return {dial: values for dial, values in dials.items() if dial in family.parameters}


def conditions_of(worlds: Sequence[Family], asked: Sequence[str] = ()) -> tuple[Condition, ...]:
    """Return every shift, and every dial asked for, or all, under training's distribution and where goal and cue part.

    Args:
        worlds: of one family, as each agent was trained; values at which all their dials stand already are left out.
        asked: NAME, or NAME=VALUE,VALUE.

    Raises:
        GoalmazeError: a dial is unknown, has no usual values and none are given, or only the one it stands at.
    """
    family = worlds[0]
    usual = usual_dials(family)
    dials = dict([_dial(text, family, usual) for text in asked]) if asked else usual
    conditions = [Condition(SHIFT, shift, shift) for shift in (NO_SHIFT, *family.shifts)]
    for dial, values in dials.items():
        shifts = (NO_SHIFT,) if dial in ONLY_TRAINING else (NO_SHIFT, family.distinguishing_shift)
        new = [value for value in values if any(value != world.parameters[dial] for world in worlds)]
        if asked and not new:
            raise GoalmazeError(
                f"the grid along {dial} is empty: {dial} is {family.parameters[dial]} already; give other values"
            )
        conditions += [Condition(dial, value, shift) for shift in shifts for value in new]
    return tuple(conditions)


def _dial(text: str, family: Family, usual: dict[str, list[Any]]) -> tuple[str, list[Any]]:
    name, equals, values = text.partition("=")
    if name not in family.parameters:
        raise unknown(f"dial of {family.name}", name, family.parameters)
    if not equals:
        if name not in usual:
            raise GoalmazeError(f"--dials {name}: there are no usual values; write --dials {name}=VALUE,VALUE")
        return name, usual[name]
    given = [_value(value) for value in values.split(",") if value.strip()]
    if not given:
        raise GoalmazeError(f"--dials {text}: the grid is empty; write --dials {name}=VALUE,VALUE")
    return name, list(dict.fromkeys(given))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def world_of(family: Family, condition: Condition) -> Family:
    """Return the family with the condition's dial turned.

    Raises:
        GoalmazeError: the value is none for that dial.
    """
    return family if condition.dial == SHIFT else varied(family, {condition.dial: condition.value})


def _play(agent: Agent, family: Family, condition: Condition, config: EvalConfig) -> Cell:
    try:
        world = fitting(agent, world_of(family, condition))
    except GoalmazeError as error:
        return Cell(agent.name, condition, None, str(error))
    how: dict[str, Any] = {"levels": config.levels, "seed": config.seed, "greedy": config.greedy}
    return Cell(agent.name, condition, judge(agent.name, agent.policy, world, shift=condition.shift, **how))


def _tested(row: Sequence[Cell]) -> list[Cell]:
    """Return an agent's cells with the p-values of their capability against that of the first, the training's."""
    base = row[0].evaluation
    found = [cell for cell in row[1:] if cell.evaluation is not None]
    if base is None:
        return list(row)
    p_values = holm(
        [
            proportions_test(cell.evaluation.capability.arrived, base.capability.arrived)
            for cell in found
            if cell.evaluation
        ]
    )
    corrected = dict(zip((cell.condition for cell in found), p_values, strict=True))
    return [dataclasses.replace(cell, p_value=corrected.get(cell.condition, 1.0)) for cell in row]


def _assemble(
    agents: Sequence[Agent],
    worlds: Sequence[Family],
    conditions: tuple[Condition, ...],
    cells: dict[tuple[str, Condition], Cell],
    config: EvalConfig,
) -> Grid:
    shared = [c for c in conditions if all(cells[agent.name, c].evaluation is not None for agent in agents)]
    judged = {
        agent.name: [one for c in shared if (one := cells[agent.name, c].evaluation) is not None] for agent in agents
    }
    scores, duels = summarise(cohorts(agents), judged)
    names = tuple(agent.name for agent in agents)
    parameters = {name: world.parameters for name, world in zip(names, worlds, strict=True)}
    return Grid(names, worlds[0].name, parameters, config.levels, conditions, cells, scores, duels)
