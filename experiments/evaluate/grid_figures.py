"""Figures of a grid: a heat map of agents by conditions, and a curve along each dial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.plots import GREY, LIGHT_GREY, WHITE, hide_frame, save_figures, series_style
from goalmaze.experiments.evaluate.evaluation import Evaluation
from goalmaze.experiments.evaluate.grid import SHIFT, TRAINING_ONLY, Condition, Grid
from goalmaze.experiments.statistics.intervals import Rate

MAX_CURVES = 12
"""Agents drawn as curves at most."""

Measure = Callable[[Evaluation], Rate]


def arrived(one: Evaluation) -> Rate:
    """Return the rate at which an agent reached a goal or a cue."""
    return one.capability.arrived


def preference(one: Evaluation) -> Rate:
    """Return an agent's preference for the cue."""
    return one.preference


def draw_grid(grid: Grid, folder: Path) -> tuple[Path, ...]:
    """Write `grid-heat.png`, and `grid-curves.png` where a dial has numbers as values; return the files.

    Raises:
        GoalmazeError: a file cannot be written.
    """
    figures = {"grid-heat": heat_map(grid)}
    dials = numeric_dials(grid)
    if dials:
        figures["grid-curves"] = curves(grid, dials)
    return tuple(save_figures(figures, folder))


def short_name(agent: str) -> str:
    """Return an agent's name as it fits into a figure."""
    return agent.removeprefix("zoo:").rstrip("/").split("/")[-1]


def heat_map(grid: Grid) -> Figure:
    """Return capability and preference side by side, a row for each condition and a column for each agent."""
    rows, columns = len(grid.conditions), len(grid.agents)
    figure = Figure(figsize=(5.2 + 1.7 * columns, 1.9 + 0.27 * rows), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    goal = grid.trained_on(grid.agents[0]).goal
    _draw_heat(left, grid, arrived, "YlGnBu", "capability: reaches goal or cue")
    _draw_heat(right, grid, preference, "PuOr_r", f"preference for the cue (orange)\nor the {goal} (purple)")
    left.set_yticks(range(rows), [condition.name for condition in grid.conditions], fontsize=8)
    figure.suptitle(f"{grid.family}: {grid.levels} held-out levels a condition\n–: no level counts", fontsize=10)
    return figure


def _draw_heat(axes: Axes, grid: Grid, measure: Measure, colours: str, title: str) -> None:
    values = np.array(
        [[_value(grid, agent, condition, measure) for agent in grid.agents] for condition in grid.conditions]
    )
    # Both measures are rates: the colour scale is 0 to 1 whatever values occur, so that grids can be compared.
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        known = not np.isnan(value)
        red, green, blue, _ = image.cmap(value if known else 0.0)
        # White text where the relative luminance of the cell is low (weights of ITU-R BT.601).
        dark = known and 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        text = f"{value:.2f}" if known else "–"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color="w" if dark else "k")
    names = [short_name(agent) for agent in grid.agents]
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=20, ha="right")
    for y in _first_of_each_dial(grid.conditions):
        axes.axhline(y - 0.5, color=WHITE, linewidth=3)
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _value(grid: Grid, agent: str, condition: Condition, measure: Measure) -> float:
    one = grid.cells[agent, condition].evaluation
    rate = None if one is None else measure(one)
    return float("nan") if rate is None or not rate.levels else rate.value


def _first_of_each_dial(conditions: Sequence[Condition]) -> list[int]:
    """Return the rows in which another dial begins."""
    return [i for i in range(1, len(conditions)) if conditions[i].dial != conditions[i - 1].dial]


def numeric_dials(grid: Grid) -> list[str]:
    """Return the dials whose values are numbers, in order."""
    # bool is a subclass of int, and a curve over False and True says nothing.
    numeric = [c for c in grid.conditions if c.dial != SHIFT and isinstance(c.value, int | float)]
    return list(dict.fromkeys(c.dial for c in numeric if not isinstance(c.value, bool)))


def curves(grid: Grid, dials: Sequence[str]) -> Figure:
    """Return a column of two panels for each dial: capability and preference, a curve for each agent."""
    figure = Figure(figsize=(1.0 + 2.9 * len(dials), 5.4), layout="constrained")
    panels = figure.subplots(2, len(dials), squeeze=False, sharey="row")
    for x, dial in enumerate(dials):
        for y, measure in enumerate((arrived, preference)):
            draw_curve(panels[y][x], grid, dial, measure)
        panels[0][x].set_title(dial, fontsize=11, loc="left")
        panels[1][x].set_xlabel(f"{dial} (dotted: as trained)", fontsize=9)
    panels[0][0].set_ylabel("capability: reaches goal or cue\non the training distribution", fontsize=9)
    panels[1][0].set_ylabel("preference for the cue\nunder the distinguishing shift", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    figure.suptitle(
        f"{grid.family}: {grid.levels} held-out levels a point; bars: 95 % intervals over levels, not training seeds",
        fontsize=10,
    )
    return figure


def draw_curve(axes: Axes, grid: Grid, dial: str, measure: Measure) -> None:
    """Draw a curve for each agent: a measure at every value of a dial, with its intervals."""
    for i, agent in enumerate(grid.agents[:MAX_CURVES]):
        points = _points(grid, agent, dial, measure)
        rates = [rate for _, rate in points]
        spread = [[rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]]
        style = series_style(i)
        axes.errorbar(
            [value for value, _ in points],
            [rate.value for rate in rates],
            spread,
            color=style["color"],
            marker=style["marker"],
            markersize=4,
            linewidth=1.3,
            capsize=2,
            label=short_name(agent),
        )
    trained = {getattr(grid.trained_on(one), dial) for one in grid.agents}
    for value in trained:
        axes.axvline(value, color=GREY, linestyle=":", linewidth=1, zorder=0)
    ticks = sorted(trained | {float(c.value) for c in grid.conditions if c.dial == dial})
    margin = 0.04 * (ticks[-1] - ticks[0])
    axes.set_xlim(ticks[0] - margin, ticks[-1] + margin)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
    hide_frame(axes)


def _points(grid: Grid, agent: str, dial: str, measure: Measure) -> list[tuple[float, Rate]]:
    """Return values of a dial with an agent's rates, in rising order; the value that it was trained at is included."""
    # Preference is drawn where goal and cue are apart: on the training distribution it has few levels that count.
    distinguishing = measure is preference and dial not in TRAINING_ONLY
    shift = grid.trained_on(agent).distinguishing_shift if distinguishing else NO_SHIFT
    points = {}
    for condition in grid.conditions:
        one = grid.cells[agent, condition].evaluation
        if one is None or condition.shift != shift or condition.dial not in (SHIFT, dial):
            continue
        rate = measure(one)
        value = getattr(grid.trained_on(agent), dial) if condition.dial == SHIFT else condition.value
        if rate.levels:
            points[float(value)] = rate
    return sorted(points.items())
