"""The result of `goalmaze explain --benchmark`: which method may be trusted, and for which agents none may."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted


@dataclasses.dataclass(frozen=True, kw_only=True)
class MethodRow(Record):
    """One method on the decisions of one agent. Intervals are over levels, with all counterfactuals of one together.

    Attributes:
        agent: the agent, or "mean of agents".
        method: the method, or a baseline.
        kind: "explanation"; "runs counterfactuals" for a method that runs the network on what it is scored on; or
            "baseline".
        auroc: probability that a counterfactual that flips the action has a higher score than one that does not.
        low: lower end of its interval.
        high: upper end.
        decisions: number of decisions, one a level.
        counterfactuals: number of counterfactuals.
        flips: fraction of them that flip the action.
        auroc_within: the AUROC over pairs of counterfactuals of the same decision.
        auroc_object: AUROC over counterfactuals in which an object moves.
        auroc_wall: over those in which a wall opens.
        auroc_corridor: over those in which a corridor closes.
        lead: AUROC minus that of the best baseline.
        lead_low: lower end of its interval.
        lead_high: upper end.
        calibration_error: mean distance of predicted and actual rates of flips, cross-fitted over levels.
        brier_skill: how much of the squared error of the base rate is avoided.
        deletion: area under the probability of the action while elements are left out, the most important first.
        insertion: area under it while they are put back in that order.
        trusted: whether the method may be trusted for the agent, by the rule of the page.
        deletion_curve: the probability of the action with 0, 0.1, ... 1 of the elements left out; empty for the
            fitted baseline, which orders no elements.
        insertion_curve: with 0, 0.1, ... 1 of them put back.
        calibration_curve: predicted and actual rate of flips in bins.
    """

    agent: str
    method: str
    kind: str
    auroc: float
    low: float
    high: float
    decisions: int
    counterfactuals: int
    flips: float
    auroc_within: float
    auroc_object: float
    auroc_wall: float
    auroc_corridor: float
    lead: float
    lead_low: float
    lead_high: float
    calibration_error: float
    brier_skill: float
    deletion: float
    insertion: float
    trusted: bool
    deletion_curve: tuple[float, ...] = ()
    insertion_curve: tuple[float, ...] = ()
    calibration_curve: tuple[tuple[float, float], ...] = ()

    def cells(self) -> list[object]:
        """Return the row of a table."""
        return [
            self.method,
            f"{self.auroc:.3f} [{self.low:.3f}, {self.high:.3f}]",
            f"{self.lead:+.3f} [{self.lead_low:+.3f}, {self.lead_high:+.3f}]" if self.kind != "baseline" else "-",
            formatted(self.auroc_within, ".3f"),
            *(formatted(one, ".2f") for one in (self.auroc_object, self.auroc_wall, self.auroc_corridor)),
            formatted(self.calibration_error, ".3f"),
            formatted(self.brier_skill, ".2f"),
            formatted(self.deletion, ".2f"),
            formatted(self.insertion, ".2f"),
            "trusted" if self.trusted else self.kind if self.kind != "explanation" else "not trusted",
        ]


@dataclasses.dataclass(frozen=True)
class BenchmarkReport(Result):
    """Methods on agents.

    Attributes:
        decisions: number of decisions of each agent.
        seed: of everything drawn.
        rows: one for each agent and method.
        means: one for each method that applies to all agents.
        pictures: the files drawn.
    """

    decisions: int
    seed: int
    rows: tuple[MethodRow, ...]
    means: tuple[MethodRow, ...]
    pictures: tuple[Path, ...] = ()

    @property
    def agents(self) -> list[str]:
        """The names of the agents."""
        return list(dict.fromkeys(row.agent for row in self.rows))

    def trusted(self, agent: str) -> list[str]:
        """Return the methods that may be trusted for an agent, best first."""
        rows = [row for row in self.rows if row.agent == agent and row.trusted]
        return [row.method for row in sorted(rows, key=lambda row: -row.auroc)]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            "decisions": self.decisions,
            "seed": self.seed,
            "rows": [row.json() for row in (*self.rows, *self.means)],
            "trusted": {agent: self.trusted(agent) for agent in self.agents},
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return the verdict for each agent, the means, and a table for each agent."""
        headers = [
            "method",
            "AUROC",
            "lead",
            "within",
            "calibration",
            "Brier skill",
            "deletion",
            "insertion",
            "verdict",
        ]
        parts: list[tuple[str, Sequence[MethodRow]]] = [(self.means[0].agent, self.means)] if self.means else []
        parts += [(agent, [row for row in self.rows if row.agent == agent]) for agent in self.agents]
        tables = [
            Table(
                headers,
                [row.cells() for row in sorted(rows, key=lambda row: (row.kind != "explanation", -row.auroc))],
                f"{agent}: {rows[0].decisions} decisions, {rows[0].counterfactuals} counterfactuals, "
                f"{rows[0].flips:.2f} of them flip the action",
            )
            for agent, rows in parts
        ]
        verdicts = [[agent, ", ".join(self.trusted(agent)) or "none"] for agent in self.agents]
        return [
            "will the action flip? Objects moved, walls opened, corridors closed\nAUROC with 95 % intervals over "
            "levels, and the lead over the best baseline",
            Table(["agent", "methods that may be trusted"], verdicts),
            *tables,
            *(f"picture: {path}" for path in self.pictures),
        ]
