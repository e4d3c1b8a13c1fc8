"""The figure of populations: histograms over training seeds, and every agent with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.histogram import histogram_bounds
from goalmaze.experiments.common.plots import DARK_GREY, GREY, LIGHT_GREY, hide_frame, save_figures, series_style
from goalmaze.experiments.evaluate.population_result import PREFERENCE, SOLVED, PopulationEvaluation, SeedGroup
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.experiments.statistics.over_seeds import SeedDistribution

MAX_SERIES = 8
"""Most groups of seeds in one figure; more colours and markers cannot be told apart."""


def draw_populations(evaluations: Sequence[PopulationEvaluation], folder: Path) -> tuple[Path, ...]:
    """Draw populations into ``population.png`` in a folder and return the file.

    On the left is the rate of levels solved, on the right the preference for the cue: above the number of agents in
    each bin, below every agent with its 95 % interval over levels, in order of its rate. A line marks the mean over
    seeds, and a band its interval over seeds and levels.
    """
    series = [(_label(one, group), group) for one in evaluations for group in one.groups][:MAX_SERIES]
    most = max(len(group.agents) for _, group in series)
    figure = Figure(figsize=(10, 4.6 + min(4.0, 0.035 * most * len(series))), layout="constrained")
    upper, lower = figure.subplots(2, 2, sharex="col", height_ratios=(1, 1.6))
    header = evaluations[0].agents[0].evaluations[0].header
    conditions = series[0][1].conditions
    for column, (name, shift) in enumerate(((SOLVED, conditions[0]), (PREFERENCE, conditions[-1]))):
        where = "training distribution" if shift == NO_SHIFT else f"shift {shift}"
        distributions = [group.solved if name == SOLVED else group.preference for _, group in series]
        _draw_histograms(upper[column], distributions, f"{name}, {where}")
        rates = [_rates(group, name) for _, group in series]
        _draw_agents(lower[column], rates, distributions)
        if name == PREFERENCE:
            lower[column].set_xlim(-0.03, 1.03)
        lower[column].set_xlabel("rate of levels, with 95 % interval over levels")
    upper[0].set_ylabel("agents")
    lower[0].set_ylabel("agents in order of their rate")
    styles = [series_style(i) for i in range(len(series))]
    handles = [
        Line2D([], [], linestyle="", label=label, color=style["color"], marker=style["marker"])
        for style, (label, _) in zip(styles, series, strict=True)
    ]
    handles.append(Line2D([], [], color=DARK_GREY, linewidth=1.5, label="mean over seeds, with interval"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False)
    figure.suptitle(
        f"{header.family} {header.size}x{header.size}: {header.levels} held-out levels, the same for all agents",
        fontsize=12,
    )
    return tuple(save_figures({"population": figure}, folder))


def _label(evaluation: PopulationEvaluation, group: SeedGroup) -> str:
    name = f"{evaluation.name}, {group.name}" if group.name else evaluation.name
    return f"{name} ({len(group.agents)} seeds)"


def _rates(group: SeedGroup, name: str) -> list[Rate]:
    """Return the rates of a group's agents that exist, in ascending order."""
    rates = [
        agent.evaluations[0].solved if name == SOLVED else agent.evaluations[-1].preference for agent in group.agents
    ]
    return sorted((rate for rate in rates if rate.levels), key=lambda rate: rate.value)


def _draw_histograms(axes: Axes, distributions: Sequence[SeedDistribution], title: str) -> None:
    """Draw the number of agents in each bin, one outline a series."""
    values = [value for one in distributions for value in one.counted]
    if values:
        bounds = histogram_bounds(values)
        for i, one in enumerate(distributions):
            counts, _ = np.histogram(np.minimum(one.counted + 1e-9, bounds[-1]), bounds)
            colour = series_style(i)["color"]
            axes.stairs(counts, bounds, color=colour, linewidth=1.8)
            axes.stairs(counts, bounds, color=colour, fill=True, alpha=0.25)
    else:
        axes.text(0.5, 0.5, "no level shows a preference", ha="center", transform=axes.transAxes, color=DARK_GREY)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, fontsize=11, loc="left")
    hide_frame(axes)


def _draw_agents(axes: Axes, rates: Sequence[Sequence[Rate]], distributions: Sequence[SeedDistribution]) -> None:
    """Draw every agent as a point with its interval, series by series from bottom to top, and the means over seeds."""
    first = 0
    for i, (agents, distribution) in enumerate(zip(rates, distributions, strict=True)):
        if not agents:
            continue
        style, positions = series_style(i), np.arange(first, first + len(agents))
        low, high = ([getattr(rate, end) for rate in agents] for end in ("low", "high"))
        axes.hlines(positions, low, high, color=style["color"], linewidth=1, alpha=0.5)
        size = 5 if len(agents) <= 40 else 3.5
        values, colour, marker = [rate.value for rate in agents], style["color"], style["marker"]
        axes.plot(values, positions, linestyle="", markersize=size, color=colour, marker=marker)
        mean, rows = distribution.mean, (first - 0.5, first + len(agents) - 0.5)
        if mean.exists:
            axes.fill_betweenx(rows, mean.low, mean.high, color=GREY, alpha=0.25, linewidth=0, zorder=0)
        axes.plot([mean.value] * 2, rows, color=DARK_GREY, linewidth=1.5)
        first += len(agents) + 2
    axes.set_yticks([])
    axes.grid(axis="x", color=LIGHT_GREY)
    axes.set_axisbelow(True)
    hide_frame(axes)
