"""Pictures of a grid: a heat map of agents by conditions, and a curve along each dial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.plots import bare, save_figure
from goalmaze.experiments.evaluate.evaluate import Evaluation
from goalmaze.experiments.evaluate.grid import ONLY_TRAINING, SHIFT, Condition, Grid
from goalmaze.experiments.statistics.intervals import Rate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")
MARKERS = "oDs^vP*X"
MAX_AGENTS = 12

Measure = Callable[[Evaluation], Rate]


def arrived(one: Evaluation) -> Rate:
    """Return how often an agent got somewhere."""
    return one.capability.arrived


def preference(one: Evaluation) -> Rate:
    """Return how often the cue came first, where the geometry lets it be told."""
    return one.preference


def draw_grid(grid: Grid, folder: Path) -> tuple[Path, ...]:
    """Write `grid-heat.png`, and `grid-curves.png` where there are dials; return the files.

    Raises:
        GoalmazeError: a file cannot be written.
    """
    pictures = [(heat_map(grid), folder / "grid-heat.png")]
    dials = numeric_dials(grid)
    if dials:
        pictures.append((curves(grid, dials), folder / "grid-curves.png"))
    for figure, path in pictures:
        save_figure(figure, path)
    return tuple(path for _, path in pictures)


def heat_map(grid: Grid) -> Figure:
    """Return capability and preference side by side, a row for each condition and a column for each agent."""
    rows, columns = len(grid.conditions), len(grid.agents)
    figure = Figure(figsize=(5.2 + 1.7 * columns, 1.9 + 0.27 * rows), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _heat(left, grid, arrived, "YlGnBu", "capability: gets somewhere")
    _heat(
        right,
        grid,
        preference,
        "PuOr_r",
        f"goal: prefers the cue (orange)\nto the {grid.world(grid.agents[0]).goal} (purple)",
    )
    left.set_yticks(range(rows), [condition.name for condition in grid.conditions], fontsize=8)
    figure.suptitle(
        f"{grid.family}: {grid.levels} held-out levels a condition\n– where nothing can be told", fontsize=10
    )
    return figure


def _heat(axes: Axes, grid: Grid, measure: Measure, colours: str, title: str) -> None:
    values = np.array(
        [[_value(grid, agent, condition, measure) for agent in grid.agents] for condition in grid.conditions]
    )
    shading = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(values):
        told = not np.isnan(value)
        red, green, blue, _ = shading.cmap(value if told else 0.0)
        dark = told and 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        axes.text(
            x, y, f"{value:.2f}" if told else "–", ha="center", va="center", fontsize=8, color="w" if dark else "k"
        )
    axes.set_xticks(
        range(len(grid.agents)), [_short(name) for name in grid.agents], fontsize=8, rotation=20, ha="right"
    )
    for y in _breaks(grid.conditions):
        axes.axhline(y - 0.5, color="white", linewidth=3)
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _value(grid: Grid, agent: str, condition: Condition, measure: Measure) -> float:
    one = grid.cells[agent, condition].evaluation
    share = None if one is None else measure(one)
    return float("nan") if share is None or not share.levels else share.value


def _breaks(conditions: Sequence[Condition]) -> list[int]:
    """Return where in the rows another dial begins."""
    return [i for i in range(1, len(conditions)) if conditions[i].dial != conditions[i - 1].dial]


def _short(name: str) -> str:
    return name.removeprefix("zoo:").rstrip("/").split("/")[-1]


def numeric_dials(grid: Grid) -> list[str]:
    """Return the dials whose values are numbers, in order."""
    turned = [c for c in grid.conditions if c.dial != SHIFT and isinstance(c.value, int | float)]
    return list(dict.fromkeys(c.dial for c in turned if not isinstance(c.value, bool)))


def curves(grid: Grid, dials: Sequence[str]) -> Figure:
    """Return a column of two panels for each dial: capability and preference, a line for each agent."""
    figure = Figure(figsize=(1.0 + 2.9 * len(dials), 5.4), layout="constrained")
    panels = figure.subplots(2, len(dials), squeeze=False, sharey="row")
    for x, dial in enumerate(dials):
        for y, measure in enumerate((arrived, preference)):
            draw_curve(panels[y][x], grid, dial, measure)
        panels[0][x].set_title(dial, fontsize=11, loc="left")
        panels[1][x].set_xlabel(f"{dial} (dotted: as trained)", fontsize=9)
    panels[0][0].set_ylabel("capability: gets somewhere\non the training distribution", fontsize=9)
    panels[1][0].set_ylabel("goal: prefers the cue\nwhere goal and cue part", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    figure.suptitle(
        f"{grid.family}: {grid.levels} held-out levels a point; bars are 95 % intervals over levels, not seeds",
        fontsize=10,
    )
    return figure


def draw_curve(axes: Axes, grid: Grid, dial: str, measure: Measure) -> None:
    """Draw a line for each agent: what a measure says at every value of a dial, with its interval."""
    trained = {parameters[dial] for parameters in grid.parameters.values()}
    for i, agent in enumerate(grid.agents[:MAX_AGENTS]):
        found = _points(grid, agent, dial, measure)
        values = [value for value, _ in found]
        shares = [share for _, share in found]
        spread = [[share.value - share.low for share in shares], [share.high - share.value for share in shares]]
        look: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        axes.errorbar(
            values,
            [s.value for s in shares],
            spread,
            markersize=4,
            linewidth=1.3,
            capsize=2,
            label=_short(agent),
            **look,
        )
    for value in trained:
        axes.axvline(value, color="#9a9a9a", linestyle=":", linewidth=1, zorder=0)
    ticks = sorted(trained | {*(c.value for c in grid.conditions if c.dial == dial)})
    axes.set_xlim(ticks[0] - 0.04 * (ticks[-1] - ticks[0]), ticks[-1] + 0.04 * (ticks[-1] - ticks[0]))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    bare(axes)


def _points(grid: Grid, agent: str, dial: str, measure: Measure) -> list[tuple[float, Rate]]:
    """Return values of a dial with an agent's rates, the value it was trained at included, in rising order."""
    parted = measure is preference and dial not in ONLY_TRAINING
    shift = grid.world(agent).distinguishing_shift if parted else NO_SHIFT
    found = {}
    for condition in grid.conditions:
        one = grid.cells[agent, condition].evaluation
        if one is None or condition.shift != shift or condition.dial not in (SHIFT, dial):
            continue
        share = measure(one)
        value = grid.parameters[agent][dial] if condition.dial == SHIFT else condition.value
        if share.levels:
            found[float(value)] = share
    return sorted(found.items())
