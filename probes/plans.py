"""Plans: what an agent will do on each square, and the maps of a network along its ticks, in which it may plan.

The concepts are those of Bush et al., "Interpreting Emergent Planning in Model-Free Reinforcement Learning" (ICLR
2025): the direction in which the agent will step onto a square ("Agent Approach Direction") and the one in which it
will leave it, as boxes do in their "Box Push Direction".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.networks.base import Network, device_of
from goalmaze.agents.networks.drc import DRCNetwork
from goalmaze.agents.policies import Observations
from goalmaze.agents.rollout import Trajectory
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.probes.activations import captured
from goalmaze.probes.labels import LEAVES, ROUTE, Labels, departures

APPROACHES = "approaches"
"""The concept of the direction in which the agent first steps onto a square."""

PLAN_CONCEPTS = (APPROACHES, LEAVES, ROUTE)

NEVER_CLASS = 0
"""The class of squares that the agent does not enter; direction a of `ACTIONS` is class 1 + a."""

BATCH = 512
"""Levels in one forward pass, which bounds the memory of their maps."""


def planning_network(network: Network) -> DRCNetwork:
    """Return the network if it runs several ticks a step on maps of the maze.

    Raises:
        GoalmazeError: it does not.
    """
    if not isinstance(network, DRCNetwork) or network.shape.spec.mode == "crop":
        raise GoalmazeError(
            f"plans are read along the ticks of network drc on maps of the maze, and this network is {network.name}"
            f" in mode {network.shape.spec.mode}: choose another agent, or goalmaze probe --targets route leaves"
        )
    return network


def plan_labels(trajectory: Trajectory) -> dict[str, Labels]:
    """Return the labels of `PLAN_CONCEPTS`, one class for each square of B levels.

    Args:
        trajectory: the episodes of the agent.
    """
    left, entered = departures(trajectory), _arrivals(trajectory)
    return {
        APPROACHES: Labels(APPROACHES, "squares", entered, ("never", *ACTIONS)),
        LEAVES: Labels(LEAVES, "squares", left.clamp(min=0), ("never", *ACTIONS, "stays")),
        ROUTE: Labels(ROUTE, "squares", (left >= 0).long(), ("off", "on")),
    }


def _arrivals(trajectory: Trajectory) -> Tensor:
    """Return int64 [B, H*W], how the agent first enters a square: 1 to 4 as `ACTIONS`, 0 where it does not."""
    levels = trajectory.levels
    result = np.zeros((len(levels), levels.height * levels.width), np.int64)
    rows = np.arange(len(levels))
    # From the last step back, so that the first arrival overwrites later ones.
    for step in reversed(range(len(trajectory.actions))):
        moved = trajectory.agent[step] != trajectory.agent[step + 1]
        result[rows[moved], trajectory.agent[step + 1, moved]] = 1 + trajectory.actions[step, moved]
    return torch.from_numpy(result)


def read_ticks(network: DRCNetwork, observations: Observations, passes: int) -> list[list[Tensor]]:
    """Return the cell states along the ticks of some passes on first observations: tick → layer → [N, C, H, W].

    Args:
        network: the network.
        observations: uint8 [N, C, H, W].
        passes: number of forward passes on each observation; the memory goes on from one to the next.
    """
    ticks, layers = network.options.ticks, network.options.layers
    sites = [network.tick_sites(tick) for tick in range(1, ticks + 1)]
    parts: list[list[list[Tensor]]] = [[[] for _ in range(layers)] for _ in range(passes * ticks)]
    flat = [site for tick in sites for site in tick]
    with torch.inference_mode(), captured(network, flat) as latest:
        for part in torch.split(torch.from_numpy(observations), BATCH):
            part = part.to(device_of(network))
            memory = network.initial_memory(len(part), tuple(part.shape[1:]))
            for number in range(passes):
                _, _, memory = network.step(part, memory)
                for tick, names in enumerate(sites):
                    for layer, name in enumerate(names):
                        parts[number * ticks + tick][layer].append(latest[name])
    return [[torch.cat(maps) for maps in tick] for tick in parts]
