"""Fitting an edit from an agent and levels, the entry of the Python API."""

from __future__ import annotations

import dataclasses

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.steering.base import SteeringMethod
from goalmaze.probes.steering.registry import find_method


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
        A fitted edit, which carries the name of its method. Its `edits(GoalMove.on(levels, targets))` move the goal in
        any levels.

    Raises:
        GoalmazeError: there is no such method or site, or the method does not work at the site.
    """
    policy = agent if isinstance(agent, NetworkPolicy) else agent.policy
    chosen = find_method(method) if isinstance(method, str) else method
    find_site(policy.network, site)
    if not chosen.suits(policy.network, site):
        maps = ", ".join(map_sites(policy.network)) or "this network has none"
        raise GoalmazeError(f"method '{chosen.name}' needs a map of squares, site '{site}' is none; maps: {maps}")
    return fit_method(chosen, FitContext(policy, levels, seed), site)


def fit_method(method: SteeringMethod, context: FitContext, site: str) -> FittedEdit:
    """Return what a method fits at a site, with the name of the method on it."""
    return dataclasses.replace(method.fit(context, site), method=method.name)
