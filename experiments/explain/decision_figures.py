"""The picture of `goalmaze explain --level`: the state, and what each method says about its elements."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from goalmaze.envs.actions import ACTIONS, MOVES
from goalmaze.envs.rendering import frame
from goalmaze.experiments.common.plots import BLACK, PALETTE, WHITE, save_figures
from goalmaze.experiments.explain.decision_report import DecisionReport

PIXELS = 24
FOR, AGAINST = PALETTE[0], PALETTE[1]
"""Colours of elements that speak for the action, and against it."""

COLUMNS = 4


def draw_decision(report: DecisionReport, folder: Path) -> list[Path]:
    """Draw the picture into a folder and return the file."""
    return save_figures({f"decision-{report.level}-{report.step}": decision_figure(report)}, folder)


def decision_figure(report: DecisionReport) -> Figure:
    """Return the state with the policy as arrows, and a panel for each method with its elements coloured."""
    panels = 1 + len(report.methods)
    lines = math.ceil(panels / COLUMNS)
    figure = Figure(figsize=(3.1 * min(panels, COLUMNS), 3.4 * lines + 0.9), layout="constrained")
    grid = figure.subplots(lines, min(panels, COLUMNS), squeeze=False).ravel()
    figure.suptitle(textwrap.fill(report.words(), 100), fontsize=10, x=0.01, ha="left")
    for axes in grid:
        axes.set_axis_off()
    _draw_state(grid[0], report)
    _draw_policy(grid[0], report)
    for axes, method in zip(grid[1:], report.methods, strict=False):
        _draw_state(axes, report)
        axes.set_title(method, fontsize=10, loc="left")
        _draw_elements(axes, report, method)
    return figure


def _draw_state(axes: Axes, report: DecisionReport) -> None:
    axes.imshow(frame(report.state, 0, report.state.start[0], pixels=PIXELS))


def _middle(report: DecisionReport, cell: int) -> tuple[float, float]:
    """Return the coordinates of the middle of a cell."""
    row, column = divmod(cell, report.state.width)
    return (column + 0.5) * PIXELS - 0.5, (row + 0.5) * PIXELS - 0.5


def _draw_policy(axes: Axes, report: DecisionReport) -> None:
    axes.set_title("the policy: " + ", ".join(_policy_words(report)), fontsize=9, loc="left")
    x, y = _middle(report, int(report.state.start[0]))
    for probability, (down, right) in zip(report.probabilities, MOVES, strict=True):
        if probability > 0.02:
            length = PIXELS * (0.5 + probability)
            axes.annotate(
                "",
                (x + float(right) * length, y + float(down) * length),
                (x, y),
                arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 1 + 2.5 * probability},
            )


def _policy_words(report: DecisionReport) -> list[str]:
    ranked = sorted(zip(report.probabilities, ACTIONS, strict=True), reverse=True)
    return [f"{name} {probability:.2f}" for probability, name in ranked if probability > 0.02]


def _draw_elements(axes: Axes, report: DecisionReport, method: str) -> None:
    """Draw a frame around each element, wide where it matters, with its attribution."""
    most = max((abs(row.attributions[method]) for row in report.rows), default=0.0) or 1.0
    at: dict[int, int] = {}
    for row in report.rows:
        value = row.attributions[method]
        x, y = _middle(report, row.cell)
        # Goal and cue can share a cell: the second frame is smaller, its number lower.
        place = at[row.cell] = at.get(row.cell, -1) + 1
        half = PIXELS / 2 - 1 - 4 * place
        colour = FOR if value > 0 else AGAINST
        width = 0.5 + 4 * abs(value) / most
        axes.add_patch(
            Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor=colour, linewidth=width)
        )
        axes.text(
            x,
            y + (0 if not place else PIXELS * 0.45),
            f"{value:+.1f}",
            fontsize=6,
            ha="center",
            va="center",
            color=BLACK,
            bbox={"facecolor": WHITE, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )
