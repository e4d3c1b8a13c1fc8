"""Record the golden trajectories again: ``.venv/bin/python tests/golden/envs/regenerate.py`` from the root.

Only do so when levels or rules were changed on purpose, and say in the commit why: stored agents and reports stand on
these levels.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.ascii import write_ascii
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.families import known_families
from goalmaze.envs.levels import NO_SHIFT, SPLITS, Family
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.solving import distances

FILE = Path(__file__).with_name("families.json")

PARAMETERS: dict[str, dict[str, Any]] = {"GreenExit": {"size": 9, "braid": 0.15, "correlation": 0.5, "salience": 4}}
"""Families that are not recorded with their default parameters."""

FURTHER: list[tuple[str, dict[str, Any]]] = [("Glimpse", {"size": 7, "goals": 2})]
"""Families that are recorded once more, with parameters that change their rules."""


def record() -> list[dict[str, Any]]:
    """Return one trajectory for each family and shift: to all objects in turn, with a random step now and then."""
    stories = []
    recorded = [*((name, PARAMETERS.get(name, {})) for name in known_families()), *FURTHER]
    for name, parameters in recorded:
        family = known_families()[name](**parameters)
        for number, shift in enumerate([NO_SHIFT, *family.shifts]):
            address = {"seed": 11 + number, "index": 5 * number, "shift": shift, "split": SPLITS[number % 3]}
            stories.append(
                {"family": name, "parameters": parameters, "address": address} | play(family, address, number)
            )
    return stories


def play(family: Family, address: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the level at an address and what happened on it."""
    levels = family.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    dice = random.Random(number)
    episodes = MazeEngine.from_levels(levels)
    story: dict[str, Any] = {"level": write_ascii(levels).splitlines(), "hash": levels.hashes()[0]}
    story |= {"actions": [], "positions": [], "rewards": [], "terminated": [], "truncated": []}
    order = sorted(
        range(len(family.slots)), key=lambda k: (family.slots[k] != family.cue, family.slots[k] == family.goal)
    )
    while not episodes.done[0]:
        entered = int(episodes.state.entered[0])
        wanted = [cell for k in order if (cell := int(episodes.objects[0, k])) != ABSENT and not entered >> k & 1]
        agent, action = int(episodes.agent[0]), dice.randrange(4)
        if wanted and dice.random() > 0.3:
            field = distances(levels, np.array(wanted[:1]))[0]
            action = min(range(4), key=lambda a: field[agent + (-family.size, 1, family.size, -1)[a]])
        episodes.step(np.array([action]))
        story["actions"].append(ACTIONS[action])
        story["positions"].append(divmod(int(episodes.agent[0]), family.size))
        story["rewards"].append(episodes.rewards[0].tolist())
        story["terminated"].append(bool(episodes.terminated[0]))
        story["truncated"].append(bool(episodes.truncated[0]))
    return story


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(story) for story in record())
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
