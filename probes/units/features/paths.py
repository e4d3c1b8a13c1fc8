"""How far an object is along the maze, and with which step a shortest path to it begins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from goalmaze.envs.actions import ACTIONS, MOVES
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.objects import AGENT
from goalmaze.envs.solving import pick
from goalmaze.probes.units.library import Feature
from goalmaze.probes.units.states import MazeStates, reachable

DISCOUNTS = (0.9, 0.7)
NEAR = (2, 4, 8)
"""Steps within which an object is near."""


def features(states: MazeStates) -> Iterator[Feature]:
    """Yield steps, discounted nearness, "within 4 steps", the first step of a shortest path, and squares on one."""
    size = float(max(states.shape[1:]))
    for name, steps in states.steps.items():
        on_a_path = reachable(steps)
        capped = np.where(on_a_path, steps, 0).astype(np.float32)
        yield Feature(f"steps to the {name}", np.minimum(capped / (4 * size), 1).astype(np.float32))
        for discount in DISCOUNTS:
            yield Feature(f"{discount}^steps to the {name}", (on_a_path * discount**capped).astype(np.float32))
        for near in NEAR:
            yield Feature(f"{name} within {near} steps", (on_a_path & (steps <= near)).astype(np.float32))
        yield from _first_steps(states, name)
        if name not in (AGENT, states.either):
            through = states.steps[AGENT].astype(np.int64) + steps
            whole = pick(steps, states.levels.start)
            on = (through == whole[:, None]) & (whole < UNREACHABLE)[:, None]
            yield Feature(f"on a shortest path of the agent to the {name}", on.astype(np.float32), gate=True)


def _first_steps(states: MazeStates, name: str) -> Iterator[Feature]:
    """Yield, for each action, whether it begins a shortest path from the square to an object."""
    steps = states.steps[name].reshape(states.shape)
    here = steps.reshape(len(states), -1)
    for action, (down, right) in zip(ACTIONS, MOVES, strict=True):
        there = states.shifted(np.minimum(steps, 2**20), int(down), int(right), outside=2.0**20)
        leads = reachable(here) & (there < here)
        yield Feature(f"first step to the {name} is {action}", leads.astype(np.float32), gate=name != AGENT)
