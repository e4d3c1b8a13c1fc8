"""Agents of the zoo written as a population, for tests that need agents which behave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.population_files import save_population, stack_weights

GREEN_EXIT = ("green-exit", "green-exit-1", "green-exit-2", "green-exit-3", "green-exit-faint", "green-exit-twin")


def make_population(folder: Path, names: Sequence[str] = GREEN_EXIT) -> Path:
    """Write agents of one network into the run folder of a population, as seeds 0, 1, 2, ... of one recipe."""
    agents = [load_agent(f"zoo:{name}") for name in names]
    networks = [agent.network for agent in agents]
    families = [agents[0].family] * len(agents)
    folder.mkdir(parents=True)
    save_population(
        folder / CHECKPOINT,
        stack_weights(networks),
        networks[0],
        families,
        range(len(agents)),
        [agent.header.steps if agent.header else 0 for agent in agents],
    )
    return folder
