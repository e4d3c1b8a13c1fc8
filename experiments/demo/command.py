"""The whole story on one agent: in training, when the sign moves, what can be read in it, and what steers it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import map_sites
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.common import plots
from goalmaze.experiments.demo.config import DemoConfig
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.evaluation import EvaluationReport, evaluate, evaluation_table
from goalmaze.experiments.probe.by_site import ProbeReport, probe
from goalmaze.experiments.retarget.comparison import EDIT, MOVED_CUE, NONE, RANDOM, RetargetReport, retarget
from goalmaze.experiments.retarget.task import draw_retargeting_task, make_fit_context
from goalmaze.probes.steering import find_method

METHOD = "mean-pattern"
PROBE_FIT_LEVELS = 1024
CANDIDATES = 256
FRAME = {"left": 0.02, "right": 0.98}
COLOURS = {"exit": "#0072b2", "sign": "#009e73", "target": "#cc79a7", "neither": plots.GREY}


@dataclasses.dataclass(frozen=True)
class Demo:
    """The four parts of the story and where its picture is."""

    agent: Agent
    trained: EvaluationReport
    shifted: EvaluationReport
    read: ProbeReport
    steered: RetargetReport
    picture: Path

    def json(self) -> dict[str, Any]:
        """Return the four parts as plain data."""
        return {
            "agent": self.agent.name,
            "trained": self.trained.json(),
            "shifted": self.shifted.json(),
            "read": self.read.json(),
            "retargeted": self.steered.json(),
            "picture": str(self.picture),
        }

    def text(self) -> str:
        """Return the story."""
        goal, cue = self.agent.family.goal, self.agent.family.cue
        trained, shifted = self.trained.agent, self.shifted.agent
        edit = self.steered.row(EDIT).outcomes.overall.other
        mark = self.steered.row(MOVED_CUE).outcomes.overall.other
        none = self.steered.row(NONE).outcomes.overall.other
        noise = self.steered.row(RANDOM).outcomes.overall.other
        site, method = self.steered.chosen
        return "\n".join(
            [
                f"1. Trained to reach the {goal}. In training the {goal} always carries a green {cue}.",
                f"   On {trained.header.levels} mazes it never saw, {self.agent.name} reaches the {goal} in "
                f"{trained.solved.value:.1%}. It looks aligned.",
                "",
                f"2. Move the {cue} away from the {goal}: what is reached first?",
                "",
                evaluation_table([shifted, *self.shifted.scripted_baselines]).text(),
                "",
                f"   Where neither lies on the way to the other, it goes to the {cue} in "
                f"{shifted.preference.value:.0%} [{shifted.preference.low:.0%}, {shifted.preference.high:.0%}].",
                f"   What it learned is not '{goal}' but 'green'.",
                "",
                "3. Read its activations: which cells does a linear probe find?",
                "",
                self.read.text(),
                "",
                "   Where a probe on the bare observation reads as well, the reading alone is no evidence of a goal.",
                "   The test is to write:",
                "",
                "4. Rewrite the goal: add the goal's pattern at a random cell, take it away at the real one.",
                "",
                self.steered.text(),
                "",
                f"   Edited at {site} ({method}), the agent goes to a cell that nothing in the maze marks in "
                f"{edit.value:.0%} of mazes;",
                f"   unedited in {none.value:.0%}, with noise of equal size in {noise.value:.0%}, with the {cue} "
                f"physically moved there in {mark.value:.0%}.",
                "",
                f"Picture: {self.picture}",
                f"Next: goalmaze live {self.agent.name}",
            ]
        )


def run(config: DemoConfig) -> Demo:
    """Run the four experiments on one agent and draw the picture.

    Raises:
        GoalmazeError: no such agent, or the picture cannot be written.
    """
    if not config.out.parent.is_dir():
        raise GoalmazeError(f"cannot write {config.out}: there is no folder {config.out.parent}; make it first")
    agent = load_agent(config.agent)
    maps = map_sites(agent.network)
    if not maps:
        raise GoalmazeError(f"{config.agent} has no maps of squares to draw: choose an agent of another network")
    sites = (maps[0], maps[len(maps) // 2], maps[-1])
    family = agent.family
    cells = (family.goal, family.cue)
    demo = Demo(
        agent,
        trained=evaluate(agent),
        shifted=evaluate(agent, shift=family.distinguishing_shift),
        read=probe(agent, cells, sites, fit_levels=PROBE_FIT_LEVELS),
        steered=retarget(agent, METHOD, sites=sites),
        picture=config.out,
    )
    plots.save_figure(draw(demo), config.out)
    return demo


def draw(demo: Demo) -> Figure:
    """Return the picture: three mazes above, three measurements below."""
    figure = Figure(figsize=(13.5, 9.8))
    mazes = figure.subplots(1, 3, gridspec_kw=FRAME | {"top": 0.86, "bottom": 0.5, "wspace": 0.08})
    charts = figure.subplots(1, 3, gridspec_kw=FRAME | {"top": 0.385, "bottom": 0.13, "left": 0.1, "wspace": 0.42})
    figure.suptitle(
        f"It reached the exit in {demo.trained.agent.solved.value:.0%} of mazes. What it was after was green.",
        fontsize=17,
        x=0.025,
        ha="left",
        fontweight="bold",
    )
    figure.text(
        0.025,
        0.922,
        f"{demo.agent.name}, {demo.trained.agent.header.levels} held-out mazes a bar; "
        "whiskers are 95 % intervals over mazes",
        fontsize=11,
        color="#555555",
    )
    _draw_mazes(mazes, demo.agent, demo.steered.chosen)
    levels = demo.agent.family.levels(0, np.arange(CANDIDATES))
    plots.maze_legend(figure, demo.agent.family, levels.present())
    _draw_shift(charts[0], demo)
    _draw_reading(charts[1], demo.read)
    _draw_steering(charts[2], demo.steered)
    return figure


def _draw_mazes(axes: Any, agent: Agent, chosen: tuple[str, str]) -> None:
    """Draw the first held-out maze that suits: in training, sign moved, goal rewritten.

    It suits where goal, moved cue and target are at least as many steps away as the maze has rows, and none lies in
    the way; what the agent does there has no say.
    """
    family = agent.family
    task = draw_retargeting_task(family, CANDIDATES, 0)
    parted = family.levels(0, np.arange(CANDIDATES), family.distinguishing_shift)
    cues = parted.cells(family.cue)
    from_start = distances(parted, parted.start)
    far = np.min([pick(from_start, cells) for cells in (task.goals, cues, task.targets)], axis=0) >= family.size
    apart = metrics.off_each_others_path(parted, task.goals, cues)
    aside = metrics.off_each_others_path(task.levels, task.goals, task.targets)
    b = int((far & apart & aside).argmax())
    pattern = find_method(chosen[1]).fit(make_fit_context(agent.policy, family, 512, 0), chosen[0])
    steered = task.rollout(agent.policy, task.edits(pattern))
    ways = [
        ("In training: the exit carries the sign", task.rollout(agent.policy), task.goals, ABSENT),
        ("Sign moved, same maze", rollout(agent.policy, parted), cues, ABSENT),
        (f"Goal rewritten at {chosen[0]}, maze untouched", steered, task.targets, int(task.targets[b])),
    ]
    for one, (title, trajectory, ends, target) in zip(axes, ways, strict=True):
        until = int(trajectory.first_visit(ends)[b])
        plots.draw_maze(one, trajectory, b, title, until=until, target=target)


def _draw_shift(axes: Any, demo: Demo) -> None:
    rows = {one.header.agent: one for one in (demo.shifted.agent, *demo.shifted.scripted_baselines)}
    plots.stacked_bars(
        axes,
        {name: (one.outcomes.goal, one.outcomes.other, one.outcomes.neither) for name, one in rows.items()},
        [(name, COLOURS[name]) for name in ("exit", "sign", "neither")],
        "Sign moved: who follows what",
    )


def _draw_reading(axes: Any, read: ProbeReport) -> None:
    cue = read.targets[-1]
    probes = read.of_target(cue)
    results = [one.result for one in probes]
    plots.points_with_intervals(
        axes,
        {
            f"probe reads the {cue}'s cell": ([one.score for one in results], "#0072b2", "o"),
            "same probe, observation only": ([one.observation for one in results], "#e69f00", "s"),
            "same probe, untrained network": ([one.untrained for one in results], plots.GREY, "^"),
            "writing that probe's direction steers": (
                [one.steered for one in probes if one.steered is not None],
                COLOURS["target"],
                "D",
            ),
        },
        [one.site for one in results],
        "Read or steer: a reading alone is no evidence",
    )


def _draw_steering(axes: Any, steered: RetargetReport) -> None:
    site, _ = steered.chosen
    conditions = {
        "no edit": NONE,
        f"noise at {site}": RANDOM,
        f"edit at {site}": EDIT,
        "sign moved\nphysically": MOVED_CUE,
    }
    parts = {label: steered.row(condition).outcomes.overall for label, condition in conditions.items()}
    plots.stacked_bars(
        axes,
        {label: (part.goal, part.other, part.neither) for label, part in parts.items()},
        [(name, COLOURS[name]) for name in ("exit", "target", "neither")],
        "Sent to a cell that nothing marks",
    )
