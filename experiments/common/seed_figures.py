"""Figures of one value an agent of a population: a row of points for each thing that was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.experiments.common.agent_groups import SeedRow
from goalmaze.experiments.common.plots import DARK_GREY, GREY, LIGHT_GREY, PALETTE, hide_frame

ROW_INCHES, PANEL_INCHES = 0.32, 1.0
"""Height of a row, and of a panel beside its rows."""


def draw_seed_rows(panels: Mapping[str, Sequence[SeedRow]], title: str, axis: str, reference: str = "") -> Figure:
    """Draw every agent as a point, with the median over agents and the middle half of them.

    Args:
        panels: heading → rows, from top to bottom.
        title: of the figure.
        axis: name of the values.
        reference: name of the references; empty where there are none.
    """
    heights = [PANEL_INCHES + ROW_INCHES * len(rows) for rows in panels.values()]
    figure = Figure(figsize=(8, 1.2 + sum(heights)), layout="constrained")
    every = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (heading, rows) in zip(every, panels.items(), strict=True):
        for y, row in enumerate(rows):
            _draw_row(axes, y, row)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_title(heading, fontsize=11, loc="left")
        axes.grid(axis="x", color=LIGHT_GREY)
        axes.set_axisbelow(True)
        hide_frame(axes)
    every[-1].set_xlabel(axis)
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=4, color=PALETTE[0], alpha=0.6, label="an agent"),
        Line2D([], [], color=DARK_GREY, linewidth=2, label="median"),
        Line2D([], [], color=GREY, linewidth=8, alpha=0.4, label="middle half of the agents"),
    ]
    if reference:
        handles.append(Line2D([], [], linestyle="", marker="x", color=PALETTE[1], label=reference))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_row(axes: Axes, y: int, row: SeedRow) -> None:
    values = row.values.counted
    if len(values):
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
        axes.fill_between((low, high), y - 0.3, y + 0.3, color=GREY, alpha=0.4, linewidth=0)
        axes.plot((median, median), (y - 0.3, y + 0.3), color=DARK_GREY, linewidth=2)
        # Agents with equal values stand beside each other, at places that depend on nothing but their number.
        places = y + 0.22 * (np.arange(len(values)) % 5 - 2) / 2
        axes.plot(values, places, linestyle="", marker="o", markersize=4, color=PALETTE[0], alpha=0.6)
    if not math.isnan(row.reference):
        axes.plot(row.reference, y, linestyle="", marker="x", color=PALETTE[1])
