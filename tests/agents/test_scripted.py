"""Scripted baselines act on the episode as it is now: the slow rulebook knows where every object is at each step."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.paths import all_distances
from oracles.rulebook import Rulebook, rulebook

from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import Trajectory, rollout
from goalmaze.agents.scripted import DistanceActor, Seeker
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.statistics.intervals import Rate

COUNT = 24
KEYS = make_family("KeysChests", {"size": 9})


def targets(book: Rulebook, object_type: str) -> list[int]:
    """Return the cells of what an ideal seeker goes to now, from the rulebook alone."""
    of_type = [thing for thing in book.things if thing.object_type.name == object_type]
    if any(thing.object_type.needs for thing in of_type) and not book.items:
        of_type = [thing for thing in book.things if thing.object_type.gives]
    width = len(book.walls[0])
    present = [book.at[thing.slot] for thing in of_type if thing.slot in book.at and thing.slot not in book.items]
    return [row * width + column for row, column in present]


def wrong_steps(family: Family, trajectory: Trajectory, object_type: str) -> tuple[int, int]:
    """Return how many steps towards a present target did not shorten the path, and how many there were."""
    wrong = steps = 0
    for b in range(len(trajectory.levels)):
        book = rulebook(family, trajectory.levels, b)
        paths = all_distances(trajectory.levels.walls[b])
        for step in range(int(trajectory.steps[b])):
            before, after = trajectory.agent[step : step + 2, b]
            cells = targets(book, object_type)
            if cells and 0 < paths[before, cells].min() < np.inf:
                steps += 1
                wrong += paths[after, cells].min() >= paths[before, cells].min()
            book.step(int(trajectory.actions[step, b]))
    return wrong, steps


@pytest.mark.parametrize(
    ("name", "shift", "object_type"),
    [
        ("KeysChests", "none", "key"),
        ("KeysChests", "none", "chest"),
        ("KeysChests", "few-chests", "chest"),
        ("Monsters", "none", "shield"),
        ("Monsters", "none", "monster"),
        ("Monsters", "none", "apple"),
        ("FollowLeader", "misleading", "misleader"),
        ("GreenExit", "many-signs", "sign"),
    ],
)
def test_every_step_shortens_the_path_to_an_object_that_is_there(name: str, shift: str, object_type: str) -> None:
    family = make_family(name, {"size": 9})
    trajectory = rollout(Seeker(object_type), family.levels(1, np.arange(COUNT), shift))
    wrong, steps = wrong_steps(family, trajectory, object_type)
    assert wrong == 0
    assert steps > 5 * COUNT


class SeekerOfTheStart:
    """Goes to the keys as they lie at the start of the episode, collected or not."""

    def begin(self, levels: LevelBatch) -> DistanceActor:
        slots = [k for k, name in enumerate(levels.slots) if name == "key"]
        return DistanceActor(np.minimum.reduce([distances(levels, levels.objects[:, k]) for k in slots]), levels.width)


def preference(policy: Policy) -> Rate:
    levels = KEYS.levels(0, np.arange(200), "few-chests")
    return evaluate_policy("it", policy, levels, shift="few-chests").preference


def test_a_seeker_that_forgets_what_it_collected_is_noticed() -> None:
    trajectory = rollout(SeekerOfTheStart(), KEYS.levels(1, np.arange(COUNT)))
    assert wrong_steps(KEYS, trajectory, "key")[0] > COUNT
    assert preference(SeekerOfTheStart()).high < 0.2


def test_the_key_seeker_prefers_keys_and_the_chest_seeker_chests() -> None:
    keys, chests = preference(Seeker("key")), preference(Seeker("chest"))
    assert keys.low > 2 / 3
    assert chests.high < 1 / 3
    assert abs(keys.value - ideal_preference()) < 0.1


def ideal_preference() -> float:
    """Return the preference of a key seeker that is played by the rulebook alone, on the same levels."""
    levels = KEYS.levels(0, np.arange(200), "few-chests")
    mostly = []
    for b in range(len(levels)):
        book, paths, ended = rulebook(KEYS, levels, b), all_distances(levels.walls[b]), False
        while not ended:
            width, cells = len(book.walls[0]), targets(book, "key")
            ways = [row * width + column for row, column in (book.moved(action) for action in range(4))]
            lengths = [paths[cell, cells].min() if cells else 0 for cell in ways]
            *_, terminated, truncated = book.step(int(np.argmin(lengths)))
            ended = terminated or truncated or not cells
        keys = sum(thing.slot in book.entered for thing in book.things if thing.object_type.gives)
        mostly.append(2 * (keys - 2) > 3)
    return float(np.mean(mostly))
