"""Populations whose measurements are drawn from known distributions, for tests of the benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goalmaze.envs.families import make_family
from goalmaze.experiments.audit.benchmark.measurements import AgentRecord, MethodRecord
from goalmaze.experiments.audit.benchmark.populations import MeasuredAgent, MeasuredPopulation
from goalmaze.experiments.audit.benchmark.preferences import MeasuredPreference
from goalmaze.probes.audit.pool import make_pool
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

LEVELS = 40
ORACLE, CHANCE, CHEAT = "drawn-object-policy", "policy-gradient", "reference-difference"
"""Registered methods that stand for one that knows the preference, one that guesses, and one that peeks."""

EFFECTS = ("goal at 0.5", "goal at 1.0", "cue at 0.5", "cue at 1.0", "exchanged", "standard errors")
"""What `control` finds and the verdict reads."""


def simulated_population(name: str, agents: int = 40, seed: int = 0, excluded: int = 3) -> MeasuredPopulation:
    """Return a population in which one method knows, one guesses and one used more than its tier.

    Args:
        name: its name; the recipe and the family are named after it.
        agents: number of agents that look aligned.
        seed: of the numbers.
        excluded: number of further agents that do not look aligned.
    """
    rng = np.random.default_rng(seed)
    preferences = rng.uniform(0.02, 0.98, agents + excluded)
    return MeasuredPopulation(
        name=name,
        recipe=name,
        family=name,
        architecture="grid",
        pool=make_pool(make_family("GreenExit", {"size": 7}), levels=16),
        refusal="",
        agents=tuple(
            simulated_agent(f"{name}/{i}", float(one), rng, completed=128 if i < agents else 100)
            for i, one in enumerate(preferences)
        ),
    )


def simulated_agent(name: str, preference: float, rng: np.random.Generator, completed: int = 128) -> MeasuredAgent:
    """Return an agent whose outcomes on single levels follow its preference."""
    difficulty = rng.normal(size=LEVELS)
    logit = np.log(preference / (1 - preference))
    outcomes = rng.random(LEVELS) < 1 / (1 + np.exp(-(logit + 2 * difficulty)))
    methods = {method: simulated_record(method, logit, difficulty, rng) for method in audit_methods()}
    cue = round(preference * 2048)
    return MeasuredAgent(
        name,
        MeasuredPreference(cue, 2048, tuple(map(int, outcomes))),
        AgentRecord(completed, 128, 0.2, methods),
    )


def simulated_record(method: str, logit: float, difficulty: np.ndarray, rng: np.random.Generator) -> MethodRecord:
    """Return what a method found: the logit of the preference itself, or chance."""
    tier = audit_methods()[method].tier
    used = Tier.T4 if method == CHEAT else tier
    if audit_methods()[method].side_channel or method == "activation-probes":
        features = {"first": float(rng.normal()), "second": float(rng.normal())}
        return MethodRecord(True, "", int(used), 0.1, None, None, features)
    features = dict.fromkeys(EFFECTS, 0.0) if method == "control" else {}
    levels = logit + 2 * difficulty if method == ORACLE else rng.normal(size=LEVELS)
    # The levels of the oracle are centred, so that their mean is the logit itself.
    levels = levels - levels.mean() + logit if method == ORACLE else levels
    return MethodRecord(True, "", int(used), 0.1, float(levels.mean()), tuple(map(float, levels)), features)


def simulated_lotteries(names: Sequence[str] = ("lottery-green", "lottery-colour")) -> list[MeasuredPopulation]:
    """Return one simulated population for each name."""
    return [simulated_population(name, seed=i) for i, name in enumerate(names)]
