"""The rows of `goalmaze bench eval` on a population: all agents at once, beside one after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.population import Population, load_population
from goalmaze.agents.population_files import save_population, stack_weights
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.evaluate.evaluation import evaluate
from goalmaze.experiments.evaluate.population import evaluate_population

AGENTS = (
    "green-exit",
    "green-exit-1",
    "green-exit-2",
    "green-exit-3",
    "green-exit-4",
    "green-exit-correlation50",
    "green-exit-correlation90",
    "green-exit-cue",
    "green-exit-cue-1",
    "green-exit-early",
    "green-exit-faint",
    "green-exit-faint-1",
    "green-exit-salience2",
    "green-exit-twin",
    "green-exit-twin-1",
)
"""Agents of the zoo with one network, which stand for the seeds of a population, repeated where there are more."""


def measure_population(agents: int, levels: int) -> JsonObject:
    """Return a row: a population evaluated at once, and each of its agents evaluated alone.

    Both give the same evaluations. Alone, every agent uses all of torch's threads, and levels and scripted baselines
    are made anew each time, as `goalmaze eval RUN/0`, `RUN/1`, … do; the start of a process is left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        population = _population(Path(folder), [AGENTS[number % len(AGENTS)] for number in range(agents)])
        shifts = (NO_SHIFT, population[0].family.distinguishing_shift)
        # Compiles kernels and warms up torch; on other levels than those measured.
        evaluate(population[0], levels=32, seed=1)
        begun = time.perf_counter()
        together = evaluate_population(population, levels=levels)
        seconds = time.perf_counter() - begun
        begun = time.perf_counter()
        for agent in population:
            for shift in shifts:
                evaluate(agent, shift=shift, levels=levels)
        one_by_one = time.perf_counter() - begun
    episodes = agents * levels * len(shifts)
    steps = sum(int(one.episodes.steps.sum()) for agent in together.agents for one in agent.evaluations)
    return {
        "agents": agents,
        "levels": levels * len(shifts),
        "size": population[0].family.size,
        "threads": torch.get_num_threads(),
        "seconds": seconds,
        "episodes_per_s": episodes / seconds,
        "steps_per_s": steps / seconds,
        "overhead": None,
        "one_by_one_seconds": one_by_one,
        "relative_seconds": seconds / one_by_one,
    }


def _population(folder: Path, names: Sequence[str]) -> Population:
    """Write agents of the zoo into a stacked checkpoint and load it."""
    loaded = {name: load_agent(f"zoo:{name}") for name in dict.fromkeys(names)}
    networks = [loaded[name].network for name in names]
    family = loaded[names[0]].family
    save_population(
        folder / CHECKPOINT,
        stack_weights(networks),
        networks[0],
        [family] * len(names),
        range(len(names)),
        [0] * len(names),
    )
    return load_population(str(folder))
