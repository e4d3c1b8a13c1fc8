"""How soon runs pass marks: rates of solved training episodes, in steps and in seconds of training.

``python -m goalmaze.experiments.sweeps.marks AGENT ... [--marks 0.8 0.9]`` prints it for agents and for populations; a
sweep prints it where its plan has marks.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from goalmaze.agents.loading import locate, stored_population
from goalmaze.agents.population import is_population
from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.sb3_environment import RECENT_EPISODES
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.plots import GREY, LIGHT_GREY, PALETTE, hide_frame
from goalmaze.experiments.common.printing import print_result
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.sweeps.plan import Plan

MARK_FIGURE = "marks.png"

COLUMNS = 5
"""Most panels side by side in the figure."""

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


def read_curve(folder: Path, agent: int | None = None) -> LearningCurve:
    """Return the learning curve of a run, or of one agent of a population.

    Raises:
        GoalmazeError: the run has no log, or it holds something else than numbers.
    """
    names = ("steps", "seconds", "episodes", "solved")
    try:
        lines = [[float(line[name]) for name in names] for line in read_log(folder, agent)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        raise GoalmazeError(f"cannot read {folder / LOG}; marks need the log of a run") from None
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


def mark_table(dials: Iterable[str], marks: Sequence[float], rows: Sequence[MarkRow]) -> Table:
    """Return when runs passed the marks: means over the runs that did, with their number where some did not."""
    headers = [dial.split(".")[-1] for dial in dials]
    headers += [f"{mark:g} after {unit}" for mark in marks for unit in ("steps", "seconds")]
    cells = [
        [*row.dials.values(), *(cell for mark in marks for cell in _cells(row, mark)), _mean(_rates(row))]
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
    lines = -(-len(rows) // COLUMNS)
    columns = -(-len(rows) // lines)
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
    for axes in panels[len(rows) - columns :]:
        # Nothing is below these panels that could carry their labels.
        axes.tick_params(labelbottom=True)
    for axes in panels[len(rows) :]:
        axes.set_axis_off()
    figure.supxlabel("minutes of training", fontsize=9)
    figure.supylabel(f"solved, latest {RECENT_EPISODES:,} episodes", fontsize=9)
    figure.suptitle(f"{plan.name}: grey is {rows[0].name}; lines at the marks", fontsize=10)
    return figure


@dataclasses.dataclass(frozen=True)
class MarkReport(Result):
    """How soon agents passed marks in their training.

    Attributes:
        marks: the marks.
        curves: name of an agent → its learning curve.
    """

    marks: tuple[float, ...]
    curves: dict[str, LearningCurve]

    @property
    def _rows(self) -> list[MarkRow]:
        return [MarkRow({"agent": name}, self.marks, (curve,)) for name, curve in self.curves.items()]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {"rows": [row.json() for row in self._rows]}

    def blocks(self) -> Sequence[str | Table]:
        """Return the table."""
        return [mark_table(["agent"], self.marks, self._rows)]


def measure(names: Sequence[str], marks: Sequence[float]) -> MarkReport:
    """Return how soon agents passed marks.

    Args:
        names: run folders or zoo:NAME; of a population, all agents count, or the one of NAME/NUMBER.
        marks: rates of solved training episodes.

    Raises:
        GoalmazeError: there is no such agent, it comes without its log, or a mark is no rate.
    """
    for mark in marks:
        if not 0 < mark <= 1:
            raise GoalmazeError(f"mark {mark:g} is no rate of solved episodes: choose more than 0 and at most 1")
    curves = {}
    for name in names:
        place = locate(name)
        agents = range(len(stored_population(place))) if is_population(name) else [place.number]
        for agent in agents:
            curves[name if agent == place.number else f"{name}/{agent}"] = read_curve(place.folder, agent)
    return MarkReport(tuple(marks), curves)


def main() -> int:
    """Print how soon the agents passed the marks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agents", nargs="+", metavar="AGENT", help="run folders or zoo:NAME, also populations")
    parser.add_argument("--marks", nargs="+", type=float, default=[0.8, 0.9], help="rates of solved training episodes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    return print_result(lambda: measure(chosen.agents, chosen.marks), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
