"""`goalmaze plans`: turns its options into the experiment, and draws its figures."""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.plans.config import PARTS, PlansConfig
from goalmaze.experiments.plans.plans import plans
from goalmaze.experiments.plans.report import PlansReport
from goalmaze.probes.plans import planning_network


def run(config: PlansConfig) -> PlansReport:
    """Read, change and refine the plans of an agent.

    Raises:
        GoalmazeError: the agent cannot be used, its network has no ticks, or there are too few suitable mazes.
    """
    agent = load_agent(config.agent, config.device)
    planning_network(agent.network)  # refused before the folder is made
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    report = plans(
        agent,
        size=config.size,
        levels=config.levels,
        fit_levels=config.fit_levels,
        passes=config.passes,
        think=config.think,
        sizes=config.sizes,
        parts=[part for part in PARTS if part not in config.skip],
        seed=config.seed,
    )
    if config.figures is None:
        return report
    # matplotlib is slow to import, and only figures need it.
    from goalmaze.experiments.plans.figures import draw_plans

    return dataclasses.replace(report, pictures=tuple(draw_plans(report, config.figures)))
