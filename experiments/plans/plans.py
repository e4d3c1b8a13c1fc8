"""Whether an agent plans, as far as probes, edits and thinking longer can show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from goalmaze.agents.loading import Agent
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.plans.config import PARTS
from goalmaze.experiments.plans.readings import PlanData, PlanReadings, gather_plan_data, read_plans
from goalmaze.experiments.plans.report import PlanExamples, PlansReport
from goalmaze.experiments.plans.rerouting import reroute
from goalmaze.experiments.plans.thinking import think_longer
from goalmaze.probes.plans import APPROACHES, planning_network

EXAMPLES, AMONG = 3, 64
"""Number of mazes whose plans are drawn, those with the longest paths among the first ones."""

LARGER = (0, 2, 4, 6)
"""Rows and columns by which the mazes exceed the agent's own size where sizes are not given."""


def plans(
    agent: Agent,
    *,
    size: int | None = None,
    levels: int = 512,
    fit_levels: int = 256,
    passes: int = 5,
    think: Sequence[int] = (0, 1, 2, 4, 8),
    sizes: Sequence[int] = (),
    parts: Sequence[str] = PARTS,
    seed: int = 0,
) -> PlansReport:
    """Read an agent's plans on every square, change them by edits, and let the agent think longer.

    Args:
        agent: an agent with network drc.
        size: rows and columns of the mazes in which plans are read and changed; the agent's own where not given.
        levels: number of held-out evaluation levels; probes were fitted on none of their walls.
        fit_levels: number of levels that probes are fitted on, and that edits are selected on.
        passes: number of forward passes on the first observation along whose ticks plans are read.
        think: numbers of extra passes before the first action.
        sizes: of the mazes in which the agent thinks; its own, and 2, 4 and 6 more, where not given.
        parts: some of "readings", "edits" and "thinking".
        seed: of levels, untrained network, shuffled labels and random directions. Actions are the likeliest ones.

    Raises:
        GoalmazeError: the network has no ticks, there are too few mazes with other walls, or none has a second route.

    Example:
        >>> import goalmaze as gm
        >>> from goalmaze.agents.networks import make_network
        >>> from goalmaze.agents.networks.base import Shape
        >>> family = gm.family("GreenExit", size=7)
        >>> network = make_network("drc", Shape((4, 7, 7), 4), {"channels": 4, "layers": 1, "ticks": 1})
        >>> report = gm.plans(gm.Agent(network, family), levels=8, think=[1], sizes=[7], parts=["thinking"])
        >>> [row.think for row in report.thinking]
        [0, 1]
    """
    network = planning_network(agent.network)
    family = agent.family.resized(size)
    splits = gather_plan_data(agent, family=family, levels=levels, fit_levels=fit_levels, passes=passes, seed=seed)
    wanted = "readings" in parts or "edits" in parts
    readings = read_plans(splits, network.options.ticks, seed) if wanted else None
    rows = reroute(agent, splits, readings.probes, seed) if readings is not None and "edits" in parts else []
    chosen = list(sizes) or [agent.family.size + more for more in LARGER]
    thinking = think_longer(agent, think, chosen, levels=levels, seed=seed) if "thinking" in parts else []
    shown = readings if "readings" in parts else None
    examples = None if shown is None else _examples(splits.evaluation, shown)
    return PlansReport(
        ResultHeader(agent.name, family.name, family.size, levels, seed),
        fit_levels,
        quick_overlap(agent, splits.evaluation.levels),
        () if shown is None else shown.readings,
        () if shown is None else shown.refinements,
        tuple(rows),
        tuple(thinking),
        examples=examples,
    )


def _examples(data: PlanData, readings: PlanReadings) -> PlanExamples:
    """Return the plans that the best probe of single squares decodes in mazes with long paths."""
    best = max((one for one in readings.refinements if one.concept == APPROACHES), key=lambda one: one.scores[-1].value)
    probe = readings.probes[APPROACHES, best.layer - 1]
    first = data.trajectory.steps[:AMONG]
    # A longest path shows most; episodes that reach the time limit are no plans.
    order = sorted(map(int, np.flatnonzero(data.trajectory.terminated[:AMONG])), key=lambda row: -int(first[row]))[
        :EXAMPLES
    ]
    rows = np.sort(np.asarray(order or [0]))
    part = dataclasses.replace(
        data.trajectory,
        levels=data.levels.take(rows),
        agent=data.trajectory.agent[:, rows],
        steps=data.trajectory.steps[rows],
    )
    decoded = [probe(tick[best.layer - 1][torch.from_numpy(rows)]).numpy() for tick in data.trained]
    return PlanExamples(part, decoded, best.layer)
