"""The figure of the laws of scale: regret and preference along training, with what the laws predict."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.experiments.common.plots import GREY, LIGHT_GREY, hide_frame, series_style
from goalmaze.experiments.scaling.law import columns
from goalmaze.experiments.scaling.report import LAWS
from goalmaze.experiments.scaling.rows import ScaleRow, SplitRows, cell_means

LABELS = {"regret": "normalised regret", "preference": "preference for the cue"}


def draw_scaling(split: SplitRows) -> Figure:
    """Return a row of panels for each quantity, one panel for each number of blocks, one colour for each width.

    Points are means over seeds, filled where they were fitted and hollow where they were sealed; lines are the law.
    """
    rows = (*split.fitted, *split.sealed)
    depths, widths = (sorted({getattr(row, name) for row in rows}) for name in ("blocks", "width"))
    figure = Figure(figsize=(3.6 * len(depths), 6.6), layout="constrained")
    panels = figure.subplots(len(LAWS), len(depths), squeeze=False, sharex=True, sharey="row")
    for line, quantity in zip(panels, LAWS, strict=True):
        for axes, blocks in zip(line, depths, strict=True):
            for number, width in enumerate(widths):
                chosen = [row for row in rows if (row.width, row.blocks) == (width, blocks)]
                _draw_network(axes, split, chosen, quantity, number)
            axes.set_xscale("log")
            axes.grid(color=LIGHT_GREY, linewidth=0.6)
            hide_frame(axes)
            if quantity == "regret":
                axes.set_yscale("log")
                axes.set_title(f"{blocks} blocks", fontsize=11, loc="left")
        line[0].set_ylabel(LABELS[quantity])
    for axes in panels[-1]:
        axes.set_xlabel("environment steps")
    handles = [Line2D([], [], linestyle="", **series_style(i), label=f"width {one}") for i, one in enumerate(widths)]
    handles += [
        Line2D([], [], linestyle="", marker="o", fillstyle="none", color=GREY, label="sealed"),
        Line2D([], [], color=GREY, label="law, fitted to the filled points"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _draw_network(axes: Axes, split: SplitRows, rows: list[ScaleRow], quantity: str, number: int) -> None:
    style = series_style(number)
    sealed = {row.cell for row in split.sealed}
    cells, means, _ = cell_means(rows, quantity)
    for hollow in (False, True):
        chosen = [i for i, cell in enumerate(cells) if (cell in sealed) == hollow]
        fill = "none" if hollow else "full"
        axes.plot([cells[i][2] for i in chosen], means[chosen], linestyle="", markersize=5, fillstyle=fill, **style)
    if rows:
        law = LAWS[quantity].fit(*columns(split.fitted, quantity))
        steps = np.geomspace(min(row.steps for row in rows), max(row.steps for row in rows), 60)
        predicted = law.predict(np.full(len(steps), float(rows[0].parameters)), steps)
        axes.plot(steps, predicted, color=style["color"], linewidth=1.2)
