"""`goalmaze demo`: runs the demonstration and draws it."""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.plots import save_figure
from goalmaze.experiments.demo.config import DemoConfig
from goalmaze.experiments.demo.demonstration import Demonstration, demonstrate
from goalmaze.experiments.demo.figure import draw


def run(config: DemoConfig) -> Demonstration:
    """Run the demonstration and write its figure.

    Raises:
        GoalmazeError: no such agent, a network without maps of squares or without a memory, or a figure that cannot be
            written.
    """
    # Checked before the minute of work, not after it.
    if not config.out.parent.is_dir():
        raise GoalmazeError(f"cannot write {config.out}: there is no folder {config.out.parent}; make it first")
    demonstration = demonstrate(load_agent(config.agent), load_agent(config.remembering))
    save_figure(draw(demonstration), config.out)
    return dataclasses.replace(demonstration, picture=config.out)
