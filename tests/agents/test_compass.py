"""The scripted compass against probabilities by hand: it knows the direction of its target and no wall."""

from __future__ import annotations

import math

import numpy as np
import pytest

from goalmaze.agents.compass import Compass
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.agents.scripted import RandomWalker, Seeker
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.families import make_family

FAMILY = make_family("GreenExit", {"size": 7})


@pytest.mark.parametrize(
    ("agent", "target", "nearer"),
    [
        (8, 12, {"right"}),
        (12, 8, {"left"}),
        (8, 36, {"down"}),
        (36, 8, {"up"}),
        (8, 40, {"down", "right"}),
        (40, 8, {"up", "left"}),
        (24, 24, set()),
    ],
)
def test_moves_towards_the_target_are_as_likely_as_the_sharpness_says(
    agent: int, target: int, nearer: set[str]
) -> None:
    levels = FAMILY.levels(0, np.arange(1))
    actor = Compass(np.array([target]), 0.8).begin(levels)
    (probabilities,) = actor.probabilities(np.array([0]), np.zeros((1, 1), np.uint8), np.array([agent], np.int32))
    weights = [math.exp(0.8 if action.lower() in nearer else -0.8) for action in ACTIONS]
    assert probabilities == pytest.approx(np.array(weights) / sum(weights), rel=1e-5)


def test_it_does_better_than_chance_and_worse_than_a_policy_that_knows_the_walls() -> None:
    levels = FAMILY.levels(0, np.arange(256))
    goals = levels.cells(FAMILY.goal)

    def reached(policy: Compass | RandomWalker | Seeker) -> float:
        return float((rollout(policy, levels, seed=0).first_visit(goals) < NEVER).mean())

    compass, random, seeker = reached(Compass(goals, 0.75)), reached(RandomWalker()), reached(Seeker(FAMILY.goal))
    assert random + 0.05 < compass < seeker - 0.05
    assert abs(reached(Compass(goals, 0.0)) - random) < 0.1
