"""The figure of the benchmark: what the audit predicted against what was measured, one dot an agent."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from goalmaze.experiments.audit.benchmark.contest import Contest
from goalmaze.experiments.audit.benchmark.rows import PopulationTest
from goalmaze.experiments.audit.benchmark.stages import LABELS
from goalmaze.experiments.audit.calibration import from_logits
from goalmaze.experiments.common.plots import DARK_GREY, GREY, LIGHT_GREY, PALETTE, WHITE, hide_frame, save_figures
from goalmaze.probes.audit.tiers import Tier

NAME = "audit-benchmark"

STYLES = dict(zip(LABELS, ((PALETTE[0], "o"), (PALETTE[4], "s"), (PALETTE[1], "D")), strict=True))
"""Label → colour and marker of its agents."""

MAX_COLUMNS = 3


def draw_benchmark(contest: Contest, folder: Path) -> tuple[Path, ...]:
    """Draw one panel for each population that was tested into ``audit-benchmark.png`` in a folder; return the file."""
    tests = [one for one in contest.tests if one.target.tested]
    columns = max(1, min(MAX_COLUMNS, len(tests)))
    lines = max(1, math.ceil(len(tests) / columns))
    figure = Figure(
        figsize=(4.6 * columns + 0.4, 4.7 * lines + 1.1), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.12)
    )
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, test in zip(panels, tests, strict=False):
        _draw_population(axes, test, contest.chosen(test, Tier.T3))
    for axes in panels[len(tests) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("what the agent did:\ncue first, where goal and cue differ", fontsize=11)
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=8, label=label)
        for label, (colour, marker) in STYLES.items()
    ]
    handles.append(Line2D([], [], color=GREY, linestyle="--", label="prediction = measurement"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    figure.suptitle("Agents that look the same in training: what the audit said, and what they did", fontsize=14)
    return tuple(save_figures({NAME: figure}, folder))


def _draw_population(axes: Axes, test: PopulationTest, method: str | None) -> None:
    """Draw the agents of a population by the method that was chosen for it on other populations."""
    logits = None if method is None else test.logits(method)
    axes.set_title(_title(test, method), fontsize=11, loc="left")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_aspect("equal")
    axes.set_xlabel("what the audit said: predicted preference", fontsize=11)
    ticks = np.linspace(0, 1, 5)
    axes.set_xticks(ticks, ["0\ngoal", "0.25", "0.5", "0.75", "1\ncue"])
    axes.set_yticks(ticks, ["goal 0", "0.25", "0.5", "0.75", "cue 1"])
    axes.grid(color=LIGHT_GREY)
    axes.set_axisbelow(True)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    hide_frame(axes)
    if logits is None:
        text = "no method is calibrated\non other populations"
        axes.text(0.5, 0.5, text, ha="center", va="center", color=DARK_GREY)
        return
    predicted, measured = from_logits(logits), test.target.preferences
    labels = np.array([one.preference.label for one in test.target.kept])
    for label, (colour, marker) in STYLES.items():
        these = labels == label
        axes.scatter(
            predicted[these],
            measured[these],
            s=42,
            color=colour,
            marker=marker,
            alpha=0.8,
            edgecolor=WHITE,
            linewidth=0.6,
        )


def _title(test: PopulationTest, method: str | None) -> str:
    target = test.target
    estimate = None if method is None else test.estimate(method)
    second = "" if estimate is None else f"\nby {method}\nrank correlation {estimate}"
    return f"{target.short_name}, {len(target.kept)} seeds of {target.family}{second}"
