"""The result of explaining one decision: in words, as a table, and checked against the network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.explain.trust import Trust, trust_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElementRow(Record):
    """One element of the state.

    Attributes:
        element: in words.
        type: object, wall or corridor.
        cell: where it is.
        steps: the agent's steps to it.
        without: the action where the object is removed, the wall open or the corridor closed: measured, not predicted.
        attributions: method → by how much the element raises the margin of the action; of value gradients the value.
    """

    element: str
    type: str
    cell: int
    steps: int
    without: str
    attributions: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class DecisionReport(Result):
    """One decision explained.

    Attributes:
        agent: its name.
        family: the family of the level.
        shift: the distribution of the level.
        level: its index.
        step: number of the decision, from 1.
        seed: of the level and of the actions before.
        state: the one state, with the agent where it decides.
        probabilities: of the four moves.
        rows: the elements, the most important first.
        method: the method that orders them.
        refused: method → why it does not apply.
        pictures: the files drawn.
    """

    agent: str
    family: str
    shift: str
    level: int
    step: int
    seed: int
    state: LevelBatch
    probabilities: tuple[float, ...]
    rows: tuple[ElementRow, ...]
    method: str
    refused: Mapping[str, str]
    pictures: tuple[Path, ...] = ()

    @property
    def action(self) -> str:
        """The likeliest action."""
        return ACTIONS[max(range(len(ACTIONS)), key=lambda action: self.probabilities[action])]

    @property
    def methods(self) -> list[str]:
        """The methods, in the order of the table."""
        return list(self.rows[0].attributions) if self.rows else []

    @property
    def trust(self) -> Trust:
        """What the shipped benchmark says of the method for this agent."""
        return trust_of(self.agent, self.method)

    def words(self) -> str:
        """Return what drove the decision, in a sentence."""
        return f"At step {self.step} of level {self.level} the agent {self.reason()}"

    def reason(self) -> str:
        """Return the end of that sentence: the action, what drove it, and what the agent does without it."""
        first = f"goes {self.action} ({max(self.probabilities):.2f})"
        reasons = [row for row in self.rows if row.attributions[self.method] > 0]
        if not reasons:
            return f"{first}; no element speaks for it."
        best = reasons[0]
        after = f"still {best.without}" if best.without == self.action else best.without
        change = {"object": "without it", "wall": "with it open", "corridor": "with it closed"}[best.type]
        text = f"{first}, because of {best.element}; {change}: {after}."
        # Elements further down can flip the action as well; two of them are named.
        for row in [row for row in self.rows if row is not best and row.without != self.action][:2]:
            text += f" {_otherwise(row)}: {row.without}."
        return text

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            "agent": self.agent,
            "family": self.family,
            "shift": self.shift,
            "level": self.level,
            "step": self.step,
            "seed": self.seed,
            "action": self.action,
            "probabilities": {name: number(p) for name, p in zip(ACTIONS, self.probabilities, strict=True)},
            "words": self.words(),
            "method": self.method,
            "trust": self.trust.json(),
            "rows": [row.json() for row in self.rows],
            "refused": dict(self.refused),
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return the sentence and a table of the elements."""
        headers = ["element", "without it", *self.methods]
        rows = [
            [row.element, row.without, *(formatted(row.attributions[name], "+.2f") for name in self.methods)]
            for row in self.rows
        ]
        title = (
            "without it: the action where the object is removed, the wall open or the corridor closed; methods: by how "
            "much the element raises the margin of the action (value-gradient: the value)"
        )
        return [
            f"{self.agent}: {self.words()}",
            self.trust.text,
            Table(headers, rows, title),
            *(f"{name} does not apply: {reason}" for name, reason in self.refused.items()),
            *(f"picture: {path}" for path in self.pictures),
        ]


def _otherwise(row: ElementRow) -> str:
    """Return the change of an element in words."""
    return {
        "object": f"Without {row.element}",
        "wall": f"With {row.element} open",
        "corridor": f"With {row.element} closed",
    }[row.type]
