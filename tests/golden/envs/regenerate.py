"""Record the golden trajectories again: ``.venv/bin/python tests/golden/envs/regenerate.py`` from the root.

Only do so when levels or rules were changed on purpose, and say in the commit why: stored agents and reports stand on
these levels.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from goalmaze.envs.ascii import write_ascii
from goalmaze.envs.episodes import Episodes
from goalmaze.envs.families import make_family
from goalmaze.envs.families.base import NO_SHIFT, SPLITS
from goalmaze.envs.kernels import ACTIONS
from goalmaze.envs.levels import ABSENT
from goalmaze.envs.solving import distances

FILE = Path(__file__).with_name("green_exit.json")


def record() -> list[dict]:
    """Return one trajectory for each shift: by the cue to the goal, with a random step now and then."""
    stories = []
    parameters = {"size": 9, "braid": 0.15, "correlation": 0.5, "salience": 4}
    family = make_family("GreenExit", parameters)
    for number, shift in enumerate([NO_SHIFT, *family.shifts]):
        address = {"seed": 11 + number, "index": 5 * number, "shift": shift, "split": SPLITS[number % 3]}
        levels = family.levels(address["seed"], [address["index"]], shift, address["split"])
        dice = random.Random(number)
        episodes = Episodes(family, levels)
        story = {"address": address, "level": write_ascii(levels, family).splitlines(), "hash": levels.hashes()[0]}
        story |= {"actions": [], "positions": [], "rewards": [], "terminated": [], "truncated": []}
        while not episodes.done[0]:
            wanted = [*levels.cells("sign"), *levels.cells("exit")]
            wanted = [
                c for k, c in zip((1, 0), wanted, strict=True) if c != ABSENT and not episodes.touched[0] >> k & 1
            ]
            field = distances(levels, np.array(wanted[:1]))[0]
            agent = int(episodes.agent[0])
            nearest = min(range(4), key=lambda a: field[agent + (-family.size, 1, family.size, -1)[a]])
            action = dice.randrange(4) if dice.random() < 0.3 else nearest
            episodes.step(np.array([action]))
            story["actions"].append(ACTIONS[action])
            story["positions"].append(divmod(int(episodes.agent[0]), family.size))
            story["rewards"].append(episodes.rewards[0].tolist())
            story["terminated"].append(bool(episodes.terminated[0]))
            story["truncated"].append(bool(episodes.truncated[0]))
        stories.append({"family": "GreenExit", "parameters": parameters} | story)
    return stories


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(story) for story in record())
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
