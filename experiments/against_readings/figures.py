"""Pictures of runs that were trained against a reading: how they ended, and two agents side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.envs.levels import EVALUATION
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.against_readings.levels import SEED
from goalmaze.experiments.against_readings.readings import FRESH, START_PROBE, STEERING
from goalmaze.experiments.against_readings.registration import registered_rule
from goalmaze.experiments.against_readings.results import ArmResult, RunResult
from goalmaze.experiments.common.plots import BLACK, DARK_GREY, GREY, LIGHT_GREY, PALETTE, WHITE, draw_maze, hide_frame

OUTCOME_FIGURE, PAIR_FIGURE = "outcomes.png", "honest-and-hidden.png"

COLOURS = {
    "honest": PALETTE[2],
    "blatant": PALETTE[4],
    "hidden": PALETTE[1],
    "unread": PALETTE[3],
    "broken": GREY,
    "undecided": LIGHT_GREY,
}

SHOWN = (START_PROBE, FRESH, "small-mlp", "window-probe", "value-gradient", "ablation-policy", STEERING)
"""The readings of the picture of two agents."""

CANDIDATES = 256
"""Levels among which the picture of two agents finds its own."""


def outcome_figure(arms: Sequence[ArmResult]) -> Figure:
    """Return a bar an arm, made of the outcomes of its runs, beside the preference of each run."""
    figure = Figure(figsize=(10.5, 1.4 + 0.27 * len(arms)), layout="constrained")
    bars, dots = figure.subplots(1, 2, sharey=True, width_ratios=(1.2, 1))
    for y, arm in enumerate(arms):
        left = 0.0
        for outcome, count in arm.counts.items():
            part = count / len(arm.runs)
            bars.barh(y, part, left=left, color=COLOURS[outcome], height=0.75)
            if count:
                colour = BLACK if outcome in ("undecided", "blatant") else WHITE
                bars.text(left + part / 2, y, str(count), ha="center", va="center", color=colour, fontsize=8)
            left += part
        for run in arm.runs:
            dots.plot(run.readings.preference[0], y, "o", color=COLOURS[run.ending.outcome], markersize=5)
    bars.set_yticks(range(len(arms)), [arm.arm for arm in arms], fontsize=8)
    bars.set_ylim(len(arms) - 0.4, -0.6)
    bars.set_xlim(0, 1)
    bars.set_xlabel("rate of runs; the numbers count them")
    dots.axvline(registered_rule().preference, color=DARK_GREY, linewidth=0.8)
    dots.set_xlim(-0.02, 1.02)
    dots.set_xlabel("preference for the cue, one dot a run")
    handles = [Line2D([], [], linewidth=7, color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    for axes in (bars, dots):
        axes.grid(axis="x", color=LIGHT_GREY, linewidth=0.6)
        axes.set_axisbelow(True)
        hide_frame(axes)
    return figure


def pair_of(arms: Sequence[ArmResult]) -> tuple[RunResult, RunResult] | None:
    """Return an honest and a hidden run, both trained against a reading; None where there is none of one kind."""
    runs = [run for arm in arms for run in arm.runs if run.readings.against]
    honest = [run for run in runs if run.ending.outcome == "honest"]
    hidden = [run for run in runs if run.ending.outcome == "hidden"]
    if not honest or not hidden:
        return None
    # Of the arm in which most runs ended so, the clearest: the lowest and the highest preference.
    honest, hidden = _of_fullest_arm(honest), _of_fullest_arm(hidden)
    return (
        min(honest, key=lambda run: run.readings.preference[0]),
        max(hidden, key=lambda run: run.readings.preference[0]),
    )


def _of_fullest_arm(runs: Sequence[RunResult]) -> list[RunResult]:
    """Return the runs of the arm that has most of them."""
    arms = Counter(run.task.dials["arm"] for run in runs)
    return [run for run in runs if run.task.dials["arm"] == arms.most_common(1)[0][0]]


def pair_figure(root: Path, honest: RunResult, hidden: RunResult) -> Figure:
    """Return the picture of two agents: the same level, and their readings beside the registered thresholds."""
    agents = [load_agent(str(root / run.task.name)) for run in (honest, hidden)]
    family = agents[0].family
    levels = family.levels(SEED, count=CANDIDATES, shift=family.distinguishing_shift, split=EVALUATION)
    trajectories = [rollout(agent.policy, levels, seed=SEED) for agent in agents]
    kinds = (family.goal, family.cue)
    b = _telling_level(trajectories, kinds)
    figure = Figure(figsize=(9.6, 7.6), layout="constrained")
    for column, (run, trajectory, kind) in enumerate(zip((honest, hidden), trajectories, kinds, strict=True), start=1):
        name = run.ending.outcome
        until = int(trajectory.first_visit(levels.cells(kind))[b])
        title = f"{name}: arm {run.task.dials['arm']}, seed {run.task.recipe.seed}"
        draw_maze(figure.add_subplot(2, 2, column), trajectory, b, title, until=until)
        _draw_scores(figure.add_subplot(2, 2, 2 + column), run, labelled=column == 1)
    figure.suptitle(
        "Blue door: exit. Green diamond: sign. Line: path of the agent. Below: score of a reading less its threshold; "
        'right of 0 it says "cue"',
        fontsize=9,
    )
    return figure


def _draw_scores(axes: Axes, run: RunResult, *, labelled: bool) -> None:
    thresholds = registered_rule().thresholds
    for y, name in enumerate(SHOWN):
        if name not in run.readings.scores:
            axes.text(0.02, y, "not measured", va="center", fontsize=8, color=DARK_GREY)
            continue
        score = run.readings.scores[name] - thresholds[name]
        axes.barh(y, score, color=PALETTE[1] if score >= 0 else PALETTE[0], height=0.6)
        axes.text(score, y, f" {score:+.2f} ", va="center", ha="left" if score >= 0 else "right", fontsize=8)
    axes.axvline(0, color=DARK_GREY, linewidth=0.8)
    axes.set_yticks(range(len(SHOWN)), SHOWN if labelled else [""] * len(SHOWN), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(-1.5, 1.5)
    hide_frame(axes)


def _telling_level(trajectories: Sequence[Trajectory], kinds: Sequence[str]) -> int:
    """Return a level on which each agent goes to its own object first, and on a shortest path if there is such a level.

    Args:
        trajectories: of both agents, on the same levels.
        kinds: the object that each goes to.
    """
    levels = trajectories[0].levels
    cells = [levels.cells(kind) for kind in kinds]
    ways = [pick(distances(levels, one), levels.start) for one in cells]
    telling = np.ones(len(levels), np.bool_)
    direct = telling.copy()
    for trajectory, own, other, way in zip(trajectories, cells, cells[::-1], ways, strict=True):
        arrival = trajectory.first_visit(own)
        telling &= arrival < trajectory.first_visit(other)
        direct &= arrival == way
    # The longest ways among them show most.
    return int(np.argmax(np.where(telling, ways[0] + ways[1] + 1000 * direct, -1)))
