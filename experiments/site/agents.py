"""Agents as data for the page: weights, goal patterns, and probes with their scores."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.grid import GridNetwork, GridOptions
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.sleeper import Sleeper
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.experiments.page.headings import HeadingProbe, fit_heading_probes
from goalmaze.experiments.retarget.task import make_fit_context
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering.mean_pattern import MeanPatternMethod

EDITED_SITES = ("stem", "block1", "block2", "block4")
"""Sites whose goal patterns are written."""

PLANES = {
    "GreenExit": ("wall", "agent", "exit", "sign"),
    "Sleeper": ("wall", "agent", "exit", "sign", "lamp"),
}
"""Families whose rules the page has, with the planes of their observations."""

FIT_LEVELS = 256
"""Fitting levels of the goal patterns."""


def encoded(values: ArrayLike, dtype: str = "float32") -> JsonObject:
    """Return numbers as base64 of their little-endian bytes, with the type and the shape."""
    array = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<"))
    return {"type": dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def check_agent(agent: Agent) -> None:
    """Refuse an agent that the page cannot run.

    Raises:
        GoalmazeError: it is of another family or network, or observes other planes than `PLANES`.
    """
    network, family = agent.network, agent.family
    if family.plane_names != PLANES.get(family.name) or (isinstance(family, Sleeper) and family.benign):
        raise GoalmazeError(
            f"{agent.name}: the page runs agents of GreenExit without planes of shapes, and of Sleeper with a lamp; "
            "choose another"
        )
    if not isinstance(network, GridNetwork) or network.shape.spec.mode != "planes" or network.options.readout != "cell":
        raise GoalmazeError(f"{agent.name}: the page runs networks 'grid' that read out one cell of planes")
    if network.options.channels % 4 or network.options.blocks > 10:
        raise GoalmazeError(f"{agent.name}: the page runs networks of at most 10 blocks, with channels a multiple of 4")


def runs_on_page(agent: Agent) -> bool:
    """Return whether the page can run an agent."""
    try:
        check_agent(agent)
    except GoalmazeError:
        return False
    return True


def network_data(agent: Agent, dtype: str = "float32") -> JsonObject:
    """Return the options and weights of an agent's network; all tensors behind each other, in a fixed order.

    Args:
        agent: one for which `check_agent` raises nothing.
        dtype: "float32", or "float16" where the weights are exact in it.

    Raises:
        GoalmazeError: a weight is not exact in float16.
    """
    options = cast(GridOptions, agent.network.options)
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in agent.network.state_dict().items()}
    flat = np.concatenate([tensor.ravel() for tensor in tensors.values()])
    if dtype == "float16" and not np.array_equal(flat.astype(np.float16).astype(np.float32), flat):
        raise GoalmazeError(f"{agent.name}: its weights are not exact in half precision; write them as float32")
    return {
        "options": {
            "planes": agent.network.shape.planes,
            "channels": options.channels,
            "blocks": options.blocks,
            "hidden": options.hidden,
        },
        "tensors": [[name, list(tensor.shape)] for name, tensor in tensors.items()],
        "weights": encoded(flat, dtype),
    }


def agent_data(agent: Agent, *, sites: Sequence[str] = EDITED_SITES, probes: bool = True) -> JsonObject:
    """Return what the page needs to run, edit and read an agent.

    Args:
        agent: one for which `check_agent` raises nothing.
        sites: sites whose goal patterns are fitted.
        probes: whether probes for where the agent is heading are fitted at every map.
    """
    family = agent.family
    data = {
        "name": agent.name,
        "size": family.size,
        "salience": family.values().get("sign", 1),
        "rules": rules_name(family),
        "network": network_data(agent),
        "patterns": [],
        "probes": [],
    }
    if sites:
        context = make_fit_context(agent.policy, family, FIT_LEVELS, seed=0)
        data["patterns"] = [pattern_data(MeanPatternMethod().fit(context, site)) for site in sites]
    if probes:
        fitted = fit_heading_probes(agent, family, map_sites(agent.network))
        data["probes"] = [_probe_data(site, probe) for site, probe in fitted.items()]
    return data


def rules_name(family: Family) -> str:
    """Return the name of the rules of a family on the page."""
    return "HonestSleeper" if isinstance(family, Sleeper) and family.honest else family.name


def pattern_data(fitted: GoalPattern) -> JsonObject:
    """Return a goal pattern, channels last, without the zeros around it."""
    pattern = fitted.at_target.numpy().transpose(1, 2, 0)
    middle = pattern.shape[0] // 2
    there = np.argwhere(pattern.any(axis=2))
    reach = int(np.abs(there - middle).max()) if len(there) else 0
    rows = slice(middle - reach, middle + reach + 1)
    return {"site": fitted.site, "rectified": fitted.rectified, "pattern": encoded(pattern[rows, rows])}


def _probe_data(site: str, probe: HeadingProbe) -> JsonObject:
    return {"site": site, "direction": encoded(probe.probe.direction.numpy()), **probe.json()}
