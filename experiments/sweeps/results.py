"""What came of a sweep: a row for each run and shift, and what runs that differ by their seed alone have in common."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from goalmaze.agents.files import write_atomically
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.sweeps.plan import Plan, Task
from goalmaze.experiments.sweeps.tasks import report_of

CSV = "results.csv"
MEASURED = {
    "solved": ("solved", "solved_interval"),
    "arrived": ("capability.arrived.value", "capability.arrived"),
    "prefers_cue": ("preference.cue", "preference"),
    "return": ("returns.true_discounted.value", "returns.true_discounted"),
}
"""Column → where a report says the value, and where low, high and levels. `return` is the discounted true return."""


@dataclasses.dataclass(frozen=True)
class OverSeeds:
    """A mean over training seeds with its 95 % interval, of Student's t with S - 1 degrees of freedom.

    It covers training seeds; the levels are the same for all of them, and what another set of levels would change is
    not in it.

    Attributes:
        values: of the S seeds, in the order of the seeds, those that have one.
        mean: NaN where there are none.
        low: lower end; NaN for fewer than two seeds.
        high: upper end.
    """

    values: tuple[float, ...]
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if not self.values:
            return "-"
        mean = f"{self.mean:.3f}"
        return mean if math.isnan(self.low) else f"{mean} [{self.low:.3f}, {self.high:.3f}]"

    def json(self) -> dict[str, Any]:
        """Return it as plain data, None for what is not a number."""
        ends = {name: getattr(self, name) for name in ("mean", "low", "high")}
        return {
            **{name: None if math.isnan(end) else round(end, 4) for name, end in ends.items()},
            "covers": "training seeds, on the same levels",
            "values": [round(value, 4) for value in self.values],
        }


def over_seeds(values: Sequence[float | None], *, shares: bool = True) -> OverSeeds:
    """Return the mean of values, one a training seed; None is left out, and an interval of shares is cut to [0, 1]."""
    there = np.array([value for value in values if value is not None], np.float64)
    if not len(there):
        return OverSeeds((), math.nan, math.nan, math.nan)
    mean = float(there.mean())
    if len(there) == 1:
        return OverSeeds((mean,), mean, math.nan, math.nan)
    half = float(scipy.stats.t.ppf(0.975, len(there) - 1)) * float(there.std(ddof=1)) / math.sqrt(len(there))
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if shares else (mean - half, mean + half)
    return OverSeeds(tuple(there.tolist()), mean, low, high)


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ by their seed alone, under one shift.

    Attributes:
        dials: where each dial stands.
        shift: of the levels.
        seeds: how many runs are finished.
        measures: one for each of `MEASURED`.
        labels: how many runs have each label.
    """

    dials: dict[str, Any]
    shift: str
    seeds: int
    measures: dict[str, OverSeeds]
    labels: dict[str, int]

    def json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "dials": self.dials,
            "shift": self.shift,
            "seeds": self.seeds,
            "labels": self.labels,
            **{name: measure.json() for name, measure in self.measures.items()},
        }


def gather(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """Return a row for each finished run and shift of a plan, in its order; shifts its family has not are left out."""
    return [
        _row(plan, task, shift, report, evaluation)
        for task in plan.tasks
        if (report := report_of(root / task.name)) is not None
        for shift in plan.shifts
        if (evaluation := report["in_distribution"] if shift == NO_SHIFT else report["shifts"].get(shift)) is not None
    ]


def _row(plan: Plan, task: Task, shift: str, report: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    first = evaluation["outcomes"]
    row = {
        "sweep": plan.name,
        "run": task.name,
        "family": task.recipe.family,
        **task.dials,
        "seed": task.recipe.seed,
        "trained_steps": report["steps"],
        "seconds": report["seconds"],
        "label": report["label"],
        "shift": shift,
        "goal_first": first["goal"],
        "cue_first": first["cue"],
        "neither": first["neither"],
    }
    for name, (value, around) in MEASURED.items():
        interval = _at(evaluation, around)
        row[name] = _at(evaluation, value)
        row |= {f"{name}_{part}": interval[part] for part in ("low", "high", "levels")}
    return row


def _at(data: Any, path: str) -> Any:
    for part in path.split("."):
        data = data[part]
    return data


def grouped(plan: Plan, rows: Sequence[dict[str, Any]]) -> list[Group]:
    """Return the rows of runs that differ by their seed alone together, in the order of the plan."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(json.dumps([[row[dial] for dial in plan.dials], row["shift"]]), []).append(row)
    return [
        Group(
            dials={dial: group[0][dial] for dial in plan.dials},
            shift=group[0]["shift"],
            seeds=len(group),
            measures={name: over_seeds([row[name] for row in group], shares=name != "return") for name in MEASURED},
            labels=dict(sorted(Counter(row["label"] for row in group).items())),
        )
        for group in groups.values()
    ]


def write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows as CSV, whole or not at all; what is not a number is left empty."""
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
