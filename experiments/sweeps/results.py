"""Results of a sweep: one row a run and shift, and means over the runs that differ by their seed alone."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.json_data import JsonObject, value_at
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.seed_means import MeanOverSeeds, mean_over_seeds
from goalmaze.experiments.evaluate.agent_label import present_label
from goalmaze.experiments.jobs.job import Task
from goalmaze.experiments.sweeps.plan import Plan

CSV = "results.csv"
MEASURES = {
    "solved": ("solved", "solved_interval"),
    "arrived": ("capability.arrived.value", "capability.arrived"),
    "prefers_cue": ("preference.cue", "preference"),
    "return": ("returns.true_discounted.value", "returns.true_discounted"),
}
"""Column → the path of its value in a report, and that of low, high and levels. `return` is discounted."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ by their seed alone, under one shift.

    Attributes:
        dials: dial → value.
        shift: the shift of the levels.
        seeds: number of finished runs.
        measures: column of `MEASURES` → its mean.
        labels: label → number of runs.
    """

    dials: JsonObject
    shift: str
    seeds: int
    measures: dict[str, MeanOverSeeds]
    labels: dict[str, int]

    def json(self) -> JsonObject:
        """Return the group as plain data."""
        return {
            "dials": self.dials,
            "shift": self.shift,
            "seeds": self.seeds,
            "labels": self.labels,
            **{name: measure.json() for name, measure in self.measures.items()},
        }


def gather_rows(plan: Plan, root: Path) -> list[JsonObject]:
    """Return one row a finished run and shift, in the order of the plan; a family's unknown shifts are left out."""
    return [
        _row(plan, task, shift, report, evaluation)
        for task in plan.tasks
        if (report := finished_report(root / task.name)) is not None
        for shift in plan.shifts
        if (evaluation := report["in_distribution"] if shift == NO_SHIFT else report["shifts"].get(shift)) is not None
    ]


def _row(plan: Plan, task: Task, shift: str, report: JsonObject, evaluation: JsonObject) -> JsonObject:
    first = evaluation["outcomes"]
    row = {
        "sweep": plan.name,
        "run": task.name,
        "family": task.recipe.family,
        **task.dials,
        "seed": task.recipe.seed,
        "trained_steps": report["steps"],
        "seconds": report["seconds"],
        "label": present_label(report, task.recipe),
        "shift": shift,
        "goal_first": first["goal"],
        "cue_first": first["cue"],
        "neither": first["neither"],
    }
    for name, (value_path, interval_path) in MEASURES.items():
        # Reports hold low, high and levels in one object, beside or around the value.
        interval = value_at(evaluation, interval_path)
        row[name] = value_at(evaluation, value_path)
        row |= {f"{name}_{part}": interval[part] for part in ("low", "high", "levels")}
    return row


def group_by_seed(plan: Plan, rows: Sequence[JsonObject]) -> list[Group]:
    """Return the groups of rows whose runs differ by their seed alone, in the order of the plan."""
    # Values of dials may be lists or tables, which cannot be keys: their JSON text can.
    groups: dict[str, list[JsonObject]] = {}
    for row in rows:
        groups.setdefault(json.dumps([[row[dial] for dial in plan.dials], row["shift"]]), []).append(row)
    return [
        Group(
            dials={dial: group[0][dial] for dial in plan.dials},
            shift=group[0]["shift"],
            seeds=len(group),
            measures={
                name: mean_over_seeds([row[name] for row in group], is_rate=name != "return") for name in MEASURES
            },
            labels=dict(sorted(Counter(row["label"] for row in group).items())),
        )
        for group in groups.values()
    ]


def write_csv(rows: Sequence[JsonObject], path: Path) -> None:
    """Write rows as CSV, atomically; undefined numbers are left empty."""
    text = io.StringIO(newline="")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
