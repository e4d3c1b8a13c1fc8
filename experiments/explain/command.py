"""`goalmaze explain`: from its options to explanations of units."""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.explain.config import ExplainConfig
from goalmaze.experiments.explain.units import explain_units


def run(config: ExplainConfig) -> Result:
    """Explain what the options ask for.

    Raises:
        GoalmazeError: an agent or a site is unknown, or the folder of figures cannot be made.
    """
    agent = load_agent(config.agent)
    if config.figures is not None:
        make_folder(config.figures, "--figures")
    report = explain_units(agent, config.sites, levels=config.levels, fit_levels=config.fit_levels, seed=config.seed)
    if config.figures is None:
        return report
    # matplotlib is slow to import, and only figures need it.
    from goalmaze.experiments.explain.unit_figures import draw_units

    return dataclasses.replace(report, pictures=tuple(draw_units(agent, report, config.figures)))
