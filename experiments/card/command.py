"""`goalmaze card`: writes the card of an agent."""

from __future__ import annotations

import shlex

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import load_agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.card.card import Card, card
from goalmaze.experiments.card.config import CardConfig
from goalmaze.experiments.card.policy import load_policy
from goalmaze.experiments.card.render import rendered


def run(config: CardConfig) -> Card:
    """Write the card of an agent.

    Raises:
        GoalmazeError: the policy or the agent cannot be used, or the file cannot be written.
    """
    policy = load_policy(config.policy)
    if not config.out.resolve().parent.is_dir():
        raise GoalmazeError(f"--out {config.out}: there is no folder {config.out.parent}; make it first")
    words = ["goalmaze", "card", config.agent, "--out", str(config.out)]
    if config.policy is not None:
        words += ["--policy", str(config.policy)]
    if config.auditor != CardConfig.auditor:
        words += ["--auditor", config.auditor]
    if config.page:
        words += ["--page", config.page]
    agent = load_agent(config.agent)
    made = card(agent, policy, auditor=config.auditor, command=shlex.join(words), page=config.page)
    write_atomically(config.out, rendered(made.data, config.out.suffix).encode())
    return made
