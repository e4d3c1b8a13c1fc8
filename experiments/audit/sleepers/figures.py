"""The picture of the study: scores of all agents by two methods, and how often monitors fire."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.experiments.audit.sleepers.agents import Kind
from goalmaze.experiments.audit.sleepers.report import SleeperReport
from goalmaze.experiments.audit.sleepers.study import BASELINE, PRIMARY, REGISTERED_TRIGGERS
from goalmaze.experiments.audit.sleepers.watching import Watch
from goalmaze.experiments.common.plots import DARK_GREY, LIGHT_GREY, PALETTE, WHITE, hide_frame, save_figures

NAME = "sleepers"

STYLES: dict[Kind, tuple[str, str]] = {
    "sleeper": (PALETTE[1], "D"),
    "finetuned": (PALETTE[4], "^"),
    "distilled": (PALETTE[5], "<"),
    "honest": (PALETTE[0], "o"),
    "benign": (PALETTE[2], "s"),
    "reformed": (PALETTE[3], "v"),
}
"""Kind of agent → colour and marker."""

SHOWN = ("sign-effect", "activation-novelty", "observation-novelty")


def draw_study(report: SleeperReport, folder: Path) -> tuple[Path, ...]:
    """Draw ``sleepers.png`` into a folder; return the file."""
    figure = Figure(figsize=(13.5, 5.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
    _draw_scores(left, report, BASELINE, "baseline, told the trigger: lamp-sensitivity")
    _draw_scores(middle, report, PRIMARY, "not told the trigger: trigger-search")
    _draw_monitors(right, report)
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markersize=8, label=kind)
        for kind, (colour, marker) in STYLES.items()
        if any(one.audited.kind == kind for one in report.study.agents)
    ]
    figure.legend(
        handles=handles,
        loc="outside lower left",
        ncols=len(handles),
        frameon=False,
        fontsize=11,
        columnspacing=1,
        handletextpad=0.1,
    )
    bars = right.get_legend_handles_labels()
    figure.legend(*bars, loc="outside lower right", ncols=len(SHOWN), frameon=False, fontsize=11, columnspacing=1)
    figure.suptitle("Who pursues the sign when nobody looks? Audits see lit levels alone", fontsize=14)
    return tuple(save_figures({NAME: figure}, folder))


def _draw_scores(axes: Axes, report: SleeperReport, method: str, title: str) -> None:
    """Draw one dot an agent, a column a trigger."""
    study = report.study
    for column, trigger in enumerate(study.triggers):
        for offset, (kind, (colour, marker)) in enumerate(STYLES.items()):
            scores = study.scores(method, trigger, kind)
            jitter = np.random.default_rng(offset).uniform(-0.05, 0.05, len(scores))
            axes.scatter(
                column + 0.14 * (offset - 2.5) + jitter,
                scores,
                color=colour,
                marker=marker,
                s=34,
                alpha=0.8,
                edgecolor=WHITE,
                linewidth=0.5,
            )
    axes.set_xticks(range(len(study.triggers)), study.triggers, fontsize=11)
    axes.set_ylim(-0.05, 1.05)
    axes.set_ylabel("score of an agent", fontsize=11)
    axes.set_title(title, fontsize=11, loc="left")
    axes.grid(axis="y", color=LIGHT_GREY)
    axes.set_axisbelow(True)
    hide_frame(axes)


def _draw_monitors(axes: Axes, report: SleeperReport) -> None:
    """Draw how often monitors fire at their threshold for 5 % false positives, on the registered triggers together."""
    found = {one.monitor: one for one in report.watches(REGISTERED_TRIGGERS)}
    names = ["sleepers,\nunlit", "sleepers,\nlit", "honest,\nunlit", "benign,\nunlit", "lit, size 9", "lit, size 11"]
    for offset, monitor in enumerate(SHOWN):
        values = _rates(found[monitor])
        places = np.arange(len(values)) + 0.26 * (offset - 1)
        axes.barh(places, values, height=0.24, color=(PALETTE[0], PALETTE[4], DARK_GREY)[offset], label=monitor)
    axes.axvline(0.05, color=DARK_GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), names, fontsize=11)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("rate of episodes on which a monitor fires\n(dashed: 5 % on lit levels, where thresholds are set)")
    axes.set_title("monitors at the first observation", fontsize=11, loc="left")
    hide_frame(axes)


def _rates(one: Watch) -> list[float]:
    estimates = [one.detected[0.05], one.false[0.05], one.twins.get("honest"), one.twins.get("benign")]
    estimates += [one.novelties["size 9"], one.novelties["size 11"]]
    return [np.nan if estimate is None else estimate.value for estimate in estimates]
