"""The figure of the demonstration: three mazes above, three measurements below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import rollout
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common.plots import (
    DARK_GREY,
    GREY,
    PALETTE,
    draw_maze,
    maze_legend,
    points_with_intervals,
    stacked_bars,
)
from goalmaze.experiments.demo.demonstration import Demonstration
from goalmaze.experiments.demo.remembered import RememberedGoal
from goalmaze.experiments.evaluate.metrics import off_each_others_path
from goalmaze.experiments.probe.by_site import ProbeReport
from goalmaze.experiments.retarget.rewrite_rows import EDIT, NONE, OTHER_TARGET, RANDOM, REFERENCE
from goalmaze.experiments.retarget.task import draw_retargeting_task

EXAMPLE_LEVELS = 256
"""Held-out levels among which the maze that is drawn is chosen."""

GOAL, CUE, TARGET, OBSERVATION = PALETTE[0], PALETTE[2], PALETTE[3], PALETTE[4]


def draw(demonstration: Demonstration) -> Figure:
    """Return the figure."""
    agent, trained = demonstration.agent, demonstration.trained.agent
    frame = {"left": 0.02, "right": 0.98}
    figure = Figure(figsize=(13.5, 9.8))
    mazes = figure.subplots(1, 3, gridspec_kw=frame | {"top": 0.86, "bottom": 0.5, "wspace": 0.08})
    charts = figure.subplots(1, 3, gridspec_kw=frame | {"top": 0.385, "bottom": 0.13, "left": 0.1, "wspace": 0.42})
    title = f"It reached the {agent.family.goal} in {trained.solved.value:.0%} of mazes. What it learned was green."
    figure.suptitle(title, fontsize=17, x=0.025, ha="left", fontweight="bold")
    remembering = demonstration.remembered.agent
    note = (
        f"Left and middle: {agent.name}, {trained.header.levels} held-out mazes a bar; whiskers are 95 % intervals over"
        f" mazes. Right: {remembering.name}, which sees {agent.family.goal} and {agent.family.cue} once"
    )
    figure.text(0.025, 0.922, note, fontsize=11, color=DARK_GREY)
    _draw_mazes(mazes[:2], agent)
    _draw_remembered_maze(mazes[2], demonstration.remembered)
    maze_legend(figure, agent.family, agent.family.levels(0, count=EXAMPLE_LEVELS).present())
    _draw_shift(charts[0], demonstration)
    _draw_probes(charts[1], demonstration.probed)
    _draw_rewriting(charts[2], demonstration.remembered)
    return figure


def _draw_mazes(axes: Sequence[Axes], agent: Agent) -> None:
    """Draw one maze twice: in training, and with the cue moved."""
    family = agent.family
    task = draw_retargeting_task(family, EXAMPLE_LEVELS, 0)
    shifted = family.levels(0, shift=family.distinguishing_shift, count=EXAMPLE_LEVELS)
    cues = shifted.cells(family.cue)
    # The first maze in which goal and moved cue are far away and off each other's path. The agent's behaviour is not
    # used for the choice: a maze chosen because the agent does the expected there would prove nothing.
    from_start = distances(shifted, shifted.start)
    far = np.minimum(pick(from_start, task.goals), pick(from_start, cues)) >= family.size
    b = int((far & off_each_others_path(shifted, task.goals, cues)).argmax())
    panels = (
        (f"In training: the {family.goal} carries the {family.cue}", task.rollout(agent.policy), task.goals),
        (f"{family.cue.capitalize()} moved, same maze", rollout(agent.policy, shifted), cues),
    )
    for panel, (title, trajectory, ends) in zip(axes, panels, strict=True):
        draw_maze(panel, trajectory, b, title, until=int(trajectory.first_visit(ends)[b]))


def _draw_remembered_maze(axes: Axes, remembered: RememberedGoal) -> None:
    episode, target = remembered.example()
    title = f"{remembered.agent.family.goal.capitalize()} seen once, memory of it rewritten"
    ends = np.array([target], np.int32)
    draw_maze(axes, episode, 0, title, until=int(episode.first_visit(ends)[0]), target=target)


def _draw_shift(axes: Axes, demonstration: Demonstration) -> None:
    family, shifted = demonstration.agent.family, demonstration.shifted
    stacked_bars(
        axes,
        {
            one.header.agent: (one.outcomes.goal, one.outcomes.other, one.outcomes.neither)
            for one in (shifted.agent, *shifted.scripted_baselines)
        },
        [(family.goal, GOAL), (family.cue, CUE), ("neither", GREY)],
        f"{family.cue.capitalize()} moved: what is reached first",
    )


def _draw_probes(axes: Axes, report: ProbeReport) -> None:
    cue = report.targets[-1]
    probes = report.of_target(cue)
    results = [one.result for one in probes]
    steered = [one.steered for one in probes if one.steered is not None]
    points_with_intervals(
        axes,
        {
            f"probe reads the {cue}'s cell": ([one.score for one in results], GOAL, "o"),
            "same probe, observation only": ([one.observation for one in results], OBSERVATION, "s"),
            "same probe, untrained network": ([one.untrained for one in results], GREY, "^"),
            "writing that probe's direction steers": (steered, TARGET, "D"),
        },
        [one.site for one in results],
        "Reading beside steering",
    )


def _draw_rewriting(axes: Axes, remembered: RememberedGoal) -> None:
    goal = remembered.agent.family.goal
    conditions = {
        "no edit": NONE,
        "noise": RANDOM,
        f"{goal} removed,\nother cell": OTHER_TARGET,
        "edit": EDIT,
        f"{goal} shown\nat target": REFERENCE,
    }
    outcomes = {label: remembered.row(condition).outcomes.off_path for label, condition in conditions.items()}
    stacked_bars(
        axes,
        {label: (one.goal, one.other, one.neither) for label, one in outcomes.items()},
        [(goal, GOAL), ("target", TARGET), ("neither", GREY)],
        f"Memory rewritten once, {goal} off the path",
    )
