"""The threshold of a sweep: the value of a dial at which half of the training seeds become goal-followers.

With the dial `mixture`, the rate of distinguishing levels, it is α50: how many such levels a training method needs.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from goalmaze.agents.training.log import read_log
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.plots import LIGHT_GREY, hide_frame, series_style
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.statistics.half_point import HalfPoint, half_point
from goalmaze.experiments.sweeps.plan import Plan

THRESHOLD_FIGURE = "threshold.png"
FOLLOWER = "goal-follower"


@dataclasses.dataclass(frozen=True)
class Cell:
    """The runs at one value of the dial that differ by their seed alone.

    Attributes:
        value: of the dial.
        followers: seeds that became goal-followers.
        seeds: all finished seeds.
        levels: fresh levels that a run has begun, on average.
        amplification: rate of distinguishing levels among replays over that among fresh levels, on average over the
            runs; None where none is known.
    """

    value: float
    followers: int
    seeds: int
    levels: float
    amplification: float | None


@dataclasses.dataclass(frozen=True)
class Line:
    """The runs that differ by the dial of the threshold and the seed.

    Attributes:
        dials: the other dials → their values.
        cells: one for each value of the dial that has runs, in ascending order.
        ratio: the threshold of the reference over this one, with the ends that both intervals leave; None without one.
    """

    dials: JsonObject
    cells: tuple[Cell, ...]
    ratio: tuple[float | None, float | None, float | None] | None = None

    @property
    def half(self) -> HalfPoint:
        """Where half of the seeds become goal-followers."""
        columns = zip(*((cell.value, cell.followers, cell.seeds) for cell in self.cells), strict=True)
        values, followers, seeds = (list(column) for column in columns)
        return half_point(values, followers, seeds)

    @property
    def levels(self) -> float:
        """Fresh levels that a run has begun, on average over the runs of the line."""
        return float(np.average([cell.levels for cell in self.cells], weights=[cell.seeds for cell in self.cells]))

    def count(self, rate: float | None) -> float | None:
        """Return the expected number of distinguishing levels among the fresh ones at a rate of them."""
        return None if rate is None or np.isnan(rate) else rate * self.levels

    def json(self) -> JsonObject:
        """Return the line as plain data."""
        half = self.half
        counts = {name: self.count(getattr(half, name)) for name in ("value", "low", "high")}
        ratio = None if self.ratio is None else dict(zip(("value", "low", "high"), self.ratio, strict=True))
        return {
            "dials": self.dials,
            "half": half.json(),
            "distinguishing_levels": counts,
            "ratio_to_reference": ratio,
            "values": [dataclasses.asdict(cell) for cell in self.cells],
        }


def threshold_lines(plan: Plan, root: Path, rows: Sequence[JsonObject]) -> list[Line]:
    """Return the lines of a plan with a threshold, from the rows of its finished runs.

    Args:
        plan: the plan.
        root: folder of the sweep.
        rows: as `goalmaze.experiments.sweeps.results.gather_rows` returns them, one a run and shift.
    """
    runs = {row["run"]: row for row in rows}
    groups: dict[str, dict[float, list[JsonObject]]] = {}
    others = [dial for dial in plan.dials if dial != plan.threshold]
    for row in runs.values():
        key = json.dumps([row[dial] for dial in others])
        groups.setdefault(key, {}).setdefault(float(row[plan.threshold]), []).append(row)
    lines = [
        Line(
            dict(zip(others, json.loads(key), strict=True)),
            tuple(_cell(value, group, root) for value, group in sorted(cells.items())),
        )
        for key, cells in groups.items()
    ]
    return [dataclasses.replace(line, ratio=_ratio(line, lines, plan.reference)) for line in lines]


def _cell(value: float, rows: Sequence[JsonObject], root: Path) -> Cell:
    levels, amplifications = [], []
    for row in rows:
        folder = root / row["run"]
        try:
            levels.append(float(read_log(folder)[-1]["levels"]))
        except (OSError, ValueError, KeyError, IndexError, csv.Error) as error:
            raise GoalmazeError(f"the log of {folder} cannot be read ({error}); restore it or train again") from None
        report = finished_report(folder) or {}
        amplification = report.get("curriculum", {}).get("amplification")
        if amplification is not None:
            amplifications.append(amplification)
    followers = sum(row["label"] == FOLLOWER for row in rows)
    mean = float(np.mean(amplifications)) if amplifications else None
    return Cell(value, followers, len(rows), float(np.mean(levels)), mean)


def _ratio(
    line: Line, lines: Sequence[Line], reference: tuple[str, object]
) -> tuple[float | None, float | None, float | None] | None:
    """Return the threshold of the reference line over this one, None for the reference itself and without one."""
    dial, value = reference
    if line.dials.get(dial, value) == value:
        return None
    compared = next((other for other in lines if other.dials == line.dials | {dial: value}), None)
    if compared is None:
        return None
    one, own = compared.half, line.half
    # Both ends hold together with 95 %: each of the two intervals errs on one side with 2.5 % at most.
    return _over(one.value, own.value), _over(one.low, own.high), _over(one.high, own.low)


def _over(numerator: float | None, denominator: float | None) -> float | None:
    if numerator is None or not denominator or np.isnan(numerator) or np.isnan(denominator):
        return None
    return numerator / denominator


def threshold_table(plan: Plan, lines: Sequence[Line]) -> Table:
    """Return one row a line: the threshold, the distinguishing levels that it means, and the ratio to the reference."""
    others = [dial for dial in plan.dials if dial != plan.threshold]
    dial = plan.threshold.split(".")[-1]
    headers = [one.split(".")[-1] for one in others]
    headers += [f"{dial} of half [95 %]", "distinguishing levels", f"ratio to {plan.reference[1]} [95 %]"]
    headers += ["amplification", "followers"]
    rows = []
    for line in lines:
        half = line.half
        amplified = [cell.amplification for cell in line.cells if cell.amplification is not None]
        rows.append(
            [
                *line.dials.values(),
                str(half),
                _text(line.count(half.value)),
                "-" if line.ratio is None else "{} [{}, {}]".format(*map(_text, line.ratio)),
                _text(float(np.median(amplified))) if amplified else "-",
                ", ".join(f"{cell.followers}/{cell.seeds} at {cell.value:g}" for cell in line.cells),
            ]
        )
    return Table(headers, rows)


def _text(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


def threshold_figure(plan: Plan, lines: Sequence[Line]) -> Figure:
    """Return the picture: the fraction of goal-followers along the dial, a curve and the bar of its crossing a line."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    positive = [cell.value for line in lines for cell in line.cells if cell.value > 0]
    for i, line in enumerate(lines):
        style: JsonObject = {**series_style(i)}
        half = line.half
        name = ", ".join(str(value) for value in line.dials.values()) or plan.name
        rates = [cell.followers / cell.seeds for cell in line.cells]
        axes.plot([cell.value for cell in line.cells], rates, linewidth=1.4, markersize=5, **style, label=name)
        ends = [half.least if half.low is None else half.low, half.most if half.high is None else half.high]
        height = 0.5 + 0.015 * (i - (len(lines) - 1) / 2)
        axes.plot(ends, [height] * 2, color=style["color"], linewidth=3, alpha=0.5)
    if positive:
        # Linear below the lowest rate, so that 0 is on the axis too.
        axes.set_xscale("symlog", linthresh=min(positive))
    axes.set_xlabel(plan.threshold.split(".")[-1])
    axes.set_ylabel("fraction of seeds that are goal-followers")
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{plan.name}: bars are 95 % intervals of the crossing of one half", fontsize=10, loc="left")
    hide_frame(axes)
    return figure
