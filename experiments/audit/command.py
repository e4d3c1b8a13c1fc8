"""`goalmaze audit`: turns names into agents and audits them."""

from __future__ import annotations

from goalmaze.agents.loading import CHECKPOINT, Agent, load_agent, locate
from goalmaze.agents.population import is_population, load_population
from goalmaze.experiments.audit.audit import Audit, audit
from goalmaze.experiments.audit.config import AuditConfig


def run(config: AuditConfig) -> Audit:
    """Audit the agents that the options name.

    Raises:
        GoalmazeError: there is no such agent, or its family cannot be audited.
    """
    agents = [agent for name in config.agents for agent in agents_of(name)]
    return audit(agents, config.tier, levels=config.levels)


def agents_of(name: str) -> list[Agent]:
    """Return the agents of a name: of a population, of a folder of checkpoint files, or one.

    Raises:
        GoalmazeError: there is no such agent.
    """
    if is_population(name):
        return list(load_population(name))
    folder = locate(name).path
    if folder.is_dir() and not (folder / CHECKPOINT).exists():
        files = sorted(folder.glob("*.safetensors"))
        if files:
            return [agent for file in files for agent in agents_of(str(file))]
    return [load_agent(name)]
