"""`gm.evaluate` on levels of one's own equals the evaluation that draws the same levels itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import goalmaze as gm
from goalmaze.experiments.evaluate.evaluation import Evaluation
from goalmaze.experiments.evaluate.setup import CUSTOM

COUNT = 48


@pytest.fixture(scope="module")
def agent() -> gm.Agent:
    return gm.load("zoo:green-exit")


def check_equal(one: Evaluation, other: Evaluation) -> None:
    """Check that two evaluations are equal in everything but the name of their shift."""
    assert dataclasses.replace(one, shift="", episodes=other.episodes) == dataclasses.replace(other, shift="")
    for field in dataclasses.fields(one.episodes):
        ours, theirs = (getattr(episodes, field.name) for episodes in (one.episodes, other.episodes))
        np.testing.assert_array_equal(ours, theirs, field.name)


@pytest.mark.parametrize("greedy", [False, True])
@pytest.mark.parametrize(("shift", "seed"), [("none", 0), ("moved-sign", 3)])
def test_given_levels_are_evaluated_like_the_same_levels_drawn(
    agent: gm.Agent, shift: str, seed: int, greedy: bool
) -> None:
    drawn = gm.evaluate(agent, shift=shift, levels=COUNT, seed=seed, greedy=greedy)
    levels = agent.family.levels(seed, count=COUNT, shift=shift)
    given = gm.evaluate(agent, levels=levels, seed=seed, greedy=greedy)
    check_equal(given.agent, drawn.agent)
    for one, other in zip(given.scripted_baselines, drawn.scripted_baselines, strict=True):
        check_equal(one, other)
    assert (given.agent.shift, drawn.agent.shift) == (CUSTOM, shift)
    assert given.json() | {"shift": shift, "scripted_baselines": []} == drawn.json() | {"scripted_baselines": []}


def test_other_levels_give_another_evaluation(agent: gm.Agent) -> None:
    """The comparison above would notice levels that were ignored."""
    drawn = gm.evaluate(agent, shift="moved-sign", levels=COUNT)
    other = gm.evaluate(agent, levels=agent.family.levels(1, count=COUNT, shift="moved-sign"))
    with pytest.raises(AssertionError):
        check_equal(other.agent, drawn.agent)


def test_given_levels_decide_the_family_and_the_shift_argument_has_no_effect(agent: gm.Agent) -> None:
    larger = gm.family("GreenExit", size=13)
    levels = larger.levels(0, count=COUNT, shift="moved-sign")
    given = gm.evaluate(agent, levels=levels, shift="many-signs", family=agent.family)
    assert given.agent.header.size == 13
    check_equal(given.agent, gm.evaluate(agent, levels=COUNT, shift="moved-sign", family=larger).agent)
