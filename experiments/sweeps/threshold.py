"""The threshold of a sweep: the value of a dial at which half of the training seeds become goal-followers.

With the dial `mixture`, the rate of distinguishing levels, it is α50: how many such levels a training method needs.
Beside it stands the value at which half of the seeds prefer the goal, whether or not they are capable.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure

from goalmaze.agents.training.log import read_log
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.plots import LIGHT_GREY, hide_frame, series_style
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.seed_means import MeanOverSeeds, mean_over_seeds
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.statistics.half_point import HalfPoint, half_point
from goalmaze.experiments.sweeps.plan import Plan

THRESHOLD_FIGURE = "threshold.png"
FOLLOWER = "goal-follower"
PARTS = ("value", "low", "high")


Ratio: TypeAlias = tuple[float | None, float | None, float | None]
"""A ratio and the ends of its interval; None for what is not known."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """The runs at one value of the dial that differ by their seed alone.

    Attributes:
        value: of the dial.
        followers: seeds that became goal-followers.
        preferring: seeds whose preference for the cue is below one half under the distinguishing shift, whatever their
            label; None where the plan does not evaluate that shift.
        seeds: all finished seeds.
        levels: fresh levels that a run and the one that it starts from have begun, on average.
        amplification: rate of distinguishing levels among replays over that among fresh levels, on average over the
            runs; None where none is known.
    """

    value: float
    followers: int
    preferring: int | None
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
        preferring_ratio: the same of where half of the seeds prefer the goal.
        difference: preference for the cue minus that of the reference with the same seed, averaged over the dial.
        preferences: (seed, value of the dial) → preference for the cue, without undefined ones.
    """

    dials: JsonObject
    cells: tuple[Cell, ...]
    ratio: Ratio | None = None
    preferring_ratio: Ratio | None = None
    difference: MeanOverSeeds | None = None
    preferences: Mapping[tuple[int, float], float] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def half(self) -> HalfPoint:
        """Where half of the seeds become goal-followers."""
        return self._half([cell.followers for cell in self.cells])

    @property
    def preferring_half(self) -> HalfPoint | None:
        """Where half of the seeds prefer the goal; None where that is not known of all."""
        counts = [cell.preferring for cell in self.cells if cell.preferring is not None]
        return self._half(counts) if len(counts) == len(self.cells) else None

    def _half(self, counts: Sequence[int]) -> HalfPoint:
        return half_point([cell.value for cell in self.cells], counts, [cell.seeds for cell in self.cells])

    @property
    def levels(self) -> float:
        """Fresh levels that a run has begun, on average over the runs of the line."""
        return float(np.average([cell.levels for cell in self.cells], weights=[cell.seeds for cell in self.cells]))

    def count(self, rate: float | None) -> float | None:
        """Return the expected number of distinguishing levels among the fresh ones at a rate of them."""
        return None if rate is None or np.isnan(rate) else rate * self.levels

    def json(self) -> JsonObject:
        """Return the line as plain data."""
        half, preferring = self.half, self.preferring_half
        counts = {name: self.count(getattr(half, name)) for name in PARTS}
        return {
            "dials": self.dials,
            "half": half.json(),
            "distinguishing_levels": counts,
            "ratio_to_reference": _parts(self.ratio),
            "half_preferring": None if preferring is None else preferring.json(),
            "ratio_to_reference_preferring": _parts(self.preferring_ratio),
            "preference_minus_reference": None if self.difference is None else self.difference.json(),
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
    starts = {task.name: task.after for task in plan.tasks}
    preferences = {
        row["run"]: row["prefers_cue"]
        for row in rows
        if row["shift"] == make_family(row["family"]).distinguishing_shift
    }
    groups: dict[str, dict[float, list[JsonObject]]] = {}
    others = [dial for dial in plan.dials if dial != plan.threshold]
    for row in runs.values():
        key = json.dumps([row[dial] for dial in others])
        groups.setdefault(key, {}).setdefault(float(row[plan.threshold]), []).append(row)
    lines = [
        Line(
            dict(zip(others, json.loads(key), strict=True)),
            tuple(_cell(value, group, root, starts, preferences) for value, group in sorted(cells.items())),
            preferences={
                (row["seed"], value): preference
                for value, group in cells.items()
                for row in group
                if (preference := preferences.get(row["run"])) is not None
            },
        )
        for key, cells in groups.items()
    ]
    return [_with_ratios(line, lines, plan.reference) for line in lines]


def _cell(
    value: float,
    rows: Sequence[JsonObject],
    root: Path,
    starts: Mapping[str, str],
    preferences: Mapping[str, float | None],
) -> Cell:
    levels, amplifications = [], []
    for row in rows:
        folder = root / row["run"]
        start = starts[row["run"]]
        levels.append(_levels(folder) + (_levels(root / start) if start else 0))
        report = finished_report(folder) or {}
        amplification = report.get("curriculum", {}).get("amplification")
        if amplification is not None:
            amplifications.append(amplification)
    # An agent that reaches neither goal nor cue prefers neither.
    known = [preferences[row["run"]] for row in rows if row["run"] in preferences]
    return Cell(
        value=value,
        followers=sum(row["label"] == FOLLOWER for row in rows),
        preferring=sum(_is_below_half(cue) for cue in known) if len(known) == len(rows) else None,
        seeds=len(rows),
        levels=float(np.mean(levels)),
        amplification=float(np.mean(amplifications)) if amplifications else None,
    )


def _is_below_half(preference: float | None) -> bool:
    return preference is not None and preference < 0.5


def _levels(folder: Path) -> float:
    """Return the number of fresh levels that a finished run has begun."""
    try:
        return float(read_log(folder)[-1]["levels"])
    except (OSError, ValueError, KeyError, IndexError, csv.Error) as error:
        raise GoalmazeError(f"the log of {folder} cannot be read ({error}); restore it or train again") from None


def _with_ratios(line: Line, lines: Sequence[Line], reference: tuple[str, object]) -> Line:
    """Return a line with its ratios to the reference line, if that is another line of the plan."""
    dial, value = reference
    compared = next((other for other in lines if other.dials == line.dials | {dial: value}), None)
    if compared is None or line.dials.get(dial, value) == value:
        return line
    one, own = compared.preferring_half, line.preferring_half
    preferring = None if one is None or own is None else _ratio(one, own)
    return dataclasses.replace(
        line,
        ratio=_ratio(compared.half, line.half),
        preferring_ratio=preferring,
        difference=_difference(line.preferences, compared.preferences),
    )


def _difference(own: Mapping[tuple[int, float], float], reference: Mapping[tuple[int, float], float]) -> MeanOverSeeds:
    """Return the mean over seeds of the difference that each has on average over the values of the dial."""
    by_seed: dict[int, list[float]] = {}
    for seed, value in sorted(own.keys() & reference.keys()):
        by_seed.setdefault(seed, []).append(own[seed, value] - reference[seed, value])
    return mean_over_seeds([float(np.mean(differences)) for differences in by_seed.values()], is_rate=False)


def _parts(ratio: Ratio | None) -> dict[str, float | None] | None:
    return None if ratio is None else dict(zip(PARTS, ratio, strict=True))


def _ratio(one: HalfPoint, own: HalfPoint) -> Ratio:
    """Return the threshold `one`, of the reference, over `own`, with the ends that both intervals leave."""
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
                _ratio_text(line.ratio),
                _text(float(np.median(amplified))) if amplified else "-",
                ", ".join(f"{cell.followers}/{cell.seeds} at {cell.value:g}" for cell in line.cells),
            ]
        )
    return Table(headers, rows)


def preference_table(plan: Plan, lines: Sequence[Line]) -> Table | None:
    """Return one row a line: where half of the seeds prefer the goal, capable or not; None where that is not known."""
    reference = plan.reference[1]
    headers = [dial.split(".")[-1] for dial in plan.dials if dial != plan.threshold]
    headers += ["half prefer the goal at [95 %]", f"ratio to {reference} [95 %]"]
    headers += [f"preference for the cue minus that of {reference} [95 %]", "prefer the goal"]
    rows = [
        [
            *line.dials.values(),
            str(line.preferring_half),
            _ratio_text(line.preferring_ratio),
            "-" if line.difference is None else str(line.difference),
            ", ".join(f"{cell.preferring}/{cell.seeds} at {cell.value:g}" for cell in line.cells),
        ]
        for line in lines
        if line.preferring_half is not None
    ]
    return Table(headers, rows) if rows else None


def _ratio_text(ratio: Ratio | None) -> str:
    return "-" if ratio is None else "{} [{}, {}]".format(*map(_text, ratio))


def _text(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"


def threshold_figure(plan: Plan, lines: Sequence[Line]) -> Figure:
    """Return the picture: the fractions of seeds along the dial, a curve and the bar of its crossing a line.

    Left of goal-followers; right of seeds that prefer the goal, where that is known.
    """
    panels = [("are goal-followers", [(line.half, [cell.followers for cell in line.cells]) for line in lines])]
    preferring = [
        (line.preferring_half, [cell.preferring for cell in line.cells if cell.preferring is not None])
        for line in lines
        if line.preferring_half is not None
    ]
    if len(preferring) == len(lines):
        panels.append(("prefer the goal", preferring))
    figure = Figure(figsize=(1.6 + 4.6 * len(panels), 4.2), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    positive = [cell.value for line in lines for cell in line.cells if cell.value > 0]
    for axes, (what, halves) in zip(all_axes, panels, strict=True):
        for i, (line, (half, counts)) in enumerate(zip(lines, halves, strict=True)):
            style: JsonObject = {**series_style(i)}
            name = ", ".join(str(value) for value in line.dials.values()) or plan.name
            rates = [count / cell.seeds for count, cell in zip(counts, line.cells, strict=True)]
            axes.plot([cell.value for cell in line.cells], rates, linewidth=1.4, markersize=5, **style, label=name)
            ends = [half.least if half.low is None else half.low, half.most if half.high is None else half.high]
            height = 0.5 + 0.015 * (i - (len(lines) - 1) / 2)
            axes.plot(ends, [height] * 2, color=style["color"], linewidth=3, alpha=0.5)
        if positive:
            # Linear below the lowest rate, so that 0 is on the axis too.
            axes.set_xscale("symlog", linthresh=min(positive))
        axes.set_xlabel(plan.threshold.split(".")[-1])
        axes.set_title(f"seeds that {what}", fontsize=9, loc="left")
        axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
        hide_frame(axes)
    all_axes[0].set_ylabel("fraction of seeds")
    all_axes[0].set_ylim(-0.03, 1.03)
    all_axes[0].legend(fontsize=8, frameon=False)
    figure.suptitle(f"{plan.name}: bars are 95 % intervals of the crossing of one half", fontsize=10)
    return figure
