"""The level of a card that its reader can open in the page."""

from __future__ import annotations

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.card.document import Example
from goalmaze.experiments.evaluate.metrics import off_each_others_path
from goalmaze.experiments.live.links import check_page, level_link
from goalmaze.experiments.site.agents import runs_on_page

POOL = 256
"""Evaluation levels among which the first is chosen on which behaviour tells goal and cue apart."""


def check_example(agent: Agent, page: str) -> None:
    """Refuse a page that a card of an agent cannot link to.

    Raises:
        GoalmazeError: the address is none, or the page cannot run the agent.
    """
    check_page(page)
    if not runs_on_page(agent):
        raise GoalmazeError(f"--page: the page cannot run {agent.name}; leave it out, or see goalmaze site --help")


def example_of(agent: Agent, page: str, name: str, seed: int) -> Example:
    """Return the first evaluation level of the distinguishing shift with neither goal nor cue on the path to the other.

    Args:
        agent: one that the page can run.
        page: address of the page.
        name: of the agent, on the card.
        seed: of the levels.

    Raises:
        GoalmazeError: see `check_example`.
    """
    check_example(agent, page)
    family = agent.family
    levels = family.levels(seed, count=POOL, shift=family.distinguishing_shift)
    clear = off_each_others_path(levels, levels.cells(family.goal), levels.cells(family.cue))
    level = int(np.flatnonzero(clear)[0])
    shift = family.distinguishing_shift
    return Example(page, shift, level, level_link(page, name, levels, level, shift=shift, seed=seed))
