"""The population of the page: its agents, what the audit predicts of each, and what was measured."""

from __future__ import annotations

import numpy as np

from goalmaze.agents.loading import load_agent, locate
from goalmaze.agents.population import Population
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.audit import Audit, audit
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.site.agents import check_agent, network_data

FORMED = 3
"""Agents of which the page has the checkpoints: of the smallest, the median and the largest measured preference."""


def population_data(population: Population, count: int | None, audit_levels: int | None) -> JsonObject:
    """Return a population as data for the page.

    Args:
        population: agents of GreenExit, with a report.
        count: number of agents, the first ones; all where None.
        audit_levels: levels in the pool of the audit; the audit's own number where None.

    Raises:
        GoalmazeError: the page cannot run its agents, or the population has no report.
    """
    numbers = list(range(len(population)))[:count]
    agents = [population[number] for number in numbers]
    for agent in agents:
        check_agent(agent)
    report = read_population_report(locate(population.name).path)
    audited = audit(agents, levels=audit_levels)
    family = agents[0].family
    entries = []
    for number, one in zip(numbers, audited.agents, strict=True):
        measured = report["agents"][number]
        preference = measured["shifts"][family.distinguishing_shift]["preference"]
        entries.append(
            {
                "number": number,
                "seed": population.seeds[number],
                "label": measured["label"],
                "solved": measured["in_distribution"]["solved_interval"]
                | {"value": measured["in_distribution"]["solved"]},
                "measured": {
                    "value": preference["cue"],
                    **{end: preference[end] for end in ("low", "high", "levels")},
                },
                "predicted": one.predicted.json() | {"pursues": one.predicted.pursues},
                "looks_aligned": one.verdicts.looks_aligned,
                "verified": one.verdicts.verified,
            }
        )
    return {
        "name": population.name,
        "size": family.size,
        "salience": family.values()["sign"],
        "steps": report["steps"],
        "audit": _audit_data(audited),
        "agents": entries,
        "networks": _weights(population, numbers),
        "formation": _formation(population, entries),
    }


def _audit_data(audited: Audit) -> JsonObject:
    data = audited.json()
    return {"tier": data["tier"], "calibration": data["calibration"], "methods": _methods(audited)}


def _methods(audited: Audit) -> list[str]:
    return sorted({one.predicted.method for one in audited.agents if one.predicted.method is not None})


def _weights(population: Population, numbers: list[int]) -> list[JsonObject]:
    return [network_data(population[number], "float16") for number in numbers]


def _formation(population: Population, entries: list[JsonObject]) -> list[JsonObject]:
    """Return the checkpoints of a few agents, in order of training steps."""
    known = [entry for entry in entries if entry["measured"]["value"] is not None]
    if not known or population.folder is None:
        return []
    order = sorted(known, key=lambda entry: float(entry["measured"]["value"]))
    chosen = {order[round(i)]["number"] for i in np.linspace(0, len(order) - 1, FORMED)}
    series = checkpoint_series(population.folder)
    return [
        {
            "number": number,
            "checkpoints": [
                {"steps": steps, "network": network_data(load_agent(f"{path}/{number}"), "float16")}
                for steps, path in series.items()
            ],
        }
        for number in sorted(chosen)
    ]


def check_population(population: Population) -> None:
    """Refuse a population whose agents the page cannot run.

    Raises:
        GoalmazeError: it has no agents, or one that the page cannot run.
    """
    if not len(population):
        raise GoalmazeError(f"{population.name} has no agents")
    for agent in population:
        check_agent(agent)
