"""The figures of `goalmaze plans`: plans on mazes tick by tick, their refinement, edits, and thinking longer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from goalmaze.envs.actions import MOVES
from goalmaze.experiments.common.plots import DARK_GREY, PALETTE, draw_maze, hide_frame, save_figures, series_style
from goalmaze.experiments.plans.report import PlanExamples, PlansReport
from goalmaze.probes.plans import NEVER_CLASS

DECODED_COLOUR = PALETTE[0]
PIXELS = 24
"""Pixels of a cell in `draw_maze`."""


def draw_plans(report: PlansReport, folder: Path) -> list[Path]:
    """Draw the figures of the parts that a report has into a folder and return the files."""
    figures: dict[str, Figure] = {}
    if report.examples is not None:
        figures["plans-by-tick"] = examples_figure(report.examples, report.header.agent)
        figures["plans-refined"] = refinement_figure(report)
    if report.edits:
        figures["plans-changed"] = edits_figure(report)
    if report.thinking:
        figures["plans-thinking"] = thinking_figure(report)
    return save_figures(figures, folder)


def examples_figure(examples: PlanExamples, agent: str) -> Figure:
    """Return a row for each maze and a column for each tick: the path taken, and the arrows that a probe decodes."""
    mazes = len(examples.trajectory.levels)
    ticks = sorted({*range(min(3, len(examples.decoded))), len(examples.decoded) - 1})
    figure = Figure(figsize=(2.6 * len(ticks), 2.75 * mazes + 0.6), layout="constrained")
    figure.suptitle(
        f"Plans decoded from layer {examples.layer} of {agent}", fontsize=13, x=0.01, ha="left", fontweight="bold"
    )
    panels = np.asarray(figure.subplots(mazes, len(ticks), squeeze=False))
    for row in range(mazes):
        for column, tick in enumerate(ticks):
            title = f"tick {tick + 1}" if row == 0 else ""
            axes = panels[row, column]
            draw_maze(axes, examples.trajectory, row, title, until=int(examples.trajectory.steps[row]))
            _arrows(axes, examples.decoded[tick][row], examples.trajectory.levels.width)
    return figure


def _arrows(axes: Axes, classes: NDArray[np.int64], width: int) -> None:
    """Draw an arrow into every square that is to be entered, in the direction of entering."""
    for cell in np.flatnonzero(classes != NEVER_CLASS):
        down, right = MOVES[classes[cell] - 1] * PIXELS * 0.36
        y, x = (np.array(divmod(int(cell), width)) + 0.5) * PIXELS - 0.5
        axes.annotate(
            "",
            (x + right, y + down),
            (x - right, y - down),
            arrowprops={"arrowstyle": "-|>", "color": DECODED_COLOUR, "linewidth": 1.6, "mutation_scale": 11},
            zorder=3,
        )


def refinement_figure(report: PlansReport) -> Figure:
    """Return a panel for each concept: macro-F1 of one probe along ticks, one line a layer."""
    concepts = list(dict.fromkeys(one.concept for one in report.refinements))
    figure = Figure(figsize=(3.6 * len(concepts), 3.6), layout="constrained")
    for axes, concept in zip(np.atleast_1d(figure.subplots(1, len(concepts))), concepts, strict=True):
        for index, one in enumerate(one for one in report.refinements if one.concept == concept):
            ticks, values = np.arange(1, 1 + len(one.scores)), [score.value for score in one.scores]
            axes.plot(ticks, values, label=f"layer {one.layer}", **series_style(index))
            axes.fill_between(
                ticks,
                [score.low for score in one.scores],
                [score.high for score in one.scores],
                color=series_style(index)["color"],
                alpha=0.15,
                linewidth=0,
            )
        baseline = next(one for one in report.readings if one.concept == concept and one.side == 1)
        axes.axhline(baseline.observation.value, color=DARK_GREY, linestyle="--", linewidth=1)
        axes.text(1, baseline.observation.value + 0.01, "observation", color=DARK_GREY, fontsize=8)
        axes.set_title(concept, fontsize=11, loc="left")
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("tick on the first observation")
        hide_frame(axes)
    figure.axes[0].set_ylabel("macro-F1, held-out mazes")
    figure.axes[0].legend(frameon=False, fontsize=9)
    return figure


def edits_figure(report: PlansReport) -> Figure:
    """Return the rate at which each condition sends the agent along the alternative route."""
    labels = [one.condition if one.concept is None else f"{one.condition}, {one.concept}" for one in report.edits]
    figure = Figure(figsize=(7.2, 1.2 + 0.32 * len(labels)), layout="constrained")
    axes = figure.subplots()
    for y, one in enumerate(report.edits):
        for rate, offset, index, name in ((one.taken, -0.12, 0, "taken"), (one.arrived, 0.12, 2, "arrived")):
            spread = [[rate.value - rate.low], [rate.high - rate.value]]
            axes.errorbar(
                [rate.value],
                [y + offset],
                xerr=spread,
                capsize=2,
                linestyle="",
                label={"taken": "takes the alternative", "arrived": "arrives at the goal"}[name] if y == 0 else None,
                **series_style(index),
            )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"rate of {report.edits[0].taken.levels} held-out mazes with a second, longer route")
    axes.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    hide_frame(axes)
    return figure


def thinking_figure(report: PlansReport) -> Figure:
    """Return the rate of levels solved by number of extra passes, one line a size."""
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for index, size in enumerate(dict.fromkeys(one.size for one in report.thinking)):
        rows = [one for one in report.thinking if one.size == size]
        values = [one.solved.value for one in rows]
        spread = [
            [one.solved.value - one.solved.low for one in rows],
            [one.solved.high - one.solved.value for one in rows],
        ]
        axes.errorbar(range(len(rows)), values, spread, capsize=2, label=f"{size}x{size}", **series_style(index))
        axes.set_xticks(range(len(rows)), [str(one.think) for one in rows])
    axes.set_xlabel("extra passes on the first observation")
    axes.set_ylabel("rate of levels solved")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=9)
    hide_frame(axes)
    return figure
