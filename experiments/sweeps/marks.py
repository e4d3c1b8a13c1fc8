"""How soon the runs of a sweep pass marks: rates of solved training episodes, in steps and in seconds of training."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.sb3_environment import RECENT_EPISODES
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.plots import GREY, LIGHT_GREY, PALETTE, hide_frame
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.sweeps.plan import Plan

MARK_FIGURE = "marks.png"

COLUMNS = 5
"""Panels side by side in the figure."""

BEHIND = {"color": GREY, "linewidth": 1.0}
IN_FRONT = {"color": PALETTE[0], "linewidth": 1.4}

Numbers = NDArray[np.float64]


class Passed(NamedTuple):
    """When one run passed a mark; NaN where it did not.

    Attributes:
        steps: environment steps taken until then.
        seconds: seconds of training until then.
    """

    steps: float
    seconds: float

    @property
    def is_passed(self) -> bool:
        """Whether the run passed the mark."""
        return not math.isnan(self.steps)


@dataclasses.dataclass(frozen=True)
class LearningCurve:
    """The log of one run; lines before 1,000 episodes have ended are left out: the first to end are the easy ones.

    Attributes:
        steps: float64 [n], environment steps taken.
        seconds: float64 [n], seconds of training.
        solved: float64 [n], rate of the latest 1,000 training episodes that were solved.
    """

    steps: Numbers
    seconds: Numbers
    solved: Numbers

    @property
    def rate(self) -> float:
        """Training steps per second; NaN for a log without lines."""
        return float(self.steps[-1] / self.seconds[-1]) if len(self.steps) else math.nan

    def passed(self, mark: float) -> Passed:
        """Return when the rate first reached a mark."""
        (after,) = np.nonzero(self.solved >= mark)
        if not after.size:
            return Passed(math.nan, math.nan)
        return Passed(float(self.steps[after[0]]), float(self.seconds[after[0]]))


def read_curve(folder: Path) -> LearningCurve:
    """Return the learning curve of a run.

    Raises:
        GoalmazeError: the run has no log, or it holds something else than numbers.
    """
    names = ("steps", "seconds", "episodes", "solved")
    try:
        lines = [[float(line[name]) for name in names] for line in read_log(folder)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        raise GoalmazeError(f"cannot read {folder / LOG}; marks need the log of every finished run") from None
    log = np.array(lines, np.float64).reshape(-1, len(names))
    steps, seconds, _, solved = log[log[:, 2] >= RECENT_EPISODES].T
    return LearningCurve(steps, seconds, solved)


@dataclasses.dataclass(frozen=True)
class MarkRow:
    """The finished runs that differ by their seed alone.

    Attributes:
        dials: dial → value.
        marks: the marks of the plan.
        curves: the learning curve of each run.
    """

    dials: JsonObject
    marks: tuple[float, ...]
    curves: tuple[LearningCurve, ...]

    @property
    def name(self) -> str:
        """The values of the dials in words."""
        return ", ".join(map(str, self.dials.values())) or "all runs"

    def json(self) -> JsonObject:
        """Return the row as plain data, None for runs that did not pass a mark."""
        passed = {f"{mark:g}": [curve.passed(mark) for curve in self.curves] for mark in self.marks}
        return {
            "dials": self.dials,
            "steps_per_second": [number(curve.rate, 1) for curve in self.curves],
            "passed": {
                mark: [{"steps": number(run.steps), "seconds": number(run.seconds)} for run in runs]
                for mark, runs in passed.items()
            },
        }


def mark_rows(plan: Plan, root: Path) -> list[MarkRow]:
    """Return the learning curves of the finished runs of a plan, one row a setting of the dials, in their order.

    Raises:
        GoalmazeError: a finished run has no log.
    """
    groups: dict[str, list[LearningCurve]] = {}
    for task in plan.tasks:
        if finished_report(root / task.name) is not None:
            groups.setdefault(json.dumps(task.dials), []).append(read_curve(root / task.name))
    return [MarkRow(json.loads(dials), plan.marks, tuple(curves)) for dials, curves in groups.items()]


def mark_table(plan: Plan, rows: Sequence[MarkRow]) -> Table:
    """Return when runs passed the marks: means over the runs that did, with their number where some did not."""
    headers = [dial.split(".")[-1] for dial in plan.dials]
    headers += [f"{mark:g} after {unit}" for mark in plan.marks for unit in ("steps", "seconds")]
    cells = [
        [*row.dials.values(), *(cell for mark in plan.marks for cell in _cells(row, mark)), _mean(_rates(row))]
        for row in rows
    ]
    title = f"When the solved rate of the latest {RECENT_EPISODES:,} training episodes passed a mark"
    return Table([*headers, "steps/s"], cells, title)


def _cells(row: MarkRow, mark: float) -> list[object]:
    runs = [curve.passed(mark) for curve in row.curves]
    ended = [run for run in runs if run.is_passed]
    cells = [_mean([run.steps for run in ended]), _mean([run.seconds for run in ended])]
    return cells if len(ended) in (0, len(runs)) else [f"{cell} ({len(ended)} of {len(runs)} seeds)" for cell in cells]


def _rates(row: MarkRow) -> list[float]:
    return [curve.rate for curve in row.curves if not math.isnan(curve.rate)]


def _mean(values: Sequence[float]) -> object:
    return formatted(float(np.mean(values)) if values else None, ",.0f")


def mark_figure(plan: Plan, rows: Sequence[MarkRow]) -> Figure:
    """Return a panel for each setting of the dials: its learning curves by time, those of the first setting in grey."""
    columns = min(len(rows), COLUMNS)
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(2.4 * columns + 0.6, 2.0 * lines + 0.6), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, row in zip(panels, rows, strict=False):
        for shown, style in ((rows[0], BEHIND), (row, IN_FRONT)):
            for curve in shown.curves:
                axes.plot(curve.seconds / 60, curve.solved, **style)
        for mark in plan.marks:
            axes.axhline(mark, color=LIGHT_GREY, linewidth=0.8, zorder=0)
        axes.set_title(row.name, fontsize=9, loc="left")
        axes.set_ylim(0, 1)
        hide_frame(axes)
    for axes in panels[len(rows) :]:
        axes.set_axis_off()
    figure.supxlabel("minutes of training", fontsize=9)
    figure.supylabel(f"solved, latest {RECENT_EPISODES:,} training episodes", fontsize=9)
    figure.suptitle(f"{plan.name}: grey is {rows[0].name}; lines at the marks", fontsize=10)
    return figure
