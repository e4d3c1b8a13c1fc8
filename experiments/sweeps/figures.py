"""The figure of a sweep: capability and goal along its first dial, each seed a dot, the mean over seeds a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.plots import LIGHT_GREY, hide_frame, save_figure, series_style
from goalmaze.experiments.sweeps.plan import Plan
from goalmaze.experiments.sweeps.results import Group

FIGURE = "curve.png"

PANELS = {
    "solved": "capability: earned all the true reward",
    "prefers_cue": "cue preference: 1 follows the cue, 0 the goal",
}


def draw_sweep(plan: Plan, groups: Sequence[Group], path: Path) -> None:
    """Write the figure of a sweep.

    Raises:
        GoalmazeError: it cannot be written.
    """
    save_figure(sweep_figure(plan, groups), path)


def sweep_figure(plan: Plan, groups: Sequence[Group]) -> Figure:
    """Return a panel for capability and one for the goal; without dials the seeds are side by side."""
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    # One style a line in both panels, although a line without values is missing in one of them.
    indices = {name: i for i, name in enumerate(dict.fromkeys(_name(plan, group) for group in groups))}
    for axes, (measure, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
        lines = _lines(plan, groups, measure)
        for name, line in lines.items():
            i = indices[name]
            style = {**series_style(i), "label": name}
            if plan.dials:
                _curve(axes, plan, line, measure, style, 0.06 * (i - (len(indices) - 1) / 2))
            else:
                _seeds(axes, line[0], measure, style)
        _frame(axes, plan, title)
    figure.suptitle(
        f"{plan.name}: dots are training seeds, bars 95 % intervals over seeds"
        if plan.dials
        else f"{plan.name}: each dot a training seed, sorted by value",
        fontsize=10,
    )
    return figure


def _lines(plan: Plan, groups: Sequence[Group], measure: str) -> dict[str, list[Group]]:
    """Return the groups of each line; a line has one shift and one value of every dial but the first."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if group.measures[measure].values:
            lines.setdefault(_name(plan, group), []).append(group)
    return lines


def _name(plan: Plan, group: Group) -> str:
    others = [f"{dial} {group.dials[dial]}" for dial in list(plan.dials)[1:]]
    return ", ".join(["training distribution" if group.shift == NO_SHIFT else group.shift, *others])


def _curve(axes: Axes, plan: Plan, line: Sequence[Group], measure: str, style: JsonObject, offset: float) -> None:
    dial, values = next(iter(plan.dials.items()))
    # By index: values of a dial may be words, and the numbers among them need not be evenly spaced.
    positions = [values.index(group.dials[dial]) + offset for group in line]
    points = [group.measures[measure] for group in line]
    means = np.array([one.value for one in points])
    # The interval of a single seed is undefined, and is drawn without a bar.
    spread = np.nan_to_num([[one.value - one.low for one in points], [one.high - one.value for one in points]])
    axes.errorbar(positions, means, spread, markersize=5, linewidth=1.4, capsize=2, **style)
    for x, one in zip(positions, points, strict=True):
        axes.plot([x] * len(one.values), one.values, ".", color=style["color"], alpha=0.45, markersize=5)


def _seeds(axes: Axes, group: Group, measure: str, style: JsonObject) -> None:
    values = sorted(group.measures[measure].values)
    axes.plot(range(1, len(values) + 1), values, linestyle="", markersize=5, **style)


def _frame(axes: Axes, plan: Plan, title: str) -> None:
    if plan.dials:
        dial, values = next(iter(plan.dials.items()))
        axes.set_xticks(range(len(values)), [str(value) for value in values])
        axes.set_xlim(-0.4, len(values) - 0.6)
        axes.set_xlabel(dial.split(".")[-1])
    else:
        axes.set_xlabel("training seeds, sorted")
    axes.set_ylim(-0.03, 1.03)
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    hide_frame(axes)
