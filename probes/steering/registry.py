"""Steering methods by name. A file in this folder is found because it is there, another once it is imported."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.steering.base import SteeringMethod, named_methods

FORMER_NAMES = {"alignment-search": "das", "sparse-features": "sae"}


def steering_methods() -> dict[str, SteeringMethod]:
    """Return every steering method by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> "mean-pattern" in gm.steering_methods()
        True
    """
    _import_all()
    return {method.name: method() for method in named_methods()}


def find_method(name: str) -> SteeringMethod:
    """Return the steering method called `name`.

    Raises:
        GoalmazeError: there is none.
    """
    methods = steering_methods()
    if name in FORMER_NAMES and name not in methods:
        raise GoalmazeError(f"unknown steering method '{name}' (it is now called '{FORMER_NAMES[name]}')")
    if name not in methods:
        raise unknown("steering method", name, methods)
    return methods[name]


def fit_edit(
    agent: Agent | NetworkPolicy, method: str | SteeringMethod, site: str, levels: LevelBatch, seed: int = 0
) -> FittedEdit:
    """Fit an edit that moves the goal of an agent.

    Args:
        agent: an agent, or the policy of a network.
        method: a steering method or its name, one of `steering_methods`.
        site: name of the site to edit.
        levels: the fitting levels, with goal and cue on one cell. Evaluate on others.
        seed: of everything that the method draws.

    Returns:
        A fitted edit. Its `edits(GoalMove.on(levels, targets))` move the goal in any levels.

    Raises:
        GoalmazeError: there is no such method or site, or the method does not work at the site.
    """
    policy = agent if isinstance(agent, NetworkPolicy) else agent.policy
    chosen = find_method(method) if isinstance(method, str) else method
    find_site(policy.network, site)
    if not chosen.suits(policy.network, site):
        maps = ", ".join(map_sites(policy.network)) or "this network has none"
        raise GoalmazeError(f"method '{chosen.name}' needs a map of squares, site '{site}' is none; maps: {maps}")
    return chosen.fit(FitContext(policy, levels, seed), site)


@functools.cache
def _import_all() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{package}.{module.name}")
